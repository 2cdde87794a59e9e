"""The public names: each resolves, explains itself, and is not hidden by a module of the same name."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import pkgutil
import types
from pathlib import Path

import pytest

import nctools

FOLDERS = [name for name in nctools.__all__ if (Path(nctools.__file__).parent / name).is_dir()]


def public_objects() -> list[tuple[str, object]]:
    """Dotted name and object of everything public, at the top and in the public folders."""
    top = [(f"nctools.{name}", getattr(nctools, name)) for name in nctools.__all__]
    below = [
        (f"nctools.{folder}.{name}", getattr(getattr(nctools, folder), name))
        for folder in FOLDERS
        for name in getattr(nctools, folder).__all__
    ]
    return top + below


def needs_docstring(value: object) -> bool:
    """Classes, functions and modules explain themselves; tables and type aliases are explained where they are used."""
    return inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value)


def test_public_names_are_sorted_and_listed_by_dir() -> None:
    for module in (nctools, *(getattr(nctools, folder) for folder in FOLDERS)):
        names = list(module.__all__)
        assert len(set(names)) == len(names), module.__name__
        assert set(names) <= set(dir(module)), module.__name__


def test_every_public_name_resolves_and_has_a_docstring() -> None:
    silent = [name for name, value in public_objects() if needs_docstring(value) and not inspect.getdoc(value)]
    assert not silent, silent


def test_version_is_the_installed_one() -> None:
    assert nctools.__version__ == importlib.metadata.version("nctools")


@pytest.mark.parametrize("package", ["nctools", *(f"nctools.{folder}" for folder in FOLDERS)])
def test_unknown_name_fails_and_names_the_package(package: str) -> None:
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match=rf"module '{package}' has no attribute 'no_such_name'"):
        _ = module.no_such_name
    assert not hasattr(module, "no_such_name")


def test_unknown_top_level_name_lists_what_there_is() -> None:
    with pytest.raises(AttributeError, match=r"it has: .*FeatureStore.*measure"):
        _ = nctools.mesure


def hidden_functions(package: types.ModuleType) -> list[str]:
    """Public functions of a package whose name is also one of its modules.

    Importing the module would put it in the place of the function.
    """
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    names = set(package.__all__) & modules
    return [
        f"{package.__name__}.{name}"
        for name in sorted(names)
        if not inspect.ismodule(getattr(package, name)) or hasattr(getattr(package, name), name)
    ]


def test_no_module_bears_the_name_of_a_public_function() -> None:
    packages = [nctools, *(getattr(nctools, folder) for folder in FOLDERS)]
    hidden = [name for package in packages for name in hidden_functions(package)]
    assert not hidden, hidden


def test_a_hidden_function_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nctools, "__all__", [*nctools.__all__, "run_directory"])
    monkeypatch.setattr(nctools, "run_directory", lambda: None, raising=False)
    assert hidden_functions(nctools) == ["nctools.run_directory"]
