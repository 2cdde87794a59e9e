from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nctools.features.maps import class_maps
from tests.features.maps.cases import images, own_method


@pytest.mark.parametrize("name", ["class_attention", "mlc_nc"])
def test_attention_is_what_the_head_gave_and_sums_to_one(name: str) -> None:
    model = own_method(name)
    found = class_maps(model, images())
    with torch.no_grad():
        output = model(images())
    assert (found.method, found.layer) == ("attention", ":output[maps]")
    assert found.maps.equal(output.maps)
    assert found.logits is not None
    assert found.logits.equal(output.logits)
    torch.testing.assert_close(found.maps.sum((2, 3)), torch.ones(2, 5))


def test_place_that_is_told_can_be_given_back() -> None:
    model = own_method("mlc_nc")
    assert class_maps(model, images(), layer=":output[maps]").maps.equal(class_maps(model, images()).maps)
    inside = class_maps(model, images(), layer="head.attention:output[1]")
    assert inside.maps.equal(class_maps(model, images()).maps)


class Decoder(nn.Module):
    """A foreign class-wise head: attention ``[B, C, h w]``."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.queries, self.softmax = nn.Conv2d(3, 8, 4, stride=4), nn.Linear(8, 5), nn.Softmax(2)

    def forward(self, given: Tensor) -> Tensor:
        tokens = self.stem(given).flatten(2).transpose(1, 2)
        weights = self.softmax(self.queries(tokens).transpose(1, 2))
        logits: Tensor = (weights @ tokens).sum(2)
        return logits


def test_flat_maps_of_a_foreign_head_are_laid_out_on_the_stated_grid() -> None:
    model, given = Decoder(), images(2, (12, 20))
    found = class_maps(model, given, layer="softmax", grid=(3, 5), classes=[4, 0])
    with torch.no_grad():
        rows = model.softmax(model.queries(model.stem(given).flatten(2).transpose(1, 2)).transpose(1, 2))
    torch.testing.assert_close(found.maps, rows.reshape(2, 5, 3, 5)[:, [4, 0]])
    assert found.layer == "softmax:output"


def test_flat_maps_without_a_grid_or_with_another_are_refused() -> None:
    model, given = Decoder(), images(2, (12, 20))
    with pytest.raises(ValueError, match=r"softmax:output gives \[2, 5, 15\]: pass grid=\(ROWS, COLUMNS\).* is 15"):
        class_maps(model, given, layer="softmax")
    with pytest.raises(ValueError, match=r"which grid=\(4, 5\) does not fill: its product must be 15"):
        class_maps(model, given, layer="softmax", grid=(4, 5))


def test_places_that_hold_no_maps_of_the_classes_are_refused() -> None:
    model = own_method("mlc_nc")
    with pytest.raises(ValueError, match=r"backbone:output gives \[2, 64, 6, 6\], but maps \[2, 5, h, w\] of 2 images"):
        class_maps(model, images(), layer="backbone")
    with pytest.raises(ValueError, match=r"classifier:input gives \[2, 100\], but maps"):
        class_maps(model, images(), layer="classifier:input")


def test_model_without_a_class_wise_head_is_told_what_to_take() -> None:
    with pytest.raises(ValueError, match=r'ERM returns no attention maps.*method="cam" or "gradcam"'):
        class_maps(own_method("erm"), images())
