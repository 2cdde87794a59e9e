"""The plot commands refuse a flag that stands where the value of another was forgotten."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import typer
from typer.core import TyperCommand

# Numbers below zero are values.
_FLAG = re.compile(r"--?[a-zA-Z]")


class PlotCommand(TyperCommand):
    """A command whose options take no flag as their value: ``--html --force`` would write a page named so."""

    def invoke(self, ctx: object) -> object:
        """Run the command after a look at its options.

        Args:
            ctx: Context of the call.

        Returns:
            What the command returns.

        Raises:
            BadParameter: If the value of an option looks like a flag.
        """
        context = cast("typer.Context", ctx)
        for option in self.params:
            value = context.params.get(str(option.name))
            taken = isinstance(value, str | Path) and _FLAG.match(str(value))
            if taken and option.param_type_name == "option":
                raise typer.BadParameter(
                    f"{str(value)!r} looks like a flag: the value is missing (a file of this name is ./{value})",
                    ctx=context,
                    param_hint=" / ".join(f"'{name}'" for name in option.opts),
                )
        return super().invoke(context)
