"""Methods of the literature: parts, loss, sampler and recipe, one file each."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nctools.methods.assembly import argument_names, build, default_arguments, default_recipe
    from nctools.methods.catalogue import METHODS, MethodEntry, method_entry
    from nctools.methods.checkpoint import Checkpoint, load_checkpoint, rebuild, save_checkpoint
    from nctools.methods.class_attention import ClassAttention
    from nctools.methods.erm import ERM
    from nctools.methods.method import Method
    from nctools.methods.mlc_nc import MLCNC
    from nctools.methods.own_methods import add_method
    from nctools.methods.recipe import Recipe

_HOME = {
    "ERM": "erm",
    "METHODS": "catalogue",
    "MLCNC": "mlc_nc",
    "Checkpoint": "checkpoint",
    "ClassAttention": "class_attention",
    "Method": "method",
    "MethodEntry": "catalogue",
    "Recipe": "recipe",
    "add_method": "own_methods",
    "argument_names": "assembly",
    "build": "assembly",
    "default_arguments": "assembly",
    "default_recipe": "assembly",
    "load_checkpoint": "checkpoint",
    "method_entry": "catalogue",
    "rebuild": "checkpoint",
    "save_checkpoint": "checkpoint",
}

__all__ = [
    "ERM",
    "METHODS",
    "MLCNC",
    "Checkpoint",
    "ClassAttention",
    "Method",
    "MethodEntry",
    "Recipe",
    "add_method",
    "argument_names",
    "build",
    "default_arguments",
    "default_recipe",
    "load_checkpoint",
    "method_entry",
    "rebuild",
    "save_checkpoint",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'nctools.methods' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(f"nctools.methods.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
