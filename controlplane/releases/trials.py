"""What templates are tried with before they go live, and what they come to: each text once, in few jobs, within bounds."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from sqlalchemy.orm import Session

from controlplane.decisions.kept import recorded_values
from controlplane.errors import NotFound, Refused
from controlplane.prompts import standing
from controlplane.prompts.contract import Verdict
from controlplane.prompts.render_jobs import Held
from controlplane.prompts.render_pool import RenderPool
from controlplane.prompts.rendering import (
    EXAMPLES,
    RECORDED,
    SAMPLE,
    Input,
    Outcome,
    check_inputs,
    render_inputs,
)
from controlplane.releases import words
from controlplane.releases.compose import Document
from controlplane.releases.composed import Composed, Side, variants_of
from controlplane.releases.diff import EntryChange
from controlplane.runtime import canonical
from controlplane.runtime.entries import ANY, Parameter
from controlplane.runtime.parameters import only_required
from controlplane.samples.models import Sample
from controlplane.samples.services import EXAMPLE, ONLY_REQUIRED, list_samples

# A promotion of everything may change hundreds of texts; each costs some milliseconds of a worker that others wait for.
MOST_TEXTS: Final = 40
MOST_INPUTS: Final = 50
_MOST_FAILURES_TOLD: Final = 20
_MOST_REMEMBERED: Final = 5_000
# By digest, of texts that this process has seen rendering with certain values: rendering is a pure function, so what
# worked once works again, and publishing need not wait for what its page has shown already.
_known_to_work: OrderedDict[str, None] = OrderedDict()


class DoesNotRender(Refused):
    """Texts fail with values with which they must not; the words say which, with what, and why."""


@dataclass(frozen=True)
class Text:
    """A template's text as calls get it now (None: not at all) and would get it, with what its interaction declares."""

    name: str
    code: str
    interaction: str
    before: str | None
    after: str
    declared_before: tuple[Parameter, ...]
    declared: tuple[Parameter, ...]

    @property
    def same(self) -> bool:
        """Whether nothing of it changes, so that it needs no looking at."""
        return self.before == self.after and self.declared_before == self.declared


def inputs_of(
    session: Session,
    interaction: str,
    declared: Sequence[Parameter],
    *,
    declared_before: Sequence[Parameter] = (),
) -> list[Input]:
    """Return what the templates of an interaction are tried with: the default first, then what must pass.

    The declared examples stand in for the default where none is stored: with all of them, and with the required ones. What
    was declared before and is no longer (`declared_before`) keeps its example, for the text as it is now; to a text that
    does not declare it, it is nothing.
    """
    stored = [each for each in _samples(session, interaction) if not each.is_declared]
    found = [
        Input(
            each.name,
            each.values,
            SAMPLE,
            required=each.is_default or each.must_pass,
            is_default=each.is_default,
        )
        for each in stored
    ]
    if not any(each.is_default for each in stored):
        found = [*_examples(declared, found), *found]
    names = {each.name for each in declared}
    gone = {each.name: each.example for each in declared_before if each.name not in names}
    return sorted(
        (replace(each, values={**gone, **each.values}) for each in found),
        key=lambda each: (not each.is_default, not each.required),
    )


def _samples(session: Session, interaction: str) -> Sequence[Sample]:
    try:
        return list_samples(session, interaction)
    except NotFound:  # it came with a bundle, or is gone here and live still
        return ()


def _examples(declared: Sequence[Parameter], stored: Sequence[Input]) -> Iterator[Input]:
    everything = {each.name: each.example for each in declared}
    needed = only_required(declared)
    yield Input(EXAMPLE, everything, EXAMPLES, required=True, is_default=True)
    # Most interactions have a sample set of this kind, and of this name, already.
    if needed != everything and not any(each.required and each.values == needed for each in stored):
        taken = any(each.name == ONLY_REQUIRED for each in stored)
        yield Input(
            f"{ONLY_REQUIRED}, as declared" if taken else ONLY_REQUIRED, needed, EXAMPLES, required=True
        )


def _names(declared: Iterable[Parameter]) -> set[str]:
    return {each.name for each in declared}


def _recorded_in(declared: Iterable[Parameter]) -> set[str]:
    """Return of which parameters the values may be kept, and shown."""
    return {each.name for each in declared if each.recorded == "yes"}


def changing_texts(composed: Composed) -> list[Text]:
    """Return what is rendered otherwise than now, each text of an interaction once: changed templates first.

    A changed configuration is looked at for the text that it takes up, a changed interaction for the texts of all its
    configurations.
    """
    found: dict[bytes, Text] = {}
    for change in sorted(composed.changes, key=lambda change: not change.key.startswith("prompt/")):
        for text in _of_change(composed, change):
            if not text.same:
                found.setdefault(_encoded([text.interaction, text.before, text.after]), text)
    return list(found.values())


class Renders:
    """What texts come to with the inputs of their interactions. Each is rendered once, and only so many of them are."""

    def __init__(self, session: Session, pool: RenderPool, *, most: int = 2 * MOST_TEXTS) -> None:
        self._session, self._pool, self._most = session, pool, most
        self._inputs: dict[bytes, list[Input]] = {}
        self._recorded: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
        self._outcomes: dict[bytes, list[Outcome]] = {}

    def inputs(
        self, interaction: str, declared: tuple[Parameter, ...], *, before: tuple[Parameter, ...] = ()
    ) -> list[Input]:
        """Return an interaction's inputs; at most `MOST_INPUTS` of them are rendered."""
        key = _encoded([interaction, declared, before])
        if key not in self._inputs:
            self._inputs[key] = inputs_of(self._session, interaction, declared, declared_before=before)
        return self._inputs[key]

    def recorded(self, text: Text, inputs: Sequence[Input]) -> list[Input]:
        """Return the values of recorded calls as inputs: for looking only, nothing is refused for what they come to.

        Of a call that is kept which is declared so; the rest is as in the first of the usual inputs. What was declared so when
        the call was made, and is no longer or would be no longer, is shown to nobody any more.
        """
        interaction = text.interaction
        if interaction not in self._recorded:
            found = recorded_values(self._session, interaction)
            self._recorded[interaction] = [
                (f"recorded call of {at:%Y-%m-%d %H:%M:%S}", values) for at, values in found
            ]
        rest = inputs[0].values if inputs else {}
        may_be_shown = _recorded_in(text.declared)
        if text.declared_before:
            may_be_shown &= _recorded_in(text.declared_before) | (
                _names(text.declared) - _names(text.declared_before)
            )
        shown = (
            (name, {key: value for key, value in values.items() if key in may_be_shown})
            for name, values in self._recorded[interaction]
        )
        return [Input(name, {**rest, **values}, RECORDED) for name, values in shown if values]

    def of(self, body: str, declared: tuple[Parameter, ...], inputs: Sequence[Input]) -> list[Outcome] | None:
        """Return what a text makes of each input; None when as many as may be were rendered before it.

        Raises `RenderBusy`.
        """
        tried = inputs[:MOST_INPUTS]
        key = _encoded([body, declared, [(each.name, each.values) for each in tried]])
        if key not in self._outcomes:
            if len(self._outcomes) >= self._most:
                return None
            self._outcomes[key] = render_inputs(self._pool, body, declared, tried)
            _remember(body, declared, self._outcomes[key])
        return self._outcomes[key]

    def verdicts(self, texts: Sequence[Text]) -> Iterator[tuple[Text, list[Verdict]]]:
        """Yield what is wrong with each text against its declaration, by looking at it; raises `RenderBusy`."""
        held = [
            Held(
                text.after,
                text.declared,
                tuple(dict(each.values) for each in self.inputs(text.interaction, text.declared)),
            )
            for text in texts[:MOST_TEXTS]
        ]
        for text, found in zip(texts, standing.hold(self._pool, held), strict=False):
            yield text, found or []


def failures(session: Session, pool: RenderPool, composed: Composed) -> dict[str, str]:
    """Return, by place, why texts may not go live: those that fail with an input with which they must not.

    Every text that changes is tried here, however many there are. Raises `RenderBusy`.
    """
    found: dict[str, str] = {}
    for text in changing_texts(composed):
        inputs = [each for each in inputs_of(session, text.interaction, text.declared) if each.required]
        unknown = [each for each in inputs if _digest(text.after, text.declared, each) not in _known_to_work]
        outcomes = check_inputs(pool, text.after, text.declared, unknown)
        _remember(text.after, text.declared, outcomes)
        for outcome in outcomes:
            if outcome.problem is not None:
                found[f"{text.name} {outcome.input.name}"] = failure_words(text, outcome)
        if len(found) >= _MOST_FAILURES_TOLD:
            break
    return found


def refuse_failing(session: Session, pool: RenderPool, composed: Composed) -> None:
    """Raise `DoesNotRender` for texts that may not go live; `RenderBusy` when nobody is free to try."""
    failing = failures(session, pool, composed)
    if failing:
        raise DoesNotRender(failing)


def failure_words(text: Text, outcome: Outcome) -> str:
    """Return why a text may not go live, as a sentence."""
    return f"{text.name} does not render with “{outcome.input.name}”, which it has to: {outcome.told.rstrip('.')}."


def inputs_digest(session: Session, composed: Composed) -> str:
    """Return the digest of what the changing texts are tried with: what was found out holds as long as that stays."""
    told = {
        text.interaction: [
            (each.name, each.values, each.required)
            for each in inputs_of(session, text.interaction, text.declared)
        ]
        for text in changing_texts(composed)
    }
    return canonical.digest(_encoded(told))


def _of_change(composed: Composed, change: EntryChange) -> Iterator[Text]:
    kind, _, rest = change.key.partition("/")
    if change.after is None:
        return
    if kind == "prompt":
        yield from _of_prompt(composed, rest, change)
    elif kind == "configuration":
        yield from _of_configuration(composed, change.key, change.after)
    elif kind == "interaction":
        for key in composed.after.content.texts:
            if key.startswith(f"configuration/{rest}/"):
                yield from _of_configuration(composed, key, composed.after.document(key) or {})


def _of_prompt(composed: Composed, code: str, change: EntryChange) -> Iterator[Text]:
    body = composed.after.body({"code": code})
    if body is not None:
        interaction = str((change.after or {}).get("interaction"))
        before = composed.before.body({"code": code})
        yield _text(composed, words.entry_name(change.key), code, interaction, before, body)


def _of_configuration(composed: Composed, key: str, document: Document) -> Iterator[Text]:
    before = variants_of(composed.before.document(key))
    for variant in variants_of(document):
        reference = variant.get("prompt")
        body = composed.after.body(reference) if isinstance(reference, dict) else None
        if body is None or not isinstance(reference, dict):
            continue  # that it names no text is a problem of the whole, told there
        interaction = interaction_of(composed.after, key, reference)
        name = f"{words.entry_name(key)}, template {reference.get('code')}"
        code = str(reference.get("code"))
        yield _text(composed, name, code, interaction, _body_before(composed.before, before, variant), body)


def interaction_of(side: Side, key: str, reference: Document) -> str:
    """Return whose parameters a configuration's text gets: what stands in for all interactions has its template's."""
    interaction = key.split("/")[1]
    if interaction != ANY:
        return interaction
    return str((side.document(f"prompt/{reference.get('code')}") or {}).get("interaction"))


def _body_before(side: Side, before: Sequence[Document], variant: Document) -> str | None:
    """Return the text of the variant that this one was, or else of the one that most calls went to."""
    same = [each for each in before if each.get("version") == variant.get("version")]
    for each in [*same, *before][:1]:
        reference = each.get("prompt")
        return side.body(reference) if isinstance(reference, dict) else None
    return None


def _text(composed: Composed, name: str, code: str, interaction: str, before: str | None, after: str) -> Text:
    return Text(
        name=name,
        code=code,
        interaction=interaction,
        before=before,
        after=after,
        declared_before=composed.before.parameters(interaction),
        declared=composed.after.parameters(interaction),
    )


def _digest(body: str, declared: Sequence[Parameter], given: Input) -> str:
    return canonical.digest(_encoded([body, declared, given.values]))


def _encoded(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _remember(body: str, declared: Sequence[Parameter], outcomes: Iterable[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.problem is None:
            _known_to_work[_digest(body, declared, outcome.input)] = None
    while len(_known_to_work) > _MOST_REMEMBERED:
        _known_to_work.popitem(last=False)
