"""The user's own images and labels: the forms that they may have, reading, and checking."""
