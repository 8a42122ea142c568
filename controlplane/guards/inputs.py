"""What people may choose for the guards of a rollout; a measure without a number is not watched."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from controlplane.guards.acts import OnBreach
from controlplane.guards.measures import Measure


def _tolerance(value: object) -> object:
    text = value.strip().removesuffix("%").strip() if isinstance(value, str) else value
    return None if text == "" else text


def _revision(value: object) -> int:
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


_Number = Annotated[float, Field(allow_inf_nan=False)]
Points = Annotated[Annotated[_Number, Field(ge=0.1, le=100)] | None, BeforeValidator(_tolerance)]
Percent = Annotated[Annotated[_Number, Field(ge=1, le=1_000)] | None, BeforeValidator(_tolerance)]


class GuardsInput(BaseModel):
    """The form."""

    on_breach: OnBreach
    least_calls: Annotated[int, Field(ge=10, le=100_000)]
    revision: Annotated[int, BeforeValidator(_revision)] = -1
    errors: Points = None
    fallbacks: Points = None
    slow: Points = None
    unusable: Points = None
    length: Percent = None
    cost: Percent = None

    @property
    def tolerances(self) -> Mapping[Measure, float]:
        """The measures that are watched."""
        named = {measure: getattr(self, measure.value) for measure in Measure}
        return {measure: value for measure, value in named.items() if value is not None}
