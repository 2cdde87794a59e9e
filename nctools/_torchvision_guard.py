"""Makes ``import torchvision`` work beside a torch build that its compiled part does not fit.

The public torchvision wheel links against CUDA libraries. Beside a CPU-only torch its compiled part fails to load
silently, and the Python part then registers fake kernels for operators that were never defined:
``RuntimeError: operator torchvision::nms does not exist``. Everything that imports torchvision (timm, torchmetrics,
lightning) fails with it. The repair defines the two missing schemas, but only after a real import has failed with that
very message: where the compiled part does load, a second definition would abort the process.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from torch.library import Library

_MISSING_OPERATOR = "operator torchvision::"
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# The definitions live as long as this object does.
_library: Library | None = None


def import_torchvision() -> ModuleType:
    """Import torchvision, repairing the operator schemas if, and only if, the import fails for want of them.

    Call it before timm, torchmetrics or lightning are imported.

    Returns:
        The torchvision package. Detection operators and image decoding still raise a clear error under the repair.

    Raises:
        RuntimeError: Any other failure of the import, unchanged.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING_OPERATOR not in str(error):
            raise
    _define_missing_schemas()
    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]
    return importlib.import_module("torchvision")


def guard_active() -> bool:
    """Tell whether the repair was needed in this process.

    Returns:
        True if torchvision runs without its compiled part.
    """
    return _library is not None


def _define_missing_schemas() -> None:
    global _library
    if _library is not None:
        return
    from torch.library import Library

    library = Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        library.define(schema)
    _library = library
