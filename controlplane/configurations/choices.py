"""What the edit form offers: models by provider, templates with their versions."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.db import Json
from controlplane.prompts.models import PromptVersion
from controlplane.prompts.services import list_prompts
from controlplane.registry.models import Model
from controlplane.registry.services import list_models
from controlplane.runtime.entries import prompt_key

VERSIONS_SHOWN = 20

Entries = Mapping[str, Json]


@dataclass(frozen=True)
class Option:
    """One choice of a select."""

    value: str
    label: str
    disabled: bool = False


@dataclass(frozen=True)
class Group:
    """Choices that stand together."""

    label: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Choices:
    """Everything the form of one interaction's configuration lets one choose."""

    models: list[Group]
    fallbacks: list[Group]
    templates: list[Group]


def choices_for(session: Session, interaction: str, *, live: Entries) -> Choices:
    """The choices for an interaction; `live` tells which version of a template following it means today."""
    models = list_models(session)
    return Choices(
        models=_model_groups(models, _model_words),
        fallbacks=_model_groups(models, lambda model: model.code),
        templates=_template_groups(session, interaction, live),
    )


def _model_groups(models: Sequence[Model], words: Callable[[Model], str]) -> list[Group]:
    return [
        Group(provider, tuple(_model_option(model, words) for model in models if model.provider == provider))
        for provider in sorted({model.provider for model in models})
    ]


def _model_option(model: Model, words: Callable[[Model], str]) -> Option:
    label = words(model) if model.active else f"{words(model)} · not active"
    return Option(model.code, label, disabled=not model.active)


def _model_words(model: Model) -> str:
    limits = f"{_short(model.context_window)} context, {_short(model.max_output_tokens)} out"
    prices = model.input_price_per_million, model.output_price_per_million
    price = " / ".join(f"${each.normalize():f}" if each is not None else "not known" for each in prices)
    return f"{model.code} · {limits} · {price}"


def _short(tokens: int) -> str:
    return f"{tokens // 1000:,} k" if tokens >= 10_000 and tokens % 1000 == 0 else f"{tokens:,}"


def _template_groups(session: Session, interaction: str, live: Entries) -> list[Group]:
    codes = [prompt.code for prompt in list_prompts(session, interaction=interaction)]
    query = (
        select(
            PromptVersion.prompt_code,
            PromptVersion.number,
            PromptVersion.author_name,
            PromptVersion.created_at,
        )
        .where(PromptVersion.prompt_code.in_(codes))
        .order_by(PromptVersion.prompt_code, PromptVersion.number.desc())
    )
    versions: dict[str, list[Option]] = {code: [] for code in codes}
    for code, number, author, created_at in session.execute(query):
        day = f"{created_at.astimezone(dt.UTC):%d %b %Y}".lstrip("0")
        label = f"{code}, stay on version {number} ({author}, {day})"
        versions[code].append(Option(f"{code}@{number}", label))
    return [Group(code, (_following(code, live), *versions[code][:VERSIONS_SHOWN])) for code in codes]


def _following(code: str, live: Entries) -> Option:
    document = live.get(prompt_key(code))
    today = f"now version {document['version']}" if document else "not live here yet"
    return Option(code, f"{code}, follow the live version ({today})")
