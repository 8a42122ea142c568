"""Everything that is wrong with a set of entries, in words, at once.

Saving, publishing, the worker and a client that is about to serve a release run this same code: what validates loads,
resolves and renders.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple, cast

import msgspec

from controlplane.runtime import bucketing, canonical, entries, parameters, profile, renderer
from controlplane.runtime.entries import (
    Configuration,
    EntryKey,
    Gate,
    Interaction,
    Model,
    PromptEntry,
    Ranges,
    Tier,
    Variant,
)
from controlplane.runtime.errors import PromptProfileError
from controlplane.runtime.shapes import type_problems
from controlplane.runtime.words import closest

MAX_ENTRIES: Final = 100_000
MAX_ENTRY_BYTES: Final = 128 * 1024
MAX_SNAPSHOT_BYTES: Final = 32 * 1024 * 1024

_BOUNDS: Final = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}


class Problem(NamedTuple):
    """One thing that is wrong: of which entry, in which field ("variants[0].model", "" for the whole), and what to do."""

    key: str
    field: str
    message: str


class _Set:
    """The entries that could be read, for looking up what others name."""

    def __init__(self, readable: Mapping[str, entries.Entry], bodies: Mapping[str, str]) -> None:
        self.readable = readable
        self.bodies = bodies
        self.salts: dict[str, set[str]] = {}
        for key, entry in readable.items():
            if isinstance(entry, Configuration):
                self.salts.setdefault(key.split("/")[1], set()).add(entry.salt)

    def codes(self, kind: str) -> list[str]:
        return [key.partition("/")[2] for key in self.readable if key.startswith(f"{kind}/")]

    def model(self, code: str) -> Model | None:
        return cast("Model | None", self.readable.get(entries.model_key(code)))

    def prompt(self, code: str) -> PromptEntry | None:
        return cast("PromptEntry | None", self.readable.get(entries.prompt_key(code)))

    def interaction(self, code: str) -> Interaction | None:
        return cast("Interaction | None", self.readable.get(entries.interaction_key(code)))

    def missing(self, kind: str, code: str) -> str | None:
        """Return the message for a name that leads nowhere, or None when it is there."""
        if f"{kind}/{code}" in self.readable:
            return None
        return f"there is no {kind} {code}{closest(code, self.codes(kind))}"


Found = Iterator[tuple[str, str]]


def validate(documents: Mapping[str, Mapping[str, Any]], bodies: Mapping[str, str]) -> list[Problem]:
    """Return all problems of a release's entries and prompt bodies, ordered by key; none means that it can be served."""
    found: list[Problem] = []
    readable: dict[str, entries.Entry] = {}
    total = sum(len(body) for body in bodies.values())
    for key in sorted(documents):
        problems, entry, size = _read(key, documents[key])
        found += problems
        total += size
        if entry is not None:
            readable[key] = entry
    if len(documents) > MAX_ENTRIES:
        found.append(
            Problem("", "", f"{len(documents):,} entries are more than the limit of {MAX_ENTRIES:,}")
        )
    if total > MAX_SNAPSHOT_BYTES:
        found.append(Problem("", "", f"{total:,} bytes are more than the limit of {MAX_SNAPSHOT_BYTES:,}"))
    known = _Set(readable, bodies)
    for key, entry in readable.items():
        check = _CHECKS[type(entry)]
        found += [Problem(key, *problem) for problem in check(known, entries.parse_key(key), entry)]
    found += [Problem(f"body/{sha256}", "", message) for sha256, message in _body_problems(bodies)]
    return sorted(found, key=lambda problem: problem.key)


def _read(key: str, document: Mapping[str, Any]) -> tuple[list[Problem], entries.Entry | None, int]:
    try:
        kind = entries.parse_key(key).kind
    except ValueError as error:
        return [Problem(key, "", str(error))], None, 0
    try:
        data = canonical.dumps(document)
    except ValueError as error:
        return [Problem(key, "", f"this is not plain data: {error}")], None, 0
    if len(data) > MAX_ENTRY_BYTES:
        message = f"{len(data):,} bytes are more than the {MAX_ENTRY_BYTES:,} that one entry may have"
        return [Problem(key, "", message)], None, len(data)
    try:
        return [], msgspec.json.decode(data, type=entries.STRUCTS[kind]), len(data)
    except msgspec.ValidationError:
        # The decoder stops at the first error and is fast; only what it refuses is gone through field by field.
        found = list(type_problems(entries.STRUCTS[kind], msgspec.json.decode(data)))
        return [Problem(key, *problem) for problem in found], None, len(data)


def _check_tier(_known: _Set, _key: EntryKey, tier: Tier) -> Found:
    if not tier.name.strip():
        yield "name", "a tier needs a name"
    if tier.rank < 0:
        yield "rank", "the rank is 0 or more"


def _check_model(_known: _Set, _key: EntryKey, model: Model) -> Found:
    for field in ("provider", "provider_model_id"):
        if not getattr(model, field).strip():
            yield field, "this is needed to call the model"
    for field in ("context_window", "max_output_tokens"):
        if getattr(model, field) < 1:
            yield field, "at least one token"
    for field in ("input_price_per_million", "output_price_per_million"):
        price = getattr(model, field)
        if price is not None and price < 0:
            yield field, "a price is 0 or more, or left open when it is not known"


def _check_interaction(_known: _Set, _key: EntryKey, interaction: Interaction) -> Found:
    seen: set[str] = set()
    for place, parameter in enumerate(interaction.parameters):
        path = f"parameters[{place}]"
        name = parameter.name
        if not name.isidentifier() or not name.isascii() or name.startswith("_") or name in profile.RESERVED:
            yield (
                f"{path}.name",
                f"{name!r} cannot be a parameter's name: letters, digits and _, not a word of Jinja's own",
            )
        if name in seen:
            yield f"{path}.name", f"there are two parameters called {name}"
        seen.add(name)
        if parameter.type not in entries.PARAMETER_TYPES:
            yield f"{path}.type", f"{parameter.type} is none of {', '.join(entries.PARAMETER_TYPES)}"
        elif parameter.example is not None and (
            problem := parameters.type_problem(parameter.type, parameter.example)
        ):
            yield f"{path}.example", f"the example does not fit: {problem}"


def _check_prompt(known: _Set, _key: EntryKey, prompt: PromptEntry) -> Found:
    if prompt.version < 1:
        yield "version", "versions begin at 1"
    if message := known.missing("interaction", prompt.interaction):
        yield "interaction", message
    body = known.bodies.get(prompt.sha256)
    if body is None:
        yield "sha256", "the text of this version is not in the release"
        return
    if prompt.size != len(body.encode(errors="surrogatepass")):
        yield "size", "this is not the size of its text in bytes"
    yield from _unknown_names(known, prompt.interaction, body, "sha256")


def _unknown_names(known: _Set, interaction_code: str, body: str, field: str) -> Found:
    interaction = known.interaction(interaction_code)
    used, _ = _inspect(body)
    if interaction is None:
        return
    declared = [parameter.name for parameter in interaction.parameters]
    for name in used:
        if name not in declared:
            yield (
                field,
                f"its text uses {name}, which {interaction_code} does not declare{closest(name, declared)}",
            )


def _check_configuration(known: _Set, key: EntryKey, configuration: Configuration) -> Found:
    interaction, tier, _ = key.parts
    if interaction != entries.ANY and (message := known.missing("interaction", interaction)):
        yield "", message
    if tier != entries.DEFAULT_TIER and (message := known.missing("tier", tier)):
        yield "", message
    yield from _bucketing_problems(configuration)
    if not configuration.variants:
        yield "variants", "a configuration needs at least one variant"
        return
    seen: set[int] = set()
    for place, variant in enumerate(configuration.variants):
        if variant.version in seen:
            yield f"variants[{place}].version", f"version {variant.version} is there twice"
        seen.add(variant.version)
        for field, message in _variant_problems(known, interaction, variant):
            yield f"variants[{place}].{field}", message
    yield from _cover_problems([variant.ranges for variant in configuration.variants])


def _variant_problems(known: _Set, interaction: str, variant: Variant) -> Found:
    if variant.version < 1:
        yield "version", "versions begin at 1"
    yield from _model_problems(known, variant)
    yield from _fallback_problems(known, variant)
    yield from _reference_problems(known, interaction, variant)
    for field, (least, most) in _BOUNDS.items():
        value = getattr(variant, field)
        if value is not None and not least <= value <= most:
            yield field, f"this lies between {least} and {most}"
    if (
        variant.effective_from
        and variant.effective_until
        and variant.effective_from >= variant.effective_until
    ):
        yield "effective_until", "the end must come after the beginning"


def _model_problems(known: _Set, variant: Variant) -> Found:
    if variant.max_tokens is not None and variant.max_tokens < 1:
        yield "max_tokens", "at least one token"
    model = known.model(variant.model)
    if model is None:
        yield "model", known.missing("model", variant.model) or ""
        return
    if not model.active and variant.active:
        yield "model", f"the model {variant.model} is not active"
    if variant.max_tokens is not None and variant.max_tokens > model.max_output_tokens:
        yield "max_tokens", f"{variant.model} gives at most {model.max_output_tokens:,} tokens"
    for field in _BOUNDS:
        if getattr(variant, field) is not None and field not in model.parameters:
            yield field, f"{variant.model} does not take this: leave it empty"


def _fallback_problems(known: _Set, variant: Variant) -> Found:
    for place, code in enumerate(variant.fallbacks):
        field = f"fallbacks[{place}]"
        model = known.model(code)
        if model is None:
            yield field, known.missing("model", code) or ""
        elif not model.active and variant.active:
            yield field, f"the model {code} is not active"
        if code == variant.model:
            yield field, f"{code} is the model itself, not a fallback"
        elif code in variant.fallbacks[:place]:
            yield field, f"{code} is there twice"


def _reference_problems(known: _Set, interaction: str, variant: Variant) -> Found:
    reference = variant.prompt
    prompt = known.prompt(reference.code)
    if prompt is None:
        yield "prompt.code", known.missing("prompt", reference.code) or ""
        return
    if interaction not in {prompt.interaction, entries.ANY}:
        yield "prompt.code", f"the template {reference.code} belongs to {prompt.interaction}"
    if (reference.version is None) != (reference.sha256 is None):
        yield "prompt.version", "a pinned version needs both its number and its hash"
    if reference.version is not None and reference.version < 1:
        yield "prompt.version", "versions begin at 1"
    if reference.sha256 is None:
        return
    if reference.sha256 not in known.bodies:
        yield "prompt.sha256", "the text of the pinned version is not in the release"
        return
    yield from _unknown_names(known, prompt.interaction, known.bodies[reference.sha256], "prompt.sha256")


def _check_gate(known: _Set, key: EntryKey, gate: Gate) -> Found:
    (interaction,) = key.parts
    if message := known.missing("interaction", interaction):
        yield "", message
    yield from _bucketing_problems(gate)
    if gate.salt in known.salts.get(interaction, set()):
        # One hash for both questions would let the gate choose among the variants.
        yield "salt", "a gate's salt differs from those of the interaction's configurations"
    yield from _overlap_problems([gate.ranges])


def _bucketing_problems(entry: Configuration | Gate) -> Found:
    if not 1 <= len(entry.salt) <= 64 or not entry.salt.isascii() or not entry.salt.isalnum():
        yield "salt", "a salt is 1 to 64 letters and digits"
    if entry.algorithm != bucketing.ALGORITHM:
        yield "algorithm", f"{entry.algorithm} is not known: use {bucketing.ALGORITHM}"
    if entry.unit not in entries.UNIT_KINDS:
        yield "unit", f"{entry.unit} is none of {', '.join(entries.UNIT_KINDS)}"


def _cover_problems(shares: list[Ranges]) -> Found:
    problems = list(_overlap_problems(shares))
    yield from problems
    owned = sum(bucketing.size(ranges) for ranges in shares)
    if not problems and owned != bucketing.BUCKETS:
        yield "variants", f"the variants own {owned:,} buckets together, not {bucketing.BUCKETS:,}"


def _overlap_problems(shares: list[Ranges]) -> Found:
    many = len(shares) > 1
    bands = []
    for place, ranges in enumerate(shares):
        path = f"variants[{place}].ranges" if many else "ranges"
        for pair in ranges:
            start, end = min(pair), max(pair)
            if start < 0 or end > bucketing.BUCKETS or start == end:
                yield path, f"{list(pair)} is not a range of buckets between 0 and {bucketing.BUCKETS:,}"
            bands.append((start, end, path))
    bands.sort()
    for (_, end, _), (start, _, path) in pairwise(bands):
        if start < end:
            yield path, f"bucket {start:,} is owned twice"


def _body_problems(bodies: Mapping[str, str]) -> Found:
    for sha256, body in sorted(bodies.items()):
        _, problem = _inspect(body)
        if problem:
            yield sha256, problem
        elif canonical.digest(body.encode()) != sha256:
            yield sha256, "the text is not the one its name says: the SHA-256 differs"
        elif profile.normalise(body) != body:
            yield sha256, "the text has line ends of another kind: save it again"


@lru_cache(maxsize=2048)
def _inspect(body: str) -> tuple[tuple[str, ...], str | None]:
    """Return the names a body uses and what is wrong with it; bodies do not change, and parsing one takes milliseconds."""
    try:
        return tuple(sorted(renderer.used_variables(body))), None
    except PromptProfileError as error:
        return (), str(error)


_CHECKS: Final[dict[type, Callable[[_Set, EntryKey, Any], Found]]] = {
    Tier: _check_tier,
    Model: _check_model,
    Interaction: _check_interaction,
    PromptEntry: _check_prompt,
    Configuration: _check_configuration,
    Gate: _check_gate,
}
