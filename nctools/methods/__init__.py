"""Methods of the literature: parts, loss, sampler and recipe, one file each."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nctools.methods.asl import ASL
    from nctools.methods.assembly import argument_names, build, default_arguments, default_recipe
    from nctools.methods.catalogue import METHODS, MethodEntry, method_entry
    from nctools.methods.cb_focal import CBFocal
    from nctools.methods.checkpoint import Checkpoint, load_checkpoint, rebuild, save_checkpoint
    from nctools.methods.class_attention import ClassAttention
    from nctools.methods.db import DB
    from nctools.methods.db_focal import DBFocal
    from nctools.methods.erm import ERM
    from nctools.methods.focal import Focal
    from nctools.methods.hill import Hill
    from nctools.methods.ldam import LDAM
    from nctools.methods.lws import LWS
    from nctools.methods.method import Method
    from nctools.methods.mfm import MFM
    from nctools.methods.mlc_nc import MLCNC
    from nctools.methods.own_methods import add_method
    from nctools.methods.p_asl import PASL
    from nctools.methods.pseudo_label import PseudoLabel
    from nctools.methods.recipe import Recipe
    from nctools.methods.rs import RS
    from nctools.methods.rw import RW
    from nctools.methods.two_way import TwoWay

_HOME = {
    "RS": "rs",
    "RW": "rw",
    "Focal": "focal",
    "CBFocal": "cb_focal",
    "LDAM": "ldam",
    "ASL": "asl",
    "PASL": "p_asl",
    "Hill": "hill",
    "DB": "db",
    "DBFocal": "db_focal",
    "TwoWay": "two_way",
    "MFM": "mfm",
    "PseudoLabel": "pseudo_label",
    "LWS": "lws",
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
    "ASL",
    "DB",
    "ERM",
    "LDAM",
    "LWS",
    "METHODS",
    "MFM",
    "MLCNC",
    "PASL",
    "RS",
    "RW",
    "CBFocal",
    "Checkpoint",
    "ClassAttention",
    "DBFocal",
    "Focal",
    "Hill",
    "Method",
    "MethodEntry",
    "PseudoLabel",
    "Recipe",
    "TwoWay",
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
