"""Types of methods' arguments that say which values make sense; a configuration is checked against them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from nctools.methods.label_choice import checked_choice
from nctools.methods.loss_choice import checked_loss, checked_settings

Width = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]
# The dropout of all is no feature at all.
Share = Annotated[float, Field(ge=0, lt=1)]
Chance = Annotated[float, Field(ge=0, le=1)]
# A threshold of probabilities: at 0 or 1 it would decide nothing.
Probability = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
LabelChoice = Annotated[str, AfterValidator(checked_choice)]
LossChoice = Annotated[str, AfterValidator(checked_loss)]
LossSettings = Annotated[str, AfterValidator(checked_settings)]
