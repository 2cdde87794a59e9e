"""Renders equations as MathML, which browsers show by themselves: no script, no fonts, no network.

The text between dollar signs is LaTeX; ``latex2mathml`` translates it at build time. A command that it does not know
would come out as its own name in the middle of a formula, so that is an error of the build instead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.errors import ExtensionError
from sphinx.util.math import get_node_equation_number

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator


def mathml(latex: str, *, block: bool) -> str:
    """One formula as a ``<math>`` element."""
    markup = convert(latex, display="block" if block else "inline")
    unknown = re.findall(r">(\\[A-Za-z]+|&)<", markup)
    if unknown:
        raise ExtensionError(f"the formula {latex!r} has {', '.join(unknown)}, which latex2mathml cannot translate")
    return markup


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """A formula inside a line."""
    translator.body.append(f'<span class="math notranslate">{mathml(node.astext(), block=False)}</span>')
    raise nodes.SkipNode


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """A formula of its own lines, with its number where it has a label."""
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate"))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})</span>')
    translator.body.append(f"{mathml(node.astext(), block=True)}</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
