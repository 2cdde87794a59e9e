"""A folder that all processes of one job see, for files that nobody keeps."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nctools.features.ranks import current_ranks


@contextmanager
def common_folder(near: Path | None = None) -> Iterator[Path]:
    """Give all processes one temporary folder, which rank 0 makes and removes.

    Args:
        near: Over several processes the folder is made beside this file, where all machines see it; None is the
            machine's own place.

    Yields:
        The folder.
    """
    ranks = current_ranks()
    if ranks.size == 1:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    folder_of_all = Path(ranks.first(lambda: _made_near(near)))
    failed = True
    try:
        yield folder_of_all
        failed = False
    finally:
        ranks.gather(failed)  # nobody reads any more, also after an error
        if ranks.rank == 0:
            shutil.rmtree(folder_of_all, ignore_errors=True)


def _made_near(near: Path | None) -> str:
    if near is not None:
        near.parent.mkdir(parents=True, exist_ok=True)
    return tempfile.mkdtemp(prefix=".nc-features-", dir=None if near is None else near.parent.absolute())
