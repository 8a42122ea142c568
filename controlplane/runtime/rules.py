"""What each kind of entry must keep, beyond its types: the rules themselves, one function for each kind.

A release has thousands of configurations that differ in little. So a rule that looks only at a few values is asked once for
each set of values (`Surroundings.remember`), and what is left for each entry are a few look-ups.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, Protocol, cast

from controlplane.runtime import bucketing, entries, parameters, profile
from controlplane.runtime.entries import (
    Configuration,
    Gate,
    Interaction,
    Model,
    PromptEntry,
    PromptReference,
    Ranges,
    Tier,
    Variant,
)
from controlplane.runtime.words import closest

Found = Iterator[tuple[str, str]]
Told = tuple[tuple[str, str], ...]

# A number given with a call, and between what it lies; their order is that of `_Settings`.
_BOUNDS: Final = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}


class Known(Protocol):
    """A release as the rules see it."""

    def entry(self, key: str) -> entries.Entry | None:
        """Return an entry; None when there is none, or none that could be read."""

    def codes(self, kind: str) -> Sequence[str]:
        """Return the codes of all readable entries of a kind, sorted."""

    def used_names(self, sha256: str) -> Collection[str] | None:
        """Return the names that a body takes from outside; None when the release has no such body."""

    def body_size(self, sha256: str) -> int:
        """Return the size of a body in bytes."""

    def has_salt(self, interaction: str, salt: str) -> bool:
        """Say whether a configuration of the interaction has this salt."""


class Surroundings:
    """What the rules look up, and what they found out already; it lives as long as one validation."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self._remembered: dict[tuple[object, ...], Told] = {}

    def model(self, code: str) -> Model | None:
        """Return a model."""
        return cast("Model | None", self.known.entry(entries.model_key(code)))

    def prompt(self, code: str) -> PromptEntry | None:
        """Return the live version of a prompt."""
        return cast("PromptEntry | None", self.known.entry(entries.prompt_key(code)))

    def interaction(self, code: str) -> Interaction | None:
        """Return an interaction."""
        return cast("Interaction | None", self.known.entry(entries.interaction_key(code)))

    def missing(self, kind: str, code: str) -> str | None:
        """Return the message for a name that leads nowhere, or None when it is there."""
        if self.known.entry(f"{kind}/{code}") is not None:
            return None
        return f"there is no {kind} {code}{closest(code, self.known.codes(kind))}"

    def remember(self, rule: Callable[..., Found], *values: Any) -> Told:
        """Return what `rule(self, *values)` finds, asking it only the first time for these values."""
        asked = (rule, *values)
        told = self._remembered.get(asked)
        if told is None:
            told = self._remembered[asked] = tuple(rule(self, *values))
        return told


def problems_of(surroundings: Surroundings, key: str, entry: entries.Entry) -> Sequence[tuple[str, str]]:
    """Return (field path, message) for each rule that an entry breaks."""
    if isinstance(entry, Configuration):
        return _configuration_problems(surroundings, key, entry)
    return list(_RULES[type(entry)](surroundings, key, entry))


def _tier_problems(_surroundings: Surroundings, _key: str, tier: Tier) -> Found:
    if not tier.name.strip():
        yield "name", "a tier needs a name"
    if tier.rank < 0:
        yield "rank", "the rank is 0 or more"


def _model_problems(_surroundings: Surroundings, _key: str, model: Model) -> Found:
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


def _interaction_problems(_surroundings: Surroundings, _key: str, interaction: Interaction) -> Found:
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


def _prompt_problems(surroundings: Surroundings, _key: str, prompt: PromptEntry) -> Found:
    if prompt.version < 1:
        yield "version", "versions begin at 1"
    if message := surroundings.missing("interaction", prompt.interaction):
        yield "interaction", message
    used = surroundings.known.used_names(prompt.sha256)
    if used is None:
        yield "sha256", "the text of this version is not in the release"
        return
    if prompt.size != surroundings.known.body_size(prompt.sha256):
        yield "size", "this is not the size of its text in bytes"
    yield from _undeclared_problems(surroundings, prompt.interaction, used, "sha256")


def _undeclared_problems(
    surroundings: Surroundings, interaction_code: str, used: Collection[str], field: str
) -> Found:
    interaction = surroundings.interaction(interaction_code)
    if interaction is None:
        return
    declared = [parameter.name for parameter in interaction.parameters]
    for name in used:
        if name not in declared:
            yield (
                field,
                f"its text uses {name}, which {interaction_code} does not declare{closest(name, declared)}",
            )


def _configuration_problems(
    surroundings: Surroundings, key: str, configuration: Configuration
) -> Sequence[tuple[str, str]]:
    _, interaction, tier, _ = key.split("/")
    remember = surroundings.remember
    found = [*remember(_place_problems, interaction, tier), *_bucketing_problems(configuration)]
    variants = configuration.variants
    if not variants:
        found.append(("variants", "a configuration needs at least one variant"))
        return found
    seen: set[int] = set()
    for place, variant in enumerate(variants):
        told = (
            remember(_settings_problems, _settings(variant))
            + remember(_reference_problems, interaction, variant.prompt)
            + _own_problems(variant, seen)
        )
        if told:
            found += [(f"variants[{place}].{field}", message) for field, message in told]
    shares = [variant.ranges for variant in variants]
    if not _covers(shares):
        found += _cover_problems(shares)
    return found


def _place_problems(surroundings: Surroundings, interaction: str, tier: str) -> Found:
    if interaction != entries.ANY and (message := surroundings.missing("interaction", interaction)):
        yield "", message
    if tier != entries.DEFAULT_TIER and (message := surroundings.missing("tier", tier)):
        yield "", message


def _own_problems(variant: Variant, seen: set[int]) -> Told:
    """Return what is wrong with what variants do not share: the version and the dates."""
    version, begins, ends = variant.version, variant.effective_from, variant.effective_until
    told: Told = ()
    if version < 1:
        told += (("version", "versions begin at 1"),)
    if version in seen:
        told += (("version", f"version {version} is there twice"),)
    seen.add(version)
    if begins is not None and ends is not None and begins >= ends:
        told += (("effective_until", "the end must come after the beginning"),)
    return told


_Settings = tuple[
    str, bool, tuple[str, ...], int | None, float | None, float | None, float | None, float | None
]


def _settings(variant: Variant) -> _Settings:
    return (
        variant.model,
        variant.active,
        variant.fallbacks,
        variant.max_tokens,
        variant.temperature,
        variant.top_p,
        variant.frequency_penalty,
        variant.presence_penalty,
    )


def _settings_problems(surroundings: Surroundings, settings: _Settings) -> Found:
    code, active, fallbacks, max_tokens, *numbers = settings
    if max_tokens is not None and max_tokens < 1:
        yield "max_tokens", "at least one token"
    given = {field: number for field, number in zip(_BOUNDS, numbers, strict=True) if number is not None}
    model = surroundings.model(code)
    if model is None:
        yield "model", surroundings.missing("model", code) or ""
    else:
        yield from _use_problems(code, model, active=active, max_tokens=max_tokens, given=given)
    yield from _fallback_problems(surroundings, code, fallbacks, active=active)
    for field, number in given.items():
        least, most = _BOUNDS[field]
        if not least <= number <= most:
            yield field, f"this lies between {least} and {most}"


def _use_problems(
    code: str, model: Model, *, active: bool, max_tokens: int | None, given: Mapping[str, float]
) -> Found:
    if not model.active and active:
        yield "model", f"the model {code} is not active"
    if max_tokens is not None and max_tokens > model.max_output_tokens:
        yield "max_tokens", f"{code} gives at most {model.max_output_tokens:,} tokens"
    for field in given:
        if field not in model.parameters:
            yield field, f"{code} does not take this: leave it empty"


def _fallback_problems(
    surroundings: Surroundings, model_code: str, fallbacks: tuple[str, ...], *, active: bool
) -> Found:
    for place, code in enumerate(fallbacks):
        field = f"fallbacks[{place}]"
        model = surroundings.model(code)
        if model is None:
            yield field, surroundings.missing("model", code) or ""
        elif not model.active and active:
            yield field, f"the model {code} is not active"
        if code == model_code:
            yield field, f"{code} is the model itself, not a fallback"
        elif code in fallbacks[:place]:
            yield field, f"{code} is there twice"


def _reference_problems(surroundings: Surroundings, interaction: str, reference: PromptReference) -> Found:
    prompt = surroundings.prompt(reference.code)
    if prompt is None:
        yield "prompt.code", surroundings.missing("prompt", reference.code) or ""
        return
    if interaction not in {prompt.interaction, entries.ANY}:
        yield "prompt.code", f"the template {reference.code} belongs to {prompt.interaction}"
    if (reference.version is None) != (reference.sha256 is None):
        yield "prompt.version", "a pinned version needs both its number and its hash"
    if reference.version is not None and reference.version < 1:
        yield "prompt.version", "versions begin at 1"
    if reference.sha256 is None:
        return
    used = surroundings.known.used_names(reference.sha256)
    if used is None:
        yield "prompt.sha256", "the text of the pinned version is not in the release"
        return
    yield from _undeclared_problems(surroundings, prompt.interaction, used, "prompt.sha256")


def _gate_problems(surroundings: Surroundings, key: str, gate: Gate) -> Found:
    interaction = key.partition("/")[2]
    if message := surroundings.missing("interaction", interaction):
        yield "", message
    yield from _bucketing_problems(gate)
    if surroundings.known.has_salt(interaction, gate.salt):
        # One hash for both questions would let the gate choose among the variants.
        yield "salt", "a gate's salt differs from those of the interaction's configurations"
    yield from _overlap_problems([gate.ranges])


def _bucketing_problems(entry: Configuration | Gate) -> Sequence[tuple[str, str]]:
    found = []
    if not 1 <= len(entry.salt) <= 64 or not entry.salt.isascii() or not entry.salt.isalnum():
        found.append(("salt", "a salt is 1 to 64 letters and digits"))
    if entry.algorithm not in bucketing.ALGORITHMS:
        found.append(("algorithm", f"{entry.algorithm} is not known: use {bucketing.ALGORITHM}"))
    if entry.unit not in entries.UNIT_KINDS:
        found.append(("unit", f"{entry.unit} is none of {', '.join(entries.UNIT_KINDS)}"))
    return found


def _cover_problems(shares: Sequence[Ranges]) -> Sequence[tuple[str, str]]:
    problems = list(_overlap_problems(shares))
    owned = sum(bucketing.size(ranges) for ranges in shares)
    if not problems and owned != bucketing.BUCKETS:
        message = f"the variants own {owned:,} buckets together, not {bucketing.BUCKETS:,}"
        return [("variants", message)]
    return problems


def _covers(shares: Sequence[Ranges]) -> bool:
    """Say whether the variants own every bucket once; only if not is it worked out what is wrong."""
    reached = 0
    for start, end in sorted([(b, a) if b < a else (a, b) for ranges in shares for a, b in ranges]):
        if start != reached or end == start:
            return False
        reached = end
    return reached == bucketing.BUCKETS


def _overlap_problems(shares: Sequence[Ranges]) -> Found:
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


_RULES: Final[dict[type, Callable[[Surroundings, str, Any], Found]]] = {
    Tier: _tier_problems,
    Model: _model_problems,
    Interaction: _interaction_problems,
    PromptEntry: _prompt_problems,
    Gate: _gate_problems,
}
