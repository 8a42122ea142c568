"""Why a request gets what it gets: the resolver's own answer, and every rule on the way to it in the order in which it is asked.

    explain(snapshot, Request("COACHING_RESPONSE", "premium", unit="u-17"), now=now)

The answer is that of `resolve` and of `in_gate`, asked with the same release, request and moment as a call would ask them;
the steps say what each rule found. Nothing here decides anything: what a page, the command line and the HTTP service show is
what production does. Pure.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from controlplane.runtime.bucketing import BUCKETS, size
from controlplane.runtime.entries import Gate, Ranges, Variant
from controlplane.runtime.errors import ConfigurationNotFoundError, SnapshotRefused
from controlplane.runtime.resolver import Chosen, GateDecision, Reason, Request, Resolution, in_gate, resolve
from controlplane.runtime.services.chain import Target, links_of
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.switches import KillSwitches, Switch
from controlplane.runtime.tables import Row, keys_in_order, rows_in_order


class Path(StrEnum):
    """Which way the call goes."""

    CONFIGURATION = "configuration"
    LEGACY = "legacy"


class Rule(StrEnum):
    """What is asked, in this order."""

    SWITCH = "kill switch"
    GATE = "gate"
    CONFIGURATION = "configuration"
    VARIANT = "variant"
    TEMPLATE = "template"
    MODEL = "model"
    FALLBACK = "fallback"


class Verdict(StrEnum):
    """What a rule found."""

    PASSED = "passed"
    """It lets the call go on."""
    ABSENT = "absent"
    """There is nothing of that kind."""
    PASSED_OVER = "passed over"
    """It is there, and does not count at this moment."""
    DECIDED = "decided"
    """This settled it."""
    NOT_ASKED = "not asked"
    """Something before it settled it already."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rule: what it is about (an entry's key where there is one), and what it found, in a sentence."""

    rule: Rule
    verdict: Verdict
    sentence: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """One variant of the row that answers, the buckets it owns, and whether it is the one."""

    version: int
    model: str
    share: int
    """In buckets, of 100,000."""
    ranges: Ranges
    """Ascending, each from its first bucket to the one after its last."""
    counts: bool
    """Whether its dates and its state let it be chosen at this moment."""
    chosen: bool


@dataclass(frozen=True, slots=True)
class Link:
    """One model of the chain. `left_out` says why it is never asked; None for one that is, in its turn."""

    code: str
    provider: str
    model_id: str
    left_out: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A request's answer with its reasons. Without a `resolution` the call takes the legacy path, as the last step says."""

    request: Request
    at: datetime
    environment: str
    release: int
    path: Path
    steps: tuple[Step, ...]
    gate: GateDecision
    resolution: Resolution | None
    bands: tuple[Band, ...]
    chain: tuple[Link, ...]

    @property
    def sentence(self) -> str:
        """The outcome in one sentence."""
        found = self.resolution
        if found is None or self.path is Path.LEGACY:
            return f"The legacy path: {self._why_legacy()}."
        return f"{found.variant.model} with template {found.prompt.code} version {found.prompt.version}: {found.why}."

    def _why_legacy(self) -> str:
        settled = [step for step in self.steps if step.verdict is Verdict.DECIDED]
        said = settled[0].sentence if settled else "no configuration answers"
        return said[:1].lower() + said[1:].removesuffix(".")


def explain(
    snapshot: Snapshot, request: Request, *, now: datetime, switches: KillSwitches | None = None
) -> Explanation:
    """Return what `resolve` returns for this request, release and moment, with the reasons; `now` is aware.

    `switches` are the kill switches thrown at that moment. What a call does when its template cannot be rendered or when its
    models fail is not foretold here: the chain names who would be asked next. Raises `TypeError` for ids that are no text.
    """
    thrown = None if switches is None else switches.thrown(request.interaction)
    gate = in_gate(
        snapshot,
        request.interaction,
        request.unit,
        tenant_id=request.tenant_id,
        conversation_id=request.conversation_id,
    )
    try:
        found = resolve(snapshot, request, now=now)
    except (ConfigurationNotFoundError, SnapshotRefused):
        found = None
    kept_out = thrown is not None or not gate.included
    steps = (
        _switch_step(thrown),
        _gate_step(snapshot.gate(request.interaction), gate, asked=thrown is None),
        *_configuration_steps(snapshot, request, found, kept_out=kept_out),
        *(() if found is None else _choice_steps(snapshot, found, now)),
    )
    return Explanation(
        request=request,
        at=now,
        environment=snapshot.environment,
        release=snapshot.release,
        path=Path.LEGACY if kept_out or found is None else Path.CONFIGURATION,
        steps=steps,
        gate=gate,
        resolution=found,
        bands=() if found is None else tuple(_bands(found, now)),
        chain=() if found is None else tuple(_chain(snapshot, found.variant)),
    )


def _switch_step(thrown: Switch | None) -> Step:
    if thrown is None:
        return Step(Rule.SWITCH, Verdict.PASSED, "No kill switch is thrown.")
    why = f": {thrown.reason}" if thrown.reason else ""
    return Step(Rule.SWITCH, Verdict.DECIDED, f"A kill switch was thrown by {thrown.by}{why}.")


def _gate_step(gate: Gate | None, decision: GateDecision, *, asked: bool) -> Step:
    if gate is None or gate.share == BUCKETS:
        return Step(Rule.GATE, Verdict.PASSED, "The gate lets everyone use configurations.")
    share = f"{_percent(gate.share)} of {gate.unit}s use configurations"
    if not asked:
        return Step(Rule.GATE, Verdict.NOT_ASKED, f"The gate: {share}.")
    why = "without an id nobody is in" if decision.bucket is None else decision.why
    verdict = Verdict.PASSED if decision.included else Verdict.DECIDED
    return Step(Rule.GATE, verdict, f"The gate: {share}; {why}.")


_ROWS: Final = {
    Reason.TENANT_TIER: "for this tenant and tier",
    Reason.TENANT: "for this tenant",
    Reason.TIER: "for this tier",
    Reason.DEFAULT: "for everybody else",
    Reason.ENVIRONMENT_DEFAULT: "of the environment, for interactions without one",
}


def _configuration_steps(
    snapshot: Snapshot, request: Request, found: Resolution | None, *, kept_out: bool
) -> Iterator[Step]:
    """Yield a step for each row of the order, from the first to be asked to the last."""
    passed_over = found.passed_over if found is not None else _all_rows(snapshot, request)
    answered = False
    for reason, key in keys_in_order(request.interaction, request.tier, request.tenant_id):
        name = f"The configuration {_ROWS[reason]}"
        if key not in snapshot:
            yield Step(Rule.CONFIGURATION, Verdict.ABSENT, f"{name}: there is none.", key)
        elif found is not None and key == found.key:
            answered = True
            verdict = Verdict.NOT_ASKED if kept_out else Verdict.DECIDED
            said = "would answer, were the call not kept out before" if kept_out else "answers"
            yield Step(Rule.CONFIGURATION, verdict, f"{name} {said}.", key)
        elif not answered and key in passed_over:
            said = "is there, and none of it counts at this moment"
            yield Step(Rule.CONFIGURATION, Verdict.PASSED_OVER, f"{name} {said}.", key)
        else:
            yield Step(Rule.CONFIGURATION, Verdict.NOT_ASKED, f"{name} is not asked any more.", key)
    if found is None:
        said = f"No configuration answers for {request.interaction}."
        yield Step(Rule.CONFIGURATION, Verdict.NOT_ASKED if kept_out else Verdict.DECIDED, said)


def _all_rows(snapshot: Snapshot, request: Request) -> tuple[str, ...]:
    rows: Iterator[Row] = rows_in_order(snapshot, request.interaction, request.tier, request.tenant_id)
    with contextlib.suppress(SnapshotRefused):  # a release that no publisher lets through, met for what it is
        return tuple(row.key for row in rows)
    return ()


def _choice_steps(snapshot: Snapshot, found: Resolution, now: datetime) -> Iterator[Step]:
    variant, prompt, model = found.variant, found.prompt, found.model
    yield Step(Rule.VARIANT, Verdict.DECIDED, _variant_sentence(found), found.key)
    if variant.effective_from or variant.effective_until:
        yield Step(
            Rule.VARIANT, Verdict.PASSED, f"Version {variant.version} {_window(variant, now)}.", found.key
        )
    followed = "stays on it" if variant.prompt.pinned else "follows what is live of it"
    yield Step(
        Rule.TEMPLATE,
        Verdict.DECIDED,
        f"Template {prompt.code} version {prompt.version}: the configuration {followed}.",
        f"prompt/{prompt.code}",
    )
    retired = "" if model.active else ", although it is retired"
    yield Step(
        Rule.MODEL,
        Verdict.DECIDED,
        f"{variant.model} ({model.provider}, {model.provider_model_id}){retired}{_settings(variant)}.",
        f"model/{variant.model}",
    )
    for link in list(_chain(snapshot, variant))[1:]:
        verdict = Verdict.PASSED_OVER if link.left_out else Verdict.NOT_ASKED
        said = f"never asked, because {link.left_out}" if link.left_out else "asked when those before it fail"
        yield Step(Rule.FALLBACK, verdict, f"Fallback {link.code}: {said}.", f"model/{link.code}")


def _variant_sentence(found: Resolution) -> str:
    version, unit = found.variant.version, found.row.unit
    share = f"{_percent(size(found.variant.ranges))} of {unit}s"
    return {
        Chosen.ONLY: f"Version {version} is the only variant.",
        Chosen.RANGE: f"Bucket {_number(found.bucket)} of {BUCKETS:,} is version {version}'s, which has {share}.",
        Chosen.NO_UNIT: f"No {unit} is named, so the baseline, version {version}, answers.",
        Chosen.BASELINE_INSTEAD: (
            f"Bucket {_number(found.bucket)} is that of a variant that does not count at this moment, so the baseline, "
            f"version {version}, answers."
        ),
    }[found.chosen]


def _bands(found: Resolution, now: datetime) -> Iterator[Band]:
    for place, variant in enumerate(found.row.variants):
        yield Band(
            version=variant.version,
            model=variant.model,
            share=size(variant.ranges),
            ranges=tuple(sorted((min(pair), max(pair)) for pair in variant.ranges if pair[0] != pair[1])),
            counts=variant.counts(now),
            chosen=place == found.place,
        )


def _chain(snapshot: Snapshot, variant: Variant) -> Iterator[Link]:
    for target, left_out in links_of(snapshot, variant):
        yield _link(target, left_out)


def _link(target: Target, left_out: str | None) -> Link:
    return Link(target.code or "", target.provider, target.model_id, left_out)


def _window(variant: Variant, now: datetime) -> str:
    since = f"since {variant.effective_from.isoformat()}" if variant.effective_from else ""
    until = f"until {variant.effective_until.isoformat()}" if variant.effective_until else ""
    return f"counts {' '.join(filter(None, (since, until)))}; it is {now.isoformat(timespec='seconds')}"


def _settings(variant: Variant) -> str:
    names = ("temperature", "max_tokens", "top_p", "frequency_penalty", "presence_penalty")
    told = [
        f"{name.replace('_', ' ')} {value:g}"
        for name in names
        if (value := getattr(variant, name)) is not None
    ]
    return f", {', '.join(told)}" if told else ""


def _number(bucket: int | None) -> str:
    return "–" if bucket is None else f"{bucket:,}"


def _percent(buckets: int) -> str:
    return f"{buckets * 100 / BUCKETS:.3f}".rstrip("0").rstrip(".") + " %"


def document(
    explained: Explanation, *, text: str | None = None, problem: str | None = None
) -> dict[str, Any]:
    """Return an explanation as plain data for JSON: the same from the command line, over HTTP and from the site.

    `text` is what the template was rendered to, `problem` why it could not be; both None when no values were given.
    """
    request, found = explained.request, explained.resolution
    return {
        "environment": explained.environment,
        "release": explained.release,
        "at": explained.at.isoformat(timespec="seconds"),
        "request": {
            "interaction": request.interaction,
            "tier": request.tier,
            "tenant": request.tenant_id,
            "unit": request.unit,
            "conversation": request.conversation_id,
        },
        "path": explained.path.value,
        "sentence": explained.sentence,
        "steps": [
            {
                "rule": step.rule.value,
                "verdict": step.verdict.value,
                "sentence": step.sentence,
                "key": step.key,
            }
            for step in explained.steps
        ],
        "gate": {"included": explained.gate.included, "bucket": explained.gate.bucket},
        "configuration": None if found is None else found.key,
        "bucket": None if found is None else found.bucket,
        "version": None if found is None else found.variant.version,
        "model": None if found is None else found.variant.model,
        "template": None if found is None else {"code": found.prompt.code, "version": found.prompt.version},
        "variants": [
            {
                "version": band.version,
                "model": band.model,
                "share": band.share,
                "ranges": [list(pair) for pair in band.ranges],
                "counts": band.counts,
                "chosen": band.chosen,
            }
            for band in explained.bands
        ],
        "chain": [
            {
                "model": link.code,
                "provider": link.provider,
                "model_id": link.model_id,
                "left_out": link.left_out,
            }
            for link in explained.chain
        ],
        "text": text,
        "problem": problem,
    }
