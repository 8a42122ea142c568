"""What people may send about reviews, checked once."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, Field, model_validator

from controlplane.errors import FieldError
from controlplane.reviews.risk import Hours
from controlplane.reviews.rules import Rule, Rules


def _is_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("Enter a zone such as Europe/Berlin.")
    ZoneInfo(value)
    return value


Comment = Annotated[str, Field(max_length=10_000)]
Days = Annotated[int, Field(ge=1, le=365)]
Hour = Annotated[int, Field(ge=0, le=24)]
LEAST = (1, 2, 3, 4)
SAMPLES = (0, 1, 2, 5, 10, 20, 50, 100)


class AnswerInput(BaseModel):
    """What somebody says of a change after the fact, on its page or in the queue."""

    answer: Literal["reviewed", "queried", "disputed"]
    comment: Comment | None = None
    steps: int | None = None
    back: str | None = None


class ReplyInput(BaseModel):
    """Something said in the look at a change; a name of its own, since the form beside it has a comment."""

    reply: Comment | None = None


class SignOffInput(BaseModel):
    """The statement over a set of changes, with what names the set that was shown."""

    statement: Comment | None = None
    count: int
    sha256: Annotated[str, Field(max_length=64)]
    through: Annotated[str, Field(max_length=26)]
    at: Annotated[str, Field(max_length=40)]


class RuleInput(BaseModel):
    """The rule of one environment."""

    code: str
    least: int
    sample: int

    @model_validator(mode="after")
    def _is_offered(self) -> Self:
        if self.least not in LEAST:
            raise FieldError("least", "Choose one of these.")
        if self.sample not in SAMPLES:
            raise FieldError("sample", "Choose one of these.")
        return self


class RulesInput(BaseModel):
    """All rules at once."""

    rules: list[RuleInput] = Field(default_factory=list)
    zone: Annotated[str, AfterValidator(_is_zone)]
    begin: Hour
    end: Hour
    days_high: Days
    days_medium: Days
    days_low: Days
    newcomer_days: Annotated[int, Field(ge=0, le=365)]
    revision: int

    @model_validator(mode="after")
    def _make_sense_together(self) -> Self:
        if self.end <= self.begin:
            raise FieldError("end", "This is not after the first hour.")
        if not self.days_high <= self.days_medium <= self.days_low:
            raise FieldError("days_high", "What is riskier cannot have longer.")
        return self

    def rules_for(self, known: Sequence[str], defaults: Mapping[str, Rule]) -> Rules:
        """As the services take them: what is as by default has no rule of its own, what is not known is left out."""
        given = {each.code: Rule(each.least, each.sample) for each in self.rules if each.code in known}
        return Rules(
            environments={code: rule for code, rule in given.items() if rule != defaults[code]},
            hours=Hours(self.zone, self.begin, self.end),
            days_high=self.days_high,
            days_medium=self.days_medium,
            days_low=self.days_low,
            newcomer_days=self.newcomer_days,
        )
