"""The kinds of field that requests are made of, each with its bounds."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from controlplane.runtime.parameters import MAX_TOTAL_BYTES, MAX_VALUE_BYTES

Code = Annotated[str, Field(min_length=1, max_length=64)]
Name = Annotated[str, Field(max_length=256)]
Text = Annotated[str, Field(max_length=MAX_VALUE_BYTES)]


def _check_value(value: Any) -> Any:
    if _size(value) > MAX_VALUE_BYTES:
        raise ValueError(f"a value may have {MAX_VALUE_BYTES:,} bytes at most")
    return value


def _check_total(values: dict[str, Any]) -> dict[str, Any]:
    if sum(map(_size, values.values())) > MAX_TOTAL_BYTES:
        raise ValueError(f"all values together may have {MAX_TOTAL_BYTES:,} bytes at most")
    return values


def _size(value: object) -> int:
    """The bytes of a value; what cannot be sent on, to a model or back, is refused here and not where it breaks."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)
        return len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is no text") from None
    except ValueError:
        raise ValueError("NaN and Infinity are no JSON") from None


Values = Annotated[
    dict[Code, Annotated[Any, AfterValidator(_check_value)]],
    Field(max_length=200, description="Values by their names."),
    AfterValidator(_check_total),
]


class Strict(BaseModel):
    """A body in which a misspelt field is an error: passed over, the caller would believe that it has an effect."""

    model_config = ConfigDict(extra="forbid")
