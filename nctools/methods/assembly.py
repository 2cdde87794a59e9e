"""From a method's name and plain arguments to the method."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor

from nctools.errors import UnknownNameError
from nctools.methods.catalogue import method_entry
from nctools.methods.loss_method import NetworkArguments
from nctools.methods.method import Argument, Method
from nctools.methods.own_methods import import_method, own_method
from nctools.methods.recipe import Recipe
from nctools.methods.signature import parameters_of, types_of

# Arguments that come from the data or a checkpoint; no configuration holds them.
_TOLD = frozenset({"num_classes", "class_counts", "num_images", "cooccurrence", "class_names", "label_vectors"})
_OF_NETWORK = frozenset(NetworkArguments.__annotations__)


def method_class(name: str) -> type[Method]:
    """Give the class behind a method's name.

    Args:
        name: Public name, for example ``"mlc_nc"``.

    Returns:
        The class.

    Raises:
        UnknownNameError: If there is no such method.
    """
    own = own_method(name)
    if own is not None:
        return own
    module, _, attribute = method_entry(name).builder.partition(":")
    found: type[Method] = getattr(importlib.import_module(module), attribute)
    return found


def method_name(name: str) -> str:
    """Give the name that a method bears everywhere.

    Args:
        name: What the user typed: ``mlc-nc``, or ``package.module:Class`` for a method of one's own, which is imported.

    Returns:
        ``mlc_nc``, or the latter as it is.

    Raises:
        UnknownNameError: If there is no such method; near misses are listed.
        ConfigError: If the module cannot be imported, or what it holds is no method.
    """
    import_method(name)
    return method_entry(name).name if own_method(name) is None else name


def build(
    name: str,
    *,
    num_classes: int,
    class_counts: Sequence[int] | None = None,
    num_images: int | None = None,
    cooccurrence: Tensor | None = None,
    class_names: Sequence[str] | None = None,
    **arguments: Argument,
) -> Method:
    """Build a method.

    What the data tell is handed on to methods whose class asks for it.

    Args:
        name: Public name, for example ``"mlc_nc"``.
        num_classes: Number of classes.
        class_counts: Training positives of each class.
        num_images: Number of training images.
        cooccurrence: ``[C, C]`` training images that hold both classes.
        class_names: Names of the classes, which label vectors of a file are matched to.
        **arguments: Arguments of the method's class.

    Returns:
        The method, with fresh weights.

    Raises:
        UnknownNameError: If the method or one of its arguments does not exist; near misses are listed.
        ValueError: If a value does not fit.

    Example:
        >>> build("erm", num_classes=5, backbone="small").classifier.out_features
        5
    """
    told = {
        "num_classes": num_classes,
        "class_counts": class_counts,
        "num_images": num_images,
        "cooccurrence": cooccurrence,
        "class_names": class_names,
    }
    return build_as_told(name, told, arguments)


def build_as_told(name: str, told: Mapping[str, object], arguments: Mapping[str, Argument]) -> Method:
    """Build a method from what the data or a checkpoint tell, and what was chosen.

    Args:
        name: Public name of the method.
        told: ``num_classes`` and others of ``class_counts``, ``num_images``, ``cooccurrence``, ``class_names`` and
            ``label_vectors``; each is handed on to methods whose class asks for it.
        arguments: Arguments of the method's class.

    Returns:
        The method, with fresh weights.

    Raises:
        UnknownNameError: If the method or one of its arguments does not exist; near misses are listed.
    """
    chosen = method_class(name)
    known = argument_names(name)
    for key in arguments:
        if key not in known:
            raise UnknownNameError(f"argument of {name}", key, known)
    asked = {key: value for key, value in told.items() if key in parameters_of(chosen)}
    built: Method = cast("type", chosen)(**asked, **arguments)
    return built


def argument_names(name: str) -> list[str]:
    """List the arguments that a method takes beside what the data tell (``num_classes``, ``class_counts``, ...).

    Args:
        name: Public name of the method.

    Returns:
        Names in the order of the signature.
    """
    return [name for name in parameters_of(method_class(name)) if name not in _TOLD]


def argument_types(name: str) -> dict[str, object]:
    """Give the types of the arguments that a method takes.

    Args:
        name: Public name of the method.

    Returns:
        Annotation of each name of ``argument_names``, with the range of its values (``typing.Annotated``).
    """
    hints = types_of(method_class(name))
    return {name: hints[name] for name in argument_names(name) if name in hints}


def check_arguments(name: str, arguments: Mapping[str, Argument]) -> None:
    """See that the arguments of a method go together; of one of the user's own that is seen where it is built.

    Args:
        name: Public name of the method.
        arguments: Those that were given, of the right types; others are at their defaults.

    Raises:
        UnknownNameError: If a setting of its loss does not exist; near misses are listed.
        ValueError: If they do not go together.
    """
    if own_method(name) is None:
        method_class(name).check_arguments({**usual_arguments(name), **arguments})


def default_arguments(name: str, dataset: str) -> Mapping[str, Argument]:
    """Give the arguments that suit a data set; the paper's defaults where none are known.

    Args:
        name: Public name of the method.
        dataset: Name of the data set.

    Returns:
        Arguments for ``build``.
    """
    return dict(method_class(name).arguments_for.get(dataset, {}))


def usual_arguments(name: str) -> dict[str, Argument]:
    """Give the value that each argument of a method has where none is given.

    Args:
        name: Public name of the method.

    Returns:
        Defaults by name, without ``seed``, which a run chooses.
    """
    parameters = parameters_of(method_class(name))
    return {key: parameters[key].default for key in argument_names(name) if key != "seed"}


def network_arguments(name: str) -> list[str]:
    """List the arguments that a method hands on to the backbone and head which most methods share.

    Args:
        name: Public name of the method.

    Returns:
        Those of ``argument_names`` that are of ``NetworkArguments``, without ``seed``; none where the network is the
        method's own.
    """
    chosen = method_class(name)
    handed_on = any(part.kind is part.VAR_KEYWORD for part in inspect.signature(chosen.__init__).parameters.values())
    return [key for key in argument_names(name) if handed_on and key in _OF_NETWORK and key != "seed"]


def last_recipe(name: str, recipe: Recipe, arguments: Mapping[str, Argument]) -> Recipe:
    """Give the recipe of a method's own stage, which comes last where there are two.

    Args:
        name: Public name of the method.
        recipe: That of the run.
        arguments: Arguments that were given; others are at their defaults.

    Returns:
        The recipe, whose epochs are those of the run's checkpoints.

    Example:
        >>> last_recipe("lws", Recipe(epochs=80), {}).epochs, last_recipe("erm", Recipe(epochs=80), {}).epochs
        (5, 80)
    """
    return method_class(name).last_recipe(recipe, {**usual_arguments(name), **arguments})


def default_recipe(name: str, dataset: str) -> Recipe:
    """Give the recipe that suits a data set; the paper's where none is known.

    Args:
        name: Public name of the method.
        dataset: Name of the data set.

    Returns:
        The recipe.
    """
    chosen = method_class(name)
    return chosen.recipe_for.get(dataset, chosen.recipe)
