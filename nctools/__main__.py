"""``python -m nctools`` is the ``nctools`` command."""

from __future__ import annotations

from nctools.cli.app import main

if __name__ == "__main__":
    main()
