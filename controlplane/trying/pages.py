"""What the page of a try shows: the text as it would be sent, whose call it could be, and what that costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from controlplane.configurations.documents import place_of
from controlplane.configurations.models import Configuration, ConfigurationVersion
from controlplane.prompts import services as prompts
from controlplane.prompts import tokens
from controlplane.prompts.models import Prompt
from controlplane.registry import cost
from controlplane.registry import models as registry
from controlplane.registry.documents import model_document
from controlplane.runtime import entries
from controlplane.runtime.providers import ProviderManager
from controlplane.runtime.renderer import Problem
from controlplane.samples import values
from controlplane.snippets.texts import IncludingPool
from controlplane.trying.calling import MOST_TOKENS_OUT, Settings

LIVE = "live"


@dataclass(frozen=True)
class Choice:
    """A configuration whose call the try could be, as it is saved."""

    key: str
    title: str
    code: str
    model: entries.Model
    settings: Settings
    uses_it: bool
    missing: str | None  # why its provider cannot be called here

    @property
    def price(self) -> cost.Price:
        """What its model costs."""
        return cost.Price(self.model.input_price_per_million, self.model.output_price_per_million)

    @property
    def label(self) -> str:
        """As a choice is read."""
        return f"{self.title} ({self.code}{'' if self.uses_it else ', takes another template'})"

    def estimate(self, input_tokens: int) -> Decimal | None:
        """Dollars for one call whose answer is as long as it may be."""
        return cost.of_call(self.price, input_tokens=input_tokens, output_tokens=self.settings.most_out)

    @property
    def limits(self) -> str:
        """How long the answer may be, in words."""
        if self.settings.max_tokens:
            return f"at most {self.settings.max_tokens:,} tokens out, as it is configured"
        return f"at most {MOST_TOKENS_OUT:,} tokens out here, as the configuration sets no limit"


@dataclass(frozen=True)
class Trial:
    """A text that could be sent: as it comes out, or why it does not."""

    code: str
    interaction: str
    what: str
    body: str
    typed: Mapping[str, str]
    text: str | None
    problems: Sequence[str]
    input_tokens: int
    choices: Sequence[Choice]
    mode: str

    @property
    def is_live(self) -> bool:
        """Whether somebody is called who wants to be paid."""
        return self.mode == LIVE

    def choice(self, key: str) -> Choice | None:
        """The configuration of this key."""
        return next((each for each in self.choices if each.key == key), None)

    def cost_words(self, choice: Choice) -> str:
        """What sending costs, before it is sent."""
        amount = choice.estimate(self.input_tokens)
        told = cost.dollars(amount)
        return told if amount is None else f"at most about {told}"


def trial(
    session: Session,
    prompt: Prompt,
    *,
    what: str,
    body: str,
    typed: Mapping[str, str],
    pool: IncludingPool,
    providers: ProviderManager,
) -> Trial:
    """Render the text with the values as typed, and say with what it could be tried; raises `RenderBusy`."""
    code, interaction = prompt.code, prompt.interaction
    declared = prompts.declared_parameters(session, interaction)
    choices = _choices(session, prompt, providers)
    # The workers take their time, and nothing of the database need wait for them.
    session.rollback()
    read = values.read(declared, typed)
    problems = [f"{name.removeprefix(values.PREFIX)}: {message}" for name, message in read.errors.items()]
    text = None
    if not problems:
        found = pool.preview(body, read.given, declared)
        text = found.text
        problems = [] if found.problem is None else [_told(found.problem)]
    return Trial(
        code=code,
        interaction=interaction,
        what=what,
        body=body,
        typed=typed,
        text=text,
        problems=problems,
        input_tokens=tokens.estimate(text or ""),
        choices=choices,
        mode=providers.mode,
    )


def _told(problem: Problem) -> str:
    return f"Line {problem.line}: {problem.message}." if problem.line else f"{problem.message}."


def _choices(session: Session, prompt: Prompt, providers: ProviderManager) -> list[Choice]:
    """Return the configurations of the template's interaction as they are saved, first those that take the template."""
    latest = (
        select(ConfigurationVersion)
        .ext(distinct_on(ConfigurationVersion.configuration_id))
        .order_by(ConfigurationVersion.configuration_id, ConfigurationVersion.number.desc())
        .subquery()
    )
    query = (
        select(Configuration, ConfigurationVersion, registry.Model)
        .join(latest, latest.c.configuration_id == Configuration.id)
        .join(ConfigurationVersion, ConfigurationVersion.id == latest.c.id)
        .join(registry.Model, registry.Model.code == ConfigurationVersion.model)
        .where(Configuration.interaction == prompt.interaction, Configuration.archived_at.is_(None))
        .order_by(Configuration.tier.nulls_first(), Configuration.tenant.nulls_first(), Configuration.id)
    )
    missing = {each.name: each.missing for each in providers.describe()}
    found = [
        _choice(configuration, version, model, prompt.code, missing)
        for configuration, version, model in session.execute(query)
    ]
    return sorted(found, key=lambda choice: not choice.uses_it)


def _choice(
    configuration: Configuration,
    version: ConfigurationVersion,
    model: registry.Model,
    code: str,
    missing: Mapping[str, str | None],
) -> Choice:
    place = place_of(configuration)
    return Choice(
        key=place.key,
        title=place.title,
        code=model.code,
        model=msgspec.convert(model_document(model), entries.Model),
        settings=Settings(
            temperature=_number(version.temperature),
            max_tokens=version.max_tokens,
            top_p=_number(version.top_p),
            frequency_penalty=_number(version.frequency_penalty),
            presence_penalty=_number(version.presence_penalty),
        ),
        uses_it=version.prompt_code == code,
        missing=missing.get(model.provider),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
