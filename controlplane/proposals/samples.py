"""The texts that a proposal would change what becomes of, rendered with the declared examples as the runtime would."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from controlplane.prompts import textdiff
from controlplane.prompts.render_pool import RenderBusy, RenderPool
from controlplane.proposals.composed import Composed, Side, variants_of
from controlplane.releases import words
from controlplane.releases.diff import EntryChange
from controlplane.runtime.entries import Parameter

# A promotion of everything may hold hundreds; each costs a few milliseconds of a worker that others wait for.
MOST_RENDERED: Final = 40


@dataclass(frozen=True)
class Sample:
    """One text with what its interaction declares, as it is live now (None: not at all) and as it would be."""

    name: str
    interaction: str
    before: str | None
    after: str
    declared_before: tuple[Parameter, ...]
    declared: tuple[Parameter, ...]


@dataclass(frozen=True)
class Rendered:
    """What the examples make of a text now and then. `problem` says why there is no text then."""

    name: str
    text: str | None
    rows: list[textdiff.Row]
    summary: str
    problem: str | None


def samples_of(composed: Composed) -> list[Sample]:
    """Return what is to be rendered: each changed template, and what each changed configuration or interaction uses."""
    found: dict[tuple[str, str], Sample] = {}
    for change in composed.changes:
        for sample in _of_change(composed, change):
            found.setdefault((sample.interaction, sample.after), sample)
    return list(found.values())


def problem_of(pool: RenderPool, sample: Sample) -> str | None:
    """Return why the text may not go live, with the line; raises `RenderBusy`."""
    problem = pool.check(sample.after, sample.declared)
    if problem is None:
        return None
    return f"line {problem.line}: {problem.message}" if problem.line else problem.message


def rendered(pool: RenderPool, samples: Sequence[Sample]) -> list[Rendered]:
    """Render the texts before and after with all declared examples; a busy pool is told as the problem."""
    return [_rendered(pool, sample) for sample in samples[:MOST_RENDERED]]


def _of_change(composed: Composed, change: EntryChange) -> Iterator[Sample]:
    kind, _, rest = change.key.partition("/")
    if change.after is None:
        return
    if kind == "prompt":
        yield from _of_prompt(composed, rest, change)
    elif kind == "configuration":
        interaction = rest.partition("/")[0]
        for variant in variants_of(change.after):
            yield from _of_variant(composed, words.entry_name(change.key), interaction, variant)
    elif kind == "interaction":
        for key in _keys_of(composed.after, rest):
            for variant in variants_of(composed.after.document(key)):
                yield from _of_variant(composed, words.entry_name(key), rest, variant)


def _of_prompt(composed: Composed, code: str, change: EntryChange) -> Iterator[Sample]:
    document = change.after or {}
    body = composed.after.body({"code": code})
    interaction = str(document.get("interaction"))
    if body is not None:
        yield Sample(
            name=words.entry_name(change.key),
            interaction=interaction,
            before=composed.before.body({"code": code}),
            after=body,
            declared_before=composed.before.parameters(interaction),
            declared=composed.after.parameters(interaction),
        )


def _of_variant(
    composed: Composed, name: str, interaction: str, variant: dict[str, object]
) -> Iterator[Sample]:
    reference = variant.get("prompt")
    body = composed.after.body(reference) if isinstance(reference, dict) else None
    if body is None or not isinstance(reference, dict):
        return  # that it names no text is a problem of the whole, told there
    if interaction == "*":
        document = composed.after.document(f"prompt/{reference.get('code')}") or {}
        interaction = str(document.get("interaction"))
    yield Sample(
        name=f"{name}, template {reference.get('code')}",
        interaction=interaction,
        before=composed.before.body(reference),
        after=body,
        declared_before=composed.before.parameters(interaction),
        declared=composed.after.parameters(interaction),
    )


def _keys_of(side: Side, interaction: str) -> list[str]:
    return [key for key in side.content.texts if key.startswith(f"configuration/{interaction}/")]


def _rendered(pool: RenderPool, sample: Sample) -> Rendered:
    try:
        old = "" if sample.before is None else _text(pool, sample.before, sample.declared_before)[0] or ""
        new, problem = _text(pool, sample.after, sample.declared)
    except RenderBusy as busy:
        return Rendered(sample.name, None, [], "", str(busy))
    rows = textdiff.lines(old, new or "") if problem is None else []
    return Rendered(sample.name, new, rows, str(textdiff.summary(rows)), problem)


def _text(pool: RenderPool, body: str, declared: tuple[Parameter, ...]) -> tuple[str | None, str | None]:
    examples = {each.name: each.example for each in declared}
    found = pool.preview(body, examples, declared, patience=2.0)
    if found.problem is None:
        return found.text, None
    line = f"line {found.problem.line}: " if found.problem.line else ""
    return None, f"{line}{found.problem.message}"
