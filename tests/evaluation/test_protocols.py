from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from nctools.errors import UnknownNameError
from nctools.evaluation.protocols import PROTOCOLS, Protocol, known_protocol
from nctools.evaluation.ranking import average_precision


def test_the_table_has_a_line_for_each_name() -> None:
    assert tuple(PROTOCOLS) == get_args(Protocol)
    assert all(PROTOCOLS.values())


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_known_names_are_kept_and_can_be_computed(name: Protocol) -> None:
    assert known_protocol(name) == name
    # Ranked perfectly, and without ties, all of them say so.
    assert average_precision(np.array([[0.9], [0.2], [0.1]]), np.array([[1], [0], [0]]), protocol=name).tolist() == [
        1.0
    ]


def test_an_unknown_name_lists_near_misses() -> None:
    with pytest.raises(UnknownNameError, match="unknown protocol of average precision 'voc12'; did you mean voc11"):
        known_protocol("voc12")
