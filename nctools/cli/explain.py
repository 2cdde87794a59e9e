"""``nctools explain``: what a metric, a loss or a method is, and what can be set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from nctools.cli.listings import needs_of, words
from nctools.collapse.catalogue import ALIASES, METRICS, OVER_LAYERS, Metric
from nctools.errors import UnknownNameError
from nctools.losses.catalogue import LOSSES, LossEntry
from nctools.methods.catalogue import METHODS, MethodEntry

_NOTATION = "z logit, y target, p = sigmoid(z), n_c positives of class c, N images, sp(x) = log(1 + e^x)"
# The method whose arguments are those of the network alone, which most others share.
_PLAIN = "erm"
_WORDS: Mapping[object, str] = {None: "null", True: "true", False: "false"}


def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Metric, loss or method: nc1_pinv, db_focal, mlc_nc.")],
) -> None:
    """Explain a metric (formula, source, value at collapse), a loss (formula, settings) or a method (parts, arguments).

    Example: nctools explain nc1_pinv
    """
    key = name.replace("-", "_").lower()
    key = ALIASES.get(key, key)
    known = METRICS | OVER_LAYERS
    if not any(key in table for table in (known, LOSSES, METHODS)):
        raise UnknownNameError("metric, loss or method", name, [*known, *LOSSES, *METHODS])
    if key in known:
        _explain_metric(known[key])
    # Some names are both: a loss, and the method that trains a plain network with it.
    if key in LOSSES:
        _explain_loss(LOSSES[key])
    if key in LOSSES and key in METHODS:
        typer.echo("")
    if key in METHODS:
        _explain_method(METHODS[key])


def _explain_metric(metric: Metric) -> None:
    _write(
        f"{metric.id}  {metric.title}  ({metric.symbol})",
        {
            "formula": metric.formula,
            "at collapse": metric.limit if metric.direction == "-" else f"{metric.limit}  ({metric.direction})",
            "source": metric.source,
            "group value": metric.aggregator,
            "needs": ", ".join(metric.needs),
            "cost": metric.cost,
            "settings": ", ".join(metric.settings),
            "features": ", ".join(metric.kinds),
        },
    )


def _explain_loss(loss: LossEntry) -> None:
    from nctools.methods.loss_choice import default_settings

    usual = {name: value for name, value in default_settings(loss.name).items() if name != "reduction"}
    published = {f"on {dataset}": _settings(given) for dataset, given in loss.settings_for.items()}
    _write(
        f"{loss.name}  {loss.title}  (loss)",
        {
            "what it does": loss.summary,
            "formula": loss.formula,
            "where": _NOTATION,
            "source": loss.source,
            "made from": needs_of(loss),
            "sampling": words(loss.sampler),
            "reduction": loss.reduction,
            "settings": _settings(usual) or "-",
            **published,
            "in Python": f"nctools.losses.{loss.function}, nctools.losses.build({loss.name!r}, ...)",
        },
    )


def _explain_method(method: MethodEntry) -> None:
    _write(
        f"{method.name}  {method.title}  (method)",
        {
            "parts": method.summary,
            "source": method.source,
            "kind": method.kind,
            **_arguments_of(method),
            "train": f"nctools train {method.name} --dataset NAME (--dry-run shows the recipe)",
        },
    )


def _arguments_of(method: MethodEntry) -> dict[str, str]:
    from nctools.methods.assembly import network_arguments, usual_arguments

    usual, network = usual_arguments(method.name), network_arguments(method.name)
    own = _settings({name: value for name, value in usual.items() if name not in network})
    shared = _settings({name: value for name, value in usual.items() if name in network})
    if method.name == _PLAIN or not network:
        return {"arguments": own or shared}
    return {"arguments": own or "none of its own", "network": f"{', '.join(network)} (nctools explain {_PLAIN})"}


def _write(title: str, lines: Mapping[str, str]) -> None:
    typer.echo(title)
    for label, text in lines.items():
        typer.echo(f"  {label + ':':<14}{text}")


def _settings(given: Mapping[str, object]) -> str:
    # As they are typed after --set.
    return ", ".join(f"{name} = {_value(value)}" for name, value in given.items())


def _value(value: object) -> str:
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
