"""Sphinx configuration. The site builds without network and loads nothing remote: formulas are MathML."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import nctools

project = "nctools"
author = "The nctools authors"
copyright = author
version = release = nctools.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "catalogue_pages", "mathml", "whole_site"]
exclude_patterns = ["_build", "_ext", "_generated/*_table.md"]
nb_execution_mode = "off"
myst_heading_anchors = 3
smartquotes = False  # two dashes are the start of a flag
myst_enable_extensions = ["amsmath", "attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_dmath_allow_labels = True
myst_dmath_allow_digits = False  # 5$ and 10$ are prices

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": False}
napoleon_custom_sections = [("Class attributes", "params_style"), ("Limit", "notes_style"), ("Source", "notes_style")]
napoleon_use_ivar = True  # an attribute that is annotated too would be described twice
napoleon_use_rtype = False
# A docstring that Sphinx cannot read is a mistake; a type that has no page of its own (Tensor, Path) is none.
nitpicky = False

html_theme = "furo"
html_title = f"nctools {release}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
