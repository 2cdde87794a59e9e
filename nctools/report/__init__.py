"""Run directories in, one self-contained HTML page out."""

from __future__ import annotations

from nctools.report.writing import write_report

__all__ = ["write_report"]
