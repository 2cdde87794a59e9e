"""``nctools doctor``: versions, torchvision's state, devices, libraries."""

from __future__ import annotations

import importlib.util
import platform

import typer

from nctools import __version__
from nctools.cli.options import JsonFile
from nctools.cli.output import write_json

REQUIRED = (
    "torch", "numpy", "scipy", "sklearn", "matplotlib", "seaborn", "umap", "h5py", "pandas", "pydantic", "yaml",
    "typer", "rich", "jinja2", "safetensors", "lightning", "torchmetrics", "timm", "torchvision", "torchcam",
)  # fmt: skip
# Extra -> the library that shows whether it is installed.
EXTRAS = {
    "html": "plotly", "hdf5": "hdf5plugin", "tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow",
    "dev": "pytest", "docs": "sphinx",
}  # fmt: skip
_PACKAGE = {"sklearn": "scikit-learn", "umap": "umap-learn", "yaml": "PyYAML"}


def run(
    json_file: JsonFile = None,
) -> None:
    """Check the installation: exit code 4 if something that nctools needs is missing or broken."""
    versions = {name: _version(name) for name in REQUIRED}
    problems = [
        f"{name} is missing: pip install {_PACKAGE.get(name, name)}" for name, found in versions.items() if not found
    ]
    torchvision_state = _torchvision() if versions.get("torch") and versions.get("torchvision") else "not checked"
    if torchvision_state.startswith("broken"):
        problems.append(f"torchvision {torchvision_state}")
    devices = _devices() if versions.get("torch") else []
    extras = {extra: _version(library) is not None for extra, library in EXTRAS.items()}
    report = {
        "schema": 1,
        "nctools": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "devices": devices,
        "torchvision": torchvision_state,
        "versions": versions,
        "extras": extras,
        "problems": problems,
    }
    if json_file is not None:
        write_json(report, json_file)
    if json_file != "-":
        typer.echo(f"nctools {__version__}   python {report['python']}   {report['platform']}")
        typer.echo("devices: " + (", ".join(devices) or "unknown"))
        typer.echo("  ".join(f"{name} {found or 'MISSING'}" for name, found in versions.items()))
        typer.echo(f"torchvision: {torchvision_state}")
        typer.echo("extras: " + "  ".join(f"{extra} {'ok' if found else 'missing'}" for extra, found in extras.items()))
        for problem in problems:
            typer.echo(f"problem: {problem}")
        typer.echo(f"{len(problems)} problem{'' if len(problems) == 1 else 's'}")
    if problems:
        raise typer.Exit(4)


def _version(module: str) -> str | None:
    if importlib.util.find_spec(module) is None:
        return None
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(_PACKAGE.get(module, module))
    except PackageNotFoundError:
        return "unknown version"


def _torchvision() -> str:
    from nctools._torchvision_guard import guard_active, import_torchvision

    try:
        import_torchvision()
    except (ImportError, RuntimeError, OSError) as error:
        return f"broken: {' '.join(str(error).split())[:200]}"
    if guard_active():
        return (
            "works through the import guard: its compiled part does not fit this torch (detection operators and image "
            "decoding are off; nctools needs neither). Repair: install the build of torchvision made for this torch"
        )
    return "ok"


def _devices() -> list[str]:
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return [f"cpu ({torch.get_num_threads()} threads)", *gpus]
