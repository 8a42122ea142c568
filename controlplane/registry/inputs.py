"""What people, the API and first data may send for the registry; checked once, all errors together."""

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from controlplane.audit.keys_in_text import problem_of
from controlplane.errors import FieldError
from controlplane.registry import structure
from controlplane.runtime import canonical, entries
from controlplane.runtime.entries import PARAMETER_TYPES
from controlplane.runtime.parameters import misfits, type_problem
from controlplane.runtime.profile import RESERVED as TEMPLATE_WORDS

UPPER_CODE: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
LOWER_CODE: Final = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
# No "_" in front: templates cannot name such a value.
PARAMETER_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
FIELD_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# First words of addresses without an environment, of today and of what is planned: the page of an environment of that
# name could not be reached.
RESERVED_ENVIRONMENTS: Final = frozenset(
    (
        "_", "api", "changes", "configurations", "environments", "explain", "health", "healthz", "help", "interactions",
        "models", "notifications", "people", "proposals", "search", "settings", "sign-in", "sign-out", "static",
        "templates", "tiers", "v1",
    )
)  # fmt: skip
# A tier of this name would be taken for "no tier" in keys and addresses.
RESERVED_TIERS: Final = frozenset({"default"})
MODEL_PARAMETERS: Final = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
CAPABILITIES: Final = ("chat", "streaming", "tools", "vision")
PROVIDERS: Final = ("bedrock", "openai", "anthropic", "echo")
RECORDED_CHOICES: Final = {"no": "Nothing", "length": "How long it is", "yes": "The value"}
MOST_PARAMETERS: Final = 40
# Types whose examples a form sends as JSON, and how one looks.
_SPELLED: Final = {
    "number": "72",
    "boolean": "true",
    "list": '["Candour", "Craft"]',
    "object": '{"purpose": "Help small firms grow"}',
}
MOST_TOKENS: Final = 100_000_000


def _one_line(longest: int) -> BeforeValidator:
    def check(value: object) -> object:
        if not isinstance(value, str):
            return value
        text = " ".join(value.split())
        if "\x00" in text:
            raise ValueError("This holds a character that cannot be stored.")
        if len(text) > longest:
            raise ValueError(f"Keep it to {longest} characters; these are {len(text)}.")
        return text

    return BeforeValidator(check)


def _matches(pattern: re.Pattern[str], wanted: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(wanted)
        return value

    return AfterValidator(check)


@AfterValidator
def _without_keys(value: str) -> str:
    if problem := problem_of(value):
        raise ValueError(problem)
    return value


def _not_one_of(words: frozenset[str], because: str) -> AfterValidator:
    def check(value: str) -> str:
        if value in words:
            raise ValueError(f"“{value}” cannot be taken: {because}.")
        return value

    return AfterValidator(check)


UpperCode = Annotated[
    str,
    _one_line(64),
    _matches(
        UPPER_CODE, "Use capital letters, digits and single underscores, for example COACHING_RESPONSE."
    ),
]
LowerCode = Annotated[
    str,
    _one_line(32),
    _matches(LOWER_CODE, "Use small letters, digits and single hyphens, for example premium."),
]
TierCode = Annotated[
    str,
    _one_line(32),
    # A tier's code stands in the keys of entries, and those take no hyphen.
    _matches(entries.LOWER_CODE, "Use small letters, digits and underscores, for example premium."),
    _not_one_of(RESERVED_TIERS, "it means “no tier” in addresses"),
]
Name = Annotated[str, _one_line(80)]
Line = Annotated[str, _one_line(500), _without_keys]
Tokens = Annotated[int, Field(ge=1, le=MOST_TOKENS)]
Price = Annotated[Decimal, Field(ge=0, le=100_000, decimal_places=4, max_digits=12)]


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TierInput(_Input):
    """A subscription level."""

    code: TierCode
    name: Name
    rank: Annotated[int, Field(ge=0, le=1000)]


class EnvironmentInput(_Input):
    """A place with its own live set, and its rules of going live.

    A protected one asks for a reason; `approvals` says how many others have to agree to a proposal.
    """

    code: Annotated[LowerCode, _not_one_of(RESERVED_ENVIRONMENTS, "a page of this site begins with it")]
    name: Name
    protected: bool = False
    # An empty field of a form sends None, which means the default here as everywhere.
    position: Annotated[
        int, BeforeValidator(lambda value: 0 if value is None else value), Field(ge=0, le=1000)
    ] = 0
    approvals: Annotated[
        int, BeforeValidator(lambda value: 0 if value is None else value), Field(ge=0, le=2)
    ] = 0
    self_approval: bool = False
    publish_role: Annotated[
        Literal["publisher", "admin"], BeforeValidator(lambda value: value or "publisher")
    ] = "publisher"


class ModelInput(_Input):
    """A model of a provider. Prices are US dollars per million tokens; left empty, they are not known."""

    code: UpperCode
    provider: LowerCode
    provider_model_id: Annotated[str, _one_line(200)]
    context_window: Tokens
    max_output_tokens: Tokens
    input_price_per_million: Price | None = None
    output_price_per_million: Price | None = None
    capabilities: list[LowerCode] = []
    parameters: list[str] = []
    active: bool = True
    retires_on: dt.date | None = None
    note: Line | None = None

    @model_validator(mode="after")
    def _parameters_are_known(self) -> "ModelInput":
        unknown = [name for name in self.parameters if name not in MODEL_PARAMETERS]
        if unknown:
            raise FieldError("parameters", f"Not a parameter that can be sent: {', '.join(unknown)}.")
        if self.max_output_tokens > self.context_window:
            raise FieldError("max_output_tokens", "A model cannot write more than its context window holds.")
        return self


def _absent(value: object) -> bool:
    # What is not declared is left out, so that what was declared before there was such a thing stays the same document.
    return not value


class _StructureInput(_Input):
    """What an object or a list holds, as far as that is declared."""

    fields: Annotated[list["FieldInput"], Field(max_length=structure.MOST_FIELDS, exclude_if=_absent)] = []
    items: Annotated["ItemsInput | None", Field(exclude_if=_absent)] = None

    @property
    def depth(self) -> int:
        """How deep fields stand in each other."""
        inner = [*self.fields, *([self.items] if self.items else [])]
        return max((1 + each.depth for each in inner), default=0)


class ItemsInput(_StructureInput):
    """What the members of a list are."""

    type: Literal["string", "text", "number", "boolean", "list", "object"]


class FieldInput(_StructureInput):
    """One field of an object."""

    name: Annotated[str, _one_line(64), _matches(FIELD_NAME, "Use letters, digits and underscores.")]
    type: Literal["string", "text", "number", "boolean", "list", "object"]
    optional: Annotated[bool, Field(exclude_if=_absent)] = False
    description: Annotated[str, _one_line(structure.LONGEST_DESCRIPTION), Field(exclude_if=_absent)] = ""


class ParameterInput(_StructureInput):
    """One value that the prompts of an interaction may use."""

    name: Annotated[
        str,
        _one_line(64),
        _matches(PARAMETER_NAME, "Use small letters, digits and underscores, for example user_message."),
        _not_one_of(TEMPLATE_WORDS, "it is a word of the template language"),
    ]
    type: str
    required: bool = False
    untrusted: Annotated[bool, Field(exclude_if=_absent)] = False
    recorded: Annotated[
        Literal["no", "length", "yes"],
        BeforeValidator(lambda value: value or "no"),
        Field(exclude_if=lambda value: value == "no"),
    ] = "no"
    description: Line = ""
    example: Any = None

    @model_validator(mode="before")
    @classmethod
    def _structure_from_a_form(cls, given: Any) -> Any:
        """Read what an object or a list holds from the text that a form sends."""
        if not isinstance(given, dict) or "structure" not in given:
            return given
        rest = {name: value for name, value in given.items() if name != "structure"}
        try:
            return rest | structure.read_structure(str(given.get("type")), given["structure"] or "")
        except structure.StructureRefused as refused:
            raise FieldError("structure", str(refused)) from None

    @model_validator(mode="before")
    @classmethod
    def _example_from_a_form(cls, given: Any) -> Any:
        """Read an example that came as text, as from a form, as JSON, unless text is what is wanted."""
        if not isinstance(given, dict) or given.get("type") not in _SPELLED:
            return given
        example = given.get("example")
        if not isinstance(example, str):
            return given
        try:
            return given | {"example": canonical.loads(example)}
        except ValueError:
            raise FieldError(
                "example", f"Write the {given['type']} as JSON, for example {_SPELLED[given['type']]}."
            ) from None

    @model_validator(mode="after")
    def _example_is_of_the_type(self) -> "ParameterInput":
        if self.type not in PARAMETER_TYPES:
            raise FieldError("type", f"Choose one of {', '.join(PARAMETER_TYPES)}.")
        if self.example is None and self.required:
            raise FieldError("example", "Give an example: previews and checks begin with it.")
        if self.example is not None:
            _refuse_example(self.type, self.example)
        return self

    @model_validator(mode="after")
    def _structure_fits(self) -> "ParameterInput":
        if self.depth > structure.DEEPEST + 1:
            deepest = structure.DEEPEST
            raise FieldError("structure", f"Fields stand at most {deepest} deep in each other.")
        if self.example is None or not (self.fields or self.items):
            return self
        declared = msgspec.convert(self.model_dump(), entries.Parameter)
        for path, problem in misfits(declared, self.example):
            raise FieldError("example", f"The example is not as declared: {path}: {problem}.")
        return self


class InteractionInput(_Input):
    """A named place in the product that calls a model."""

    code: UpperCode
    category: LowerCode
    description: Line = ""
    parameters: Annotated[list[ParameterInput], Field(max_length=MOST_PARAMETERS)] = []

    @model_validator(mode="after")
    def _names_differ(self) -> "InteractionInput":
        twice = _first_repeated([parameter.name for parameter in self.parameters])
        if twice:
            raise FieldError("parameters", f"Two parameters are called {twice}.")
        return self


class ReasonInput(_Input):
    """Why something is archived or brought back."""

    reason: Annotated[Line, Field(min_length=3)]


def spell_example(parameter: Mapping[str, Any]) -> str:
    """An example as a form shows it: text as it is, all else as JSON."""
    example = parameter.get("example")
    if example is None:
        return ""
    return example if isinstance(example, str) else json.dumps(example, ensure_ascii=False)


def _first_repeated(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _refuse_example(kind: str, example: object) -> None:
    if type_problem(kind, example):
        raise FieldError("example", f"This is not a {kind}.")
    try:
        written = canonical.dumps(example)
    except ValueError as problem:
        raise FieldError("example", f"This example cannot be used: {problem}.") from None
    # The database's JSON holds no NUL. A backslash that was typed is two in JSON, and no part of an escape.
    if b"\\u0000" in written.replace(b"\\\\", b""):
        raise FieldError("example", "This holds a character that cannot be stored.")
