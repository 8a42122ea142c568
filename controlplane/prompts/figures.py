"""The figures beside the editor: about how many tokens the text has, what calls cost with it, and how it begins them all.

basis = figures.basis(session, "production", "coaching_response")     what it is compared with, and whose calls it is
basis.figures(text, ...)                                              a Figures for `_figures.html`
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import column, func, select, table
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from controlplane.prompts import usage
from controlplane.prompts.documents import digest
from controlplane.prompts.models import PromptVersion
from controlplane.prompts.prefix import WORTH_KEEPING, Prefix, literal
from controlplane.prompts.render_pool import RenderBusy, RenderPool
from controlplane.prompts.tokens import METHOD, estimate
from controlplane.registry import cost
from controlplane.registry.models import Model
from controlplane.runtime import canonical
from controlplane.runtime.entries import DEFAULT_TIER, Parameter

NEARLY_FULL: Final = Decimal("0.8")
_MOST_NAMED: Final = 3
_MOST_REMEMBERED: Final = 500
# Of texts that are compared with at every key: rendering is a pure function, and what is live stays while somebody types.
_known_tokens: OrderedDict[str, int | None] = OrderedDict()

# Tables of a feature above this one, named column by column as in `usage`.
_configurations = table(
    "configurations", *map(column, ("id", "interaction", "tier", "tenant", "archived_at"))
)
_versions = table(
    "configuration_versions",
    *map(column, ("configuration_id", "number", "prompt_code", "model", "max_tokens", "fallbacks")),
)


class Window(NamedTuple):
    """What a model takes, and how much of that its answer needs: a fallback that gives less is asked for no more."""

    model: str
    tokens: int
    answer: int

    def share(self, text: int) -> Decimal:
        """How full it is with so many tokens of text; more than 1 does not fit."""
        return Decimal(text + self.answer) / self.tokens


@dataclass(frozen=True)
class Call:
    """Configurations that call alike: one model, one limit, the same fallbacks."""

    names: tuple[str, ...]
    model: str
    price: cost.Price
    max_tokens: int | None
    windows: tuple["Window", ...]

    @property
    def who(self) -> str:
        """The configurations in few words."""
        rest = len(self.names) - _MOST_NAMED
        return ", ".join(self.names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


@dataclass(frozen=True)
class Line:
    """What calls of some configurations cost; `crowded` says which windows the text fills."""

    who: str
    model: str
    cost: str
    was: str | None
    change: str
    crowded: tuple[str, ...]
    is_too_long: bool

    @property
    def words(self) -> str:
        """As it is read: "$0.24 per 1,000 calls (was $0.19, +26 %)"."""
        if self.cost == cost.dollars(None):
            return "cost not known"
        was = f" (was {self.was}, {self.change})" if self.was else ""
        return f"{self.cost} per 1,000 calls{was}"


@dataclass(frozen=True)
class Figures:
    """Everything that stands in `_figures.html`."""

    tokens: int
    was: int | None
    lines: tuple[Line, ...]
    beginning: Prefix | None
    method: str = METHOD
    basis: str = cost.MEASURED_BASIS

    @property
    def size(self) -> str:
        """The tokens in words."""
        was = f" (was {self.was:,})" if self.was is not None and self.was != self.tokens else ""
        return f"about {self.tokens:,} input token{'s' if self.tokens != 1 else ''}{was}"

    @property
    def beginning_words(self) -> str | None:
        """How every call begins, and what that is good for."""
        found = self.beginning
        if found is None or found.whole or found.ended_by is None:
            return None
        told = f"At least the first {found.characters:,} characters, about {found.tokens:,} tokens, are the same in every call: {found.ended_by} stands on line {found.line}."
        if found.tokens >= WORTH_KEEPING:
            return f"{told} Many providers bill such a beginning at a discount."
        return f"{told} From about {WORTH_KEEPING:,} on many providers bill a beginning at a discount."


@dataclass(frozen=True)
class Basis:
    """What is live of a template here, and the configurations whose calls it is in."""

    live: str | None
    calls: tuple[Call, ...]

    def figures(
        self,
        body: str,
        text: str,
        *,
        given: Mapping[str, Any],
        declared: Sequence[Parameter],
        pool: RenderPool,
    ) -> Figures:
        """Return the figures of a text with these values, against the live one with the same."""
        count = estimate(text)
        was = _tokens_of(pool, self.live, given, declared) if self.live and self.live != body else None
        return Figures(
            tokens=count,
            was=was,
            lines=tuple(_line(call, count, was) for call in self.calls),
            beginning=literal(body, declared),
        )


NOTHING: Final = Basis(None, ())


def basis(session: Session, environment: str, code: str) -> Basis:
    """Return what a template's text is compared with in an environment, and the configurations that take it as saved."""
    live = usage.live(session, code).get(environment)
    body = None
    if live is not None:
        body = session.scalar(
            select(func.coalesce(PromptVersion.expanded, PromptVersion.body)).where(
                PromptVersion.prompt_code == code, PromptVersion.number == live.version
            )
        )
    return Basis(body, tuple(_calls(session, code)))


def _calls(session: Session, code: str) -> list[Call]:
    latest = (
        select(
            _configurations.c.id,
            _configurations.c.interaction,
            _configurations.c.tier,
            _configurations.c.tenant,
            _versions.c.prompt_code,
            _versions.c.model,
            _versions.c.max_tokens,
            _versions.c.fallbacks,
        )
        .join(_versions, _versions.c.configuration_id == _configurations.c.id)
        .where(_configurations.c.archived_at.is_(None))
        .ext(distinct_on(_configurations.c.id))
        .order_by(_configurations.c.id, _versions.c.number.desc())
        .subquery()
    )
    rows = session.execute(
        select(latest)
        .where(latest.c.prompt_code == code)
        .order_by(latest.c.interaction, latest.c.tier.nulls_first(), latest.c.tenant.nulls_first())
    ).all()
    models = {
        model.code: model
        for model in session.scalars(
            select(Model).where(
                Model.code.in_({name for row in rows for name in (row.model, *row.fallbacks)})
            )
        )
    }
    alike: dict[tuple[Any, ...], list[str]] = {}
    for row in rows:
        name = " · ".join(filter(None, (row.tier or DEFAULT_TIER, row.tenant)))
        alike.setdefault((row.model, row.max_tokens, tuple(row.fallbacks)), []).append(name)
    return [
        Call(
            names=tuple(names),
            model=model,
            price=cost.Price(models[model].input_price_per_million, models[model].output_price_per_million),
            max_tokens=max_tokens,
            windows=tuple(
                Window(
                    each,
                    models[each].context_window,
                    min(max_tokens or 0, models[each].max_output_tokens),
                )
                for each in (model, *fallbacks)
                if each in models
            ),
        )
        for (model, max_tokens, fallbacks), names in alike.items()
    ]


def _line(call: Call, count: int, was: int | None) -> Line:
    after = cost.per_thousand_calls(call.price, max_tokens=call.max_tokens, input_tokens=count)
    before = (
        None
        if was is None
        else cost.per_thousand_calls(call.price, max_tokens=call.max_tokens, input_tokens=was)
    )
    full = [(each.model, each.share(count)) for each in call.windows if each.share(count) > NEARLY_FULL]
    return Line(
        who=call.who,
        model=call.model,
        cost=cost.dollars(after),
        was=cost.dollars(before)
        if cost.dollars(before) != cost.dollars(after) and before is not None
        else None,
        change=cost.change_in_words(before, after),
        crowded=tuple(
            f"{round(share * 100):,} % of what {model}{'' if model == call.model else ', a fallback,'} takes"
            for model, share in full
        ),
        is_too_long=any(share > 1 for _, share in full),
    )


def _tokens_of(
    pool: RenderPool, body: str, given: Mapping[str, Any], declared: Sequence[Parameter]
) -> int | None:
    """Return the tokens of the live text with these values; None when it fails with them, or nobody is free to try."""
    try:
        key = f"{digest(body)} {canonical.digest(canonical.dumps(dict(given)))} {[each.name for each in declared]}"
        if key not in _known_tokens:
            text = pool.preview(body, given, declared).text
            _known_tokens[key] = None if text is None else estimate(text)
            if len(_known_tokens) > _MOST_REMEMBERED:
                _known_tokens.popitem(last=False)
        return _known_tokens[key]
    except (RenderBusy, ValueError, KeyError):
        return None
