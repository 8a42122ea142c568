"""How stored templates stand to what their interactions declare today: told where they are listed, and nothing is broken.

A version that was saved before the editor looked so closely, or whose interaction has changed since, goes on rendering as
it did; here people find it. What was found is remembered under all that it depends on, so that a list costs little.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from controlplane.prompts.contract import Verdict
from controlplane.prompts.models import Prompt, PromptVersion
from controlplane.prompts.render_jobs import Held
from controlplane.prompts.render_pool import RenderBusy, RenderPool
from controlplane.registry.models import Interaction
from controlplane.runtime import canonical
from controlplane.runtime.entries import Parameter
from controlplane.samples.models import Sample
from controlplane.snippets.expansion import Expanded, SnippetProblem
from controlplane.snippets.texts import Library, library_for

_AT_A_TIME: Final = 40
_MOST_REMEMBERED: Final = 5_000
_known: OrderedDict[str, list[Verdict]] = OrderedDict()
_change = threading.Lock()


def verdicts_of(session: Session, pool: RenderPool, codes: Sequence[str]) -> dict[str, list[Verdict]]:
    """Return what is wrong with the latest version of each of these templates, where something is.

    Of a text that could not be looked at now, because the workers are busy, nothing is said.
    """
    query = (
        select(Prompt.code, Prompt.interaction, PromptVersion.body, PromptVersion.expanded)
        .ext(distinct_on(Prompt.code))
        .join(PromptVersion, PromptVersion.prompt_code == Prompt.code)
        .where(Prompt.code.in_(codes))
        .order_by(Prompt.code, PromptVersion.number.desc())
    )
    rows = session.execute(query).all()
    declared = _declared(session, {row.interaction for row in rows})
    samples = _samples(session, declared)
    library = library_for(session, *(row.body for row in rows))
    whole = {row.code: _whole(library, row.body, row.expanded) for row in rows}
    texts = {
        row.code: Held(whole[row.code].text, declared[row.interaction], samples.get(row.interaction, ()))
        for row in rows
        if row.interaction in declared
    }
    return {
        code: [whole[code].judged(each) for each in found]
        for code, found in _looked_at(pool, texts).items()
        if found
    }


def hold(pool: RenderPool, texts: Sequence[Held]) -> list[list[Verdict] | None]:
    """Return what is wrong with each text, remembering it; None of one that there was no time for. Raises `RenderBusy`."""
    names = [_digest(text) for text in texts]
    waiting = {name: text for name, text in zip(names, texts, strict=True) if name not in _known}
    for begin in range(0, len(waiting), _AT_A_TIME):
        batch = dict(list(waiting.items())[begin : begin + _AT_A_TIME])
        for name, found in zip(batch, pool.hold(list(batch.values())), strict=True):
            if found is not None:
                _remember(name, found)
    return [_known.get(name) for name in names]


def _whole(library: Library, body: str, kept: str | None) -> Expanded:
    """Return a text with its snippets put in, told of by the lines that were written, where that can still be done."""
    try:
        return library.expand(body)
    except SnippetProblem:
        return Expanded(body if kept is None else kept)


def _looked_at(pool: RenderPool, texts: dict[str, Held]) -> dict[str, list[Verdict]]:
    try:
        found = hold(pool, list(texts.values()))
    except RenderBusy:
        return {}
    return {code: verdicts for code, verdicts in zip(texts, found, strict=True) if verdicts}


def _declared(session: Session, codes: Iterable[str]) -> dict[str, tuple[Parameter, ...]]:
    query = select(Interaction.code, Interaction.parameters).where(Interaction.code.in_(codes))
    found = session.execute(query.order_by(Interaction.code))
    return {code: msgspec.convert(parameters, tuple[Parameter, ...]) for code, parameters in found}


def _samples(session: Session, codes: Iterable[str]) -> dict[str, tuple[dict[str, object], ...]]:
    query = select(Sample.interaction, Sample.values).where(Sample.interaction.in_(codes))
    found: dict[str, tuple[dict[str, object], ...]] = {}
    for interaction, values in session.execute(query.order_by(Sample.interaction, Sample.name, Sample.id)):
        found[interaction] = (*found.get(interaction, ()), values)
    return found


def _digest(text: Held) -> str:
    return canonical.digest(msgspec.json.encode(text, order="sorted"))


def _remember(name: str, found: list[Verdict]) -> None:
    with _change:
        _known[name] = found
        if len(_known) > _MOST_REMEMBERED:
            _known.popitem(last=False)
