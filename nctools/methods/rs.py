"""RS: ERM with class-aware sampling, the re-sampling baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from nctools.methods.erm import ERM
from nctools.methods.method import CLASS_AWARE, CLASS_AWARE_FOR
from nctools.methods.recipe import Recipe


class RS(ERM):
    """The plain multi-label classifier, trained on images that class-aware sampling draws.

    Each class is drawn equally often, but an image brings all of its labels along: classes that occur with others are
    still seen more often than those.

    Example:
        >>> RS(20, backbone="small").recipe.sampler
        'class_aware'

    Source:
        Shen et al., ECCV 2016; as a multi-label baseline in the DB paper (Wu et al., ECCV 2020).
    """

    recipe: ClassVar[Recipe] = CLASS_AWARE
    recipe_for: ClassVar[Mapping[str, Recipe]] = CLASS_AWARE_FOR
