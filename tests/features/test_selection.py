from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from nctools.features.selection import chosen_part, chosen_tensor, first_tensor, input_parts, parts_of
from nctools.models.output import Output

Pair = namedtuple("Pair", ["left", "right"])


@dataclass
class Plain:
    note: str
    hidden: Tensor


@dataclass
class HalfMapping(OrderedDict[str, object]):
    """A mapping that is a dataclass too, as transformers' ModelOutput."""

    hidden: object = None

    def __post_init__(self) -> None:
        self["hidden"] = self.hidden


def test_first_tensor_is_found_in_a_dataclass() -> None:
    hidden = torch.ones(2)
    assert first_tensor((None, Plain("x", hidden))) is hidden
    assert first_tensor(HalfMapping(hidden)) is hidden
    assert first_tensor(Plain) is None
    output = Output(torch.zeros(2), features={"a": torch.ones(3)})
    assert first_tensor(output) is output.logits


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (("a", "b"), {0: "a", 1: "b"}),
        ({"x": "a", 3: "b"}, {"x": "a", 3: "b"}),
        (Pair("a", "b"), {0: "a", 1: "b", "left": "a", "right": "b"}),
        (HalfMapping("a"), {0: "a", "hidden": "a"}),
        (None, {}),
        ("text", {}),
    ],
)
def test_parts_have_positions_and_names(value: object, expected: dict[int | str, object]) -> None:
    assert parts_of(value) == expected


def test_tensor_has_no_parts() -> None:
    assert parts_of(torch.ones(3)) == {}


def test_key_of_a_mapping_that_is_a_text_of_digits_is_found() -> None:
    assert chosen_part({"1": "a"}, 1) == "a"
    assert chosen_part({1: "b", "1": "a"}, 1) == "b"


def test_position_from_the_end() -> None:
    assert chosen_part(parts_of(Pair("a", "b")), -1) == "b"


def test_absent_key_names_those_that_are_there() -> None:
    with pytest.raises(LookupError, match=r"has no part \[c\]: choose one of \[a\], \[b\]"):
        chosen_part({"a": 1, "b": 2}, "c")
    with pytest.raises(LookupError, match=r"no part \[-3\]: choose one of \[0\], \[1\]"):
        chosen_part(parts_of((1, 2)), -3)
    with pytest.raises(LookupError, match="nothing can be chosen"):
        chosen_tensor({"a": torch.ones(2)}, ("a", 0))


def test_argument_is_found_by_name_where_it_was_passed_by_position() -> None:
    parts = input_parts(nn.Bilinear(2, 2, 3), ("a",), {"input2": "b"})
    assert parts == {0: "a", "input1": "a", "input2": "b"}


def test_arguments_that_fit_no_signature_still_have_positions() -> None:
    assert input_parts(nn.Linear(2, 2), ("a", "b", "c"), {}) == {0: "a", 1: "b", 2: "c"}
