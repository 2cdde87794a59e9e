"""write_report(): run directories in, one HTML file out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Unpack

from nctools.errors import ConfigError
from nctools.forward_options import ForwardOptions
from nctools.report.collect import Tell, collect_runs, run_folders
from nctools.report.missing import reasons
from nctools.report.page import render
from nctools.report.pictures import pictures_of
from nctools.run_directory import replace_atomically


def default_target(paths: Sequence[str | Path]) -> Path:
    """Tell where a report goes that was given no name.

    Args:
        paths: As for ``write_report``.

    Returns:
        ``report.html`` in the run, or in the folder that all runs lie in.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("erm", "mlc_nc"):
        ...         (Path(folder) / name / "checkpoints").mkdir(parents=True)
        ...     target = default_target([f"{folder}/erm", f"{folder}/mlc_nc"])
        ...     target == Path(folder) / "report.html"
        True
    """
    folders = run_folders(paths)
    if len(folders) == 1:
        return folders[0] / "report.html"
    common = Path(os.path.commonpath([folder.resolve().parent for folder in folders]))
    # A path as the user writes paths, where that is possible.
    here = Path.cwd()
    return (common.relative_to(here) if common.is_relative_to(here) else common) / "report.html"


def write_report(
    paths: Sequence[str | Path] | str | Path,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    tell: Tell = lambda line: None,
    note: Tell = lambda line: None,
    **options: Unpack[ForwardOptions],
) -> Path:
    """Write what there is to know about runs into one self-contained HTML page.

    The page holds what was run, test scores, NC values with their definitions, figures with their data, warnings in
    words, a comparison of several runs, and everything once more as JSON. It fetches nothing from a network.

    Args:
        paths: One or several run directories, or folders that hold some.
        out: The file; None takes ``report.html`` in the run, or in the folder that the runs have in common.
        overwrite: Replace a file that is there.
        tell: Called with a line of progress.
        note: Called in the end with each reason why a part of the page is missing.
        **options: How the models are run, as for ``nctools.extract_checkpoint``: ``data_root``, ``device``, ...

    Returns:
        The file.

    Raises:
        ConfigError: If the file is there already, or there is nothing to report on.
        CheckpointError: If a folder holds no run.

    Example:
        >>> from nctools.report import write_report
        >>> write_report(["runs/erm", "runs/mlc_nc"], "report.html")  # doctest: +SKIP
    """
    chosen = [paths] if isinstance(paths, str | Path) else list(paths)
    target = default_target(chosen) if out is None else Path(out)
    if target.exists() and not overwrite:
        raise ConfigError(f"{target} exists already: choose another name, or replace it")
    records = collect_runs(chosen, tell=tell, **options)
    pictures = pictures_of(records, tell=tell, **options)
    created = datetime.now(tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    page = render(records, pictures, created=created)
    with replace_atomically(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    for reason in reasons(records, pictures):
        note(reason)
    return target
