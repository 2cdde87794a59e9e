"""Drawings as parts of a page: the picture as a data URI, its numbers as a file to download."""

from __future__ import annotations

import base64
import gzip
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Unpack
from urllib.parse import quote

from nctools.errors import NctoolsError
from nctools.figures.drawing import Drawing
from nctools.forward_options import ForwardOptions
from nctools.report.collect import RunRecord, Tell
from nctools.report.formats import several
from nctools.report.sections import SECTIONS, Section, draw

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# Tables above this go into the page compressed, and above the second not at all.
_PLAIN_BYTES: Final = 50_000
_MOST_BYTES: Final = 600_000
_CSS_DPI: Final = 96


@dataclass(frozen=True)
class Picture:
    """One figure of the page, or the reason why it is missing.

    Args:
        section: Its row in the list of figures.
        runs: What it shows.
        uri: The picture; empty where it is missing.
        width: Width in CSS pixels at which its text has its size in print.
        height: Height.
        data_uri: Its numbers as CSV; empty where there are too many.
        data_name: File name of the numbers.
        missing: Why there is no picture.
    """

    section: Section
    runs: list[str]
    uri: str = ""
    width: int = 0
    height: int = 0
    data_uri: str = ""
    data_name: str = ""
    missing: str = ""

    @property
    def alt(self) -> str:
        """What it shows, in words."""
        return f"{self.section.alt}: {several(self.runs)}."


def pictures_of(
    records: Sequence[RunRecord], *, tell: Tell = lambda line: None, **options: Unpack[ForwardOptions]
) -> list[Picture]:
    """Draw every section; where runs cannot share a figure, each gets its own.

    Args:
        records: What ``collect_runs`` returned.
        tell: Called with a line of progress.
        **options: How the models are run, for the figures that need it.

    Returns:
        Pictures, and the reasons why others are missing.
    """
    pictures = []
    for section in SECTIONS:
        tell(f"drawing: {section.title.lower()}")
        together = _picture(section, records, options)
        if together.missing and len(records) > 1:
            apart = [_picture(section, [record], options) for record in records]
            # The same sentence for every run is said once.
            pictures += [together] if all(picture.missing for picture in apart) else apart
        else:
            pictures.append(together)
    return pictures


def _picture(section: Section, records: Sequence[RunRecord], options: ForwardOptions) -> Picture:
    names = [record.name for record in records]
    try:
        drawing = draw(section, records, **options)
        uri = image_uri(drawing)
    except (NctoolsError, OSError, ValueError) as error:
        return Picture(section, names, missing=" ".join(str(error).split()))
    except Exception as error:
        # A page without one figure is better than no page.
        return Picture(section, names, missing=f"{type(error).__name__}: {' '.join(str(error).split())}")
    width, height = (round(_CSS_DPI * inches) for inches in drawing.figure.get_size_inches())
    suffix = "" if len(records) > 1 else f"-{records[0].name.replace('/', '-')}"
    return Picture(section, names, uri, width, height, *data_uri(drawing.data, f"{section.id}{suffix}"))


def image_uri(drawing: Drawing) -> str:
    """Give the picture as a data URI: as SVG where that is smaller than PNG, else as PNG of 256 colours.

    Args:
        drawing: Figure and data.

    Returns:
        The URI.
    """
    svg, png = (_written(drawing.figure, suffix) for suffix in (".svg", ".png"))
    if len(svg) < len(png):
        return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
    return f"data:image/png;base64,{base64.b64encode(_with_palette(png)).decode()}"


def data_uri(data: pd.DataFrame, name: str) -> tuple[str, str]:
    """Give a table as a data URI to download.

    Args:
        data: The table.
        name: File name without suffix.

    Returns:
        The URI and the file name: ``.csv``; of long tables ``.csv.gz``; of very long ones nothing.

    Example:
        >>> import pandas as pd
        >>> data_uri(pd.DataFrame({"epoch": [0]}), "curve")
        ('data:text/csv;charset=utf-8,epoch%0A0%0A', 'curve.csv')
    """
    text = data.to_csv(index=False, lineterminator="\n")
    if len(text) <= _PLAIN_BYTES:
        return f"data:text/csv;charset=utf-8,{quote(text)}", f"{name}.csv"
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return (f"data:application/gzip;base64,{packed}", f"{name}.csv.gz") if len(packed) <= _MOST_BYTES else ("", "")


def _written(figure: Figure, suffix: str) -> bytes:
    from nctools.plots import save_figure

    with tempfile.TemporaryDirectory() as folder:
        (path,) = save_figure(figure, Path(folder) / f"figure{suffix}")
        return path.read_bytes()


def _with_palette(png: bytes) -> bytes:
    # A third of the size. Figures have few colours, and heat maps no more than their colour scale; nobody sees it.
    from PIL import Image

    written = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        few = picture.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(written, "PNG", optimize=True)
    return min(written.getvalue(), png, key=len)
