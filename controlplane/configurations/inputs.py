"""What people, the API and first data may send as a version of a configuration; checked once, all errors together.

Only what can be said without the registry is checked here; whether a model exists or takes a parameter is `checks.py`.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Protocol

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from controlplane.audit.keys_in_text import problem_of
from controlplane.errors import Refused

REASON_LIMIT: Final = 500
MAX_FALLBACKS: Final = 3
# Far above any model's limit; it only keeps a slip of the finger inside what the column can hold.
MOST_TOKENS: Final = 10_000_000
MOST_VERSIONS: Final = 1_000_000
_ASCII_NUMBER: Final = re.compile(r"[+-]?(\d{1,12}(\.\d{0,30})?|\.\d{1,30})", re.ASCII)


def _wrong(message: str) -> PydanticCustomError:
    # The message goes through a template of pydantic's own: as a value it is left as it is.
    return PydanticCustomError("refused", "{message}", {"message": message})


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _code(what: str) -> BeforeValidator:
    def check(value: object) -> str:
        if _blank(value):
            raise _wrong(f"Choose a {what}.")
        if not isinstance(value, str) or "\x00" in value or len(value) > 64:
            raise _wrong(f"This is not the code of a {what}.")
        return value.strip()

    return BeforeValidator(check)


def _number(low: int, high: int, example: str) -> BeforeValidator:
    wanted = f"Give a number from {low} to {high}, for example {example}, or leave it empty."

    def check(value: object) -> Decimal | None:
        if _blank(value):
            return None
        number = _decimal(value)
        if number is None or not low <= number <= high:
            raise _wrong(wanted)
        if number != round(number, 3):
            raise _wrong("Give at most three decimals.")
        return round(number, 3).normalize() + 0

    return BeforeValidator(check)


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    text = str(value).strip()
    if isinstance(value, str) and not _ASCII_NUMBER.fullmatch(text):
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _whole(low: int, high: int, wanted: str) -> BeforeValidator:
    def check(value: object) -> int | None:
        if _blank(value):
            return None
        number = _decimal(value)
        if number is None or number != number.to_integral_value() or not low <= number <= high:
            raise _wrong(wanted)
        return int(number)

    return BeforeValidator(check)


def _fallbacks(value: object) -> list[str]:
    if _blank(value):
        return []
    if not isinstance(value, list | tuple):
        raise _wrong("Give the fallbacks as a list of model codes.")
    codes = [str(code).strip() for code in value if not _blank(code)]
    if any("\x00" in code or len(code) > 64 for code in codes):
        raise _wrong("One of these is not the code of a model.")
    if len(codes) > MAX_FALLBACKS:
        raise _wrong(f"Choose at most {MAX_FALLBACKS} fallbacks.")
    if len(set(codes)) != len(codes):
        raise _wrong("The same model stands here twice: each fallback is tried only once.")
    return codes


def _moment(value: object) -> dt.datetime | None:
    if _blank(value):
        return None
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            raise _wrong("Give a date and a time, for example 2026-12-01T09:00.") from None
    if not isinstance(value, dt.datetime):
        raise _wrong("Give a date and a time, for example 2026-12-01T09:00.")
    if value.tzinfo is None:
        raise _wrong("Say in which time zone: without one, this is another moment in every place.")
    try:
        return value.astimezone(dt.UTC)
    except OverflowError:
        raise _wrong("This date is out of reach.") from None


def _reason(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if len(text) < 3 or "\x00" in text:
        raise _wrong("Say why in a few words: whoever looks at this at night will be glad of it.")
    if len(text) > REASON_LIMIT:
        raise _wrong(f"Say it in at most {REASON_LIMIT} characters; these are {len(text)}.")
    if problem := problem_of(text):
        raise _wrong(problem)
    return text


def check_reason(text: str) -> str:
    """The reason of a change that has no other values; raises `Refused` with the message for its field."""
    try:
        return _reason(text)
    except PydanticCustomError as error:
        raise Refused({"reason": error.message()}) from None


Moment = Annotated[dt.datetime | None, BeforeValidator(_moment)]
Penalty = Annotated[Decimal | None, _number(-2, 2, "0.5")]


class ConfigurationInput(BaseModel):
    """One version of a configuration: its settings and why they are as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Annotated[str, _code("model")] = Field(default="", validate_default=True)
    prompt: Annotated[str, _code("template")] = Field(default="", validate_default=True)
    prompt_version: Annotated[
        int | None, _whole(1, MOST_VERSIONS, "Choose a version, or follow the live one.")
    ] = None
    temperature: Annotated[Decimal | None, _number(0, 2, "0.7")] = None
    max_tokens: Annotated[
        int | None,
        _whole(1, MOST_TOKENS, "Give a whole number of tokens from 1, for example 2048, or leave it empty."),
    ] = None
    top_p: Annotated[Decimal | None, _number(0, 1, "0.9")] = None
    frequency_penalty: Penalty = None
    presence_penalty: Penalty = None
    fallbacks: Annotated[list[str], BeforeValidator(_fallbacks)] = []
    effective_from: Moment = None
    effective_until: Moment = None
    active: bool = True
    reason: Annotated[str, BeforeValidator(_reason)] = Field(default="", validate_default=True)

    # On the later field and not on the whole: a mistake elsewhere must not hide these.
    @field_validator("effective_until", mode="after")
    @classmethod
    def _after_the_beginning(cls, end: dt.datetime | None, info: ValidationInfo) -> dt.datetime | None:
        begin = info.data.get("effective_from")
        if begin and end and end <= begin:
            raise _wrong("The end must be later than the beginning.")
        return end

    @field_validator("fallbacks", mode="after")
    @classmethod
    def _other_than_the_model(cls, codes: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("model") in codes:
            raise _wrong(f"{info.data['model']} is the model itself: a fallback must be another one.")
        return codes


@dataclass(frozen=True)
class Reading:
    """What came, read: the values when all is well, else a message for each field that is not."""

    values: ConfigurationInput | None
    errors: dict[str, str]
    # Everything that could be read, with stand-ins for the rest: lets the registry's rules be told in the same answer.
    partial: ConfigurationInput | None


_STAND_INS: Final = {"model": "?", "prompt": "?", "reason": "not given yet"}


def read(raw: Mapping[str, Any]) -> Reading:
    """Check all fields at once."""
    errors = _errors(raw)
    if not errors:
        values = ConfigurationInput.model_validate(raw)
        return Reading(values, {}, values)
    rest = {name: value for name, value in raw.items() if name not in errors}
    mended = {**rest, **{name: value for name, value in _STAND_INS.items() if name in errors}}
    return Reading(None, errors, None if _errors(mended) else ConfigurationInput.model_validate(mended))


def _errors(raw: Mapping[str, Any]) -> dict[str, str]:
    try:
        ConfigurationInput.model_validate(raw)
    except ValidationError as error:
        return {str(found["loc"][0]) if found["loc"] else "": found["msg"] for found in error.errors()}
    return {}


class Form(Protocol):
    """What is needed of a posted form."""

    def get(self, key: str, default: str, /) -> str:
        """The first value of a field."""

    def getlist(self, key: str, /) -> list[str]:
        """All values of a field, in order."""


# What a browser's date field sends: never a zone. The form says UTC beside the field and sends it along.
_LOCAL_TIME: Final = re.compile(r"\d{4,}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)
_PLAIN_FIELDS: Final = (
    "model",
    "temperature",
    "max_tokens",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "reason",
)


def from_form(form: Form) -> dict[str, Any]:
    """The fields of the edit form as `ConfigurationInput` wants them.

    The template comes as one choice, "code" to follow the live version or "code@3" to pin one, so that a version can
    never belong to another template.
    """
    prompt, _, version = form.get("template", "").partition("@")
    zone = form.get("zone", "")
    return {
        **{name: form.get(name, "") for name in _PLAIN_FIELDS},
        "prompt": prompt,
        "prompt_version": version,
        "fallbacks": form.getlist("fallbacks"),
        "effective_from": _with_zone(form.get("effective_from", ""), zone),
        "effective_until": _with_zone(form.get("effective_until", ""), zone),
        "active": form.get("active", "") == "true",
    }


def to_form(values: ConfigurationInput) -> dict[str, Any]:
    """The same way back, for a form to be filled."""
    pin = f"@{values.prompt_version}" if values.prompt_version is not None else ""
    return {
        **{name: getattr(values, name) for name in _PLAIN_FIELDS},
        "template": f"{values.prompt}{pin}",
        "fallbacks": values.fallbacks,
        "effective_from": values.effective_from,
        "effective_until": values.effective_until,
        "active": values.active,
    }


def form_errors(errors: Mapping[str, str]) -> dict[str, str]:
    """Messages by the form's own fields: template and version are one choice there."""
    found: dict[str, str] = {}
    for name, message in errors.items():
        found.setdefault("template" if name in ("prompt", "prompt_version") else name, message)
    return found


def _with_zone(text: str, zone: str) -> str:
    text = text.strip()
    return f"{text}Z" if zone == "UTC" and _LOCAL_TIME.fullmatch(text) else text
