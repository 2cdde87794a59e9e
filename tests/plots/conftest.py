"""The styles in which every figure has to be readable."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nctools.plots.theme import use_style


@pytest.fixture(params=["screen", pytest.param("paper", marks=pytest.mark.slow)])
def every_style(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the test once in each style."""
    with use_style(request.param):
        yield
