"""The training sets of the papers: what is known of them, their authors' files, and repeating the draw."""
