from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings

from controlplane.runtime import Request, Snapshot, canonical, entries, resolve, snapshot, validate
from controlplane.runtime.errors import ConfigurationNotFoundError
from controlplane.runtime.renderer import compile_prompt, render
from controlplane.runtime.snapshot import READ_LIMIT
from controlplane.runtime.validate import PUBLISH
from tests.runtime import releases
from tests.runtime.releases import Documents
from tests.runtime.strategies import EntryMap, entry_maps

CONFIGURATION = "configuration/COACHING_RESPONSE/premium/*"
ROLLOUT = "configuration/ROLLOUT/default/*"
SHA = next(iter(releases.bodies()))

Change = Callable[[Documents], object]


def found(documents: Documents, bodies: dict[str, str] | None = None) -> list[tuple[str, str, str]]:
    problems = validate(documents, releases.bodies() if bodies is None else bodies)
    return [(one.key, one.field, one.message) for one in problems]


def variant(documents: Documents, key: str = CONFIGURATION, place: int = 0) -> dict[str, Any]:
    chosen: dict[str, Any] = documents[key]["variants"][place]
    return chosen


def test_a_good_release_has_no_problems() -> None:
    assert found(releases.documents()) == []
    assert found({}, {}) == []


@settings(max_examples=60)  # each draws and reads a whole release
@given(entry_maps())
def test_what_validates_loads_resolves_and_renders(entry_map: EntryMap) -> None:
    assert validate(*entry_map) == []
    loaded = Snapshot.load(snapshot.build(*entry_map), release=1, environment="staging")
    assert validate(loaded.documents(), loaded.bodies()) == []
    for key in loaded.keys():  # noqa: SIM118 - a Snapshot is not a mapping
        if key.startswith("interaction/"):
            serve(loaded, key.partition("/")[2])


def serve(loaded: Snapshot, interaction: str) -> None:
    declared = loaded.interaction(interaction)
    assert declared is not None
    for tier in (None, "free", "premium"):
        try:
            resolution = resolve(
                loaded, Request(interaction, tier, unit="u"), now=datetime(2026, 6, 1, tzinfo=UTC)
            )
        except ConfigurationNotFoundError:
            continue
        prompt = compile_prompt(loaded.body(resolution.prompt.sha256))
        assert render(prompt, {"goal": "Grow", "topic": "x"}, declared.parameters)


CASES: list[tuple[Change, str, str, str]] = [
    (lambda d: d["tier/free"].update(name=" "), "tier/free", "name", "a tier needs a name"),
    (lambda d: d["tier/free"].update(rank=-1), "tier/free", "rank", "the rank is 0 or more"),
    (lambda d: d["tier/free"].update(rank="high"), "tier/free", "rank", "a whole number is needed, not text"),
    (lambda d: d["tier/free"].pop("rank"), "tier/free", "rank", "is missing"),
    (lambda d: d["model/SMALL"].update(provider=""), "model/SMALL", "provider", "needed to call the model"),
    (lambda d: d["model/LARGE"].update(input_price_per_million=-1), "model/LARGE", "input_price_per_million", "0 or more"),
    (lambda d: d["model/LARGE"].update(capabilities="chat"), "model/LARGE", "capabilities", "a list is needed, not text"),
    (lambda d: d["model/LARGE"].update(active=None), "model/LARGE", "active", "true or false is needed, not nothing"),
    (lambda d: d["model/LARGE"].update(context_window=0), "model/LARGE", "context_window", "at least one token"),
    (lambda d: d["interaction/ROLLOUT"]["parameters"][0].update(type="date"), "interaction/ROLLOUT", "parameters[0].type", "date is none of string"),
    (lambda d: d["interaction/ROLLOUT"]["parameters"].append({"name": "__class__", "type": "text"}), "interaction/ROLLOUT", "parameters[1].name", "cannot be a parameter's name"),
    (lambda d: d["interaction/ROLLOUT"]["parameters"].append({"name": "loop", "type": "text"}), "interaction/ROLLOUT", "parameters[1].name", "cannot be a parameter's name"),
    (lambda d: d["interaction/ROLLOUT"]["parameters"].append({"name": "user_message", "type": "text"}), "interaction/ROLLOUT", "parameters[1].name", "two parameters called user_message"),
    (lambda d: d["interaction/ROLLOUT"]["parameters"][0].update(example=7), "interaction/ROLLOUT", "parameters[0].example", "text is needed, not a number"),
    (lambda d: d["interaction/ROLLOUT"]["parameters"][0].update(required="yes"), "interaction/ROLLOUT", "parameters[0].required", "true or false is needed, not text"),
    (lambda d: d["interaction/ROLLOUT"]["parameters"][0].update(name="message"), "prompt/rollout", "sha256", "uses user_message, which ROLLOUT does not declare; did you mean 'message'?"),
    (lambda d: d["prompt/rollout"].update(size=1), "prompt/rollout", "size", "not the size of its text"),
    (lambda d: d["prompt/rollout"].update(version=0), "prompt/rollout", "version", "begin at 1"),
    (lambda d: d["prompt/rollout"].update(sha256="0" * 64), "prompt/rollout", "sha256", "not in the release"),
    (lambda d: d["prompt/rollout"].update(interaction="ROLLOUTS"), "prompt/rollout", "interaction", "there is no interaction ROLLOUTS; did you mean 'ROLLOUT'?"),
    (lambda d: variant(d).update(model="SMAL"), CONFIGURATION, "variants[0].model", "there is no model SMAL; did you mean 'SMALL'?"),
    (lambda d: d["model/LARGE"].update(active=False), CONFIGURATION, "variants[0].model", "the model LARGE is not active"),
    (lambda d: variant(d).update(max_tokens=4097), CONFIGURATION, "variants[0].max_tokens", "LARGE gives at most 4,096 tokens"),
    (lambda d: variant(d).update(max_tokens=0), CONFIGURATION, "variants[0].max_tokens", "at least one token"),
    (lambda d: variant(d).update(top_p=0.5), CONFIGURATION, "variants[0].top_p", "LARGE does not take this"),
    (lambda d: variant(d).update(temperature=2.1), CONFIGURATION, "variants[0].temperature", "between 0 and 2"),
    (lambda d: variant(d).update(temperature="warm"), CONFIGURATION, "variants[0].temperature", "a number is needed, not text"),
    (lambda d: variant(d).update(fallbacks=["NONE"]), CONFIGURATION, "variants[0].fallbacks[0]", "there is no model NONE"),
    (lambda d: variant(d).update(fallbacks=["LARGE"]), CONFIGURATION, "variants[0].fallbacks[0]", "LARGE is the model itself"),
    (lambda d: variant(d).update(fallbacks=["SMALL", "SMALL"]), CONFIGURATION, "variants[0].fallbacks[1]", "SMALL is there twice"),
    (lambda d: variant(d).update(fallbacks="SMALL"), CONFIGURATION, "variants[0].fallbacks", "a list is needed, not text"),
    (lambda d: variant(d).update(effective_from="2026-01-01T00:00:00"), CONFIGURATION, "variants[0].effective_from", "needs a time zone"),
    (lambda d: variant(d).update(effective_from="tomorrow"), CONFIGURATION, "variants[0].effective_from", "this is not a moment"),
    (lambda d: variant(d).update(effective_from="2026-02-01T00:00:00Z", effective_until="2026-02-01T00:00:00Z"), CONFIGURATION, "variants[0].effective_until", "the end must come after the beginning"),
    (lambda d: variant(d).update(version=0), CONFIGURATION, "variants[0].version", "begin at 1"),
    (lambda d: variant(d)["prompt"].update(code="rollout"), CONFIGURATION, "variants[0].prompt.code", "the template rollout belongs to ROLLOUT"),
    (lambda d: variant(d)["prompt"].update(code="rolout"), CONFIGURATION, "variants[0].prompt.code", "there is no prompt rolout; did you mean 'rollout'?"),
    (lambda d: variant(d)["prompt"].update(version=1), CONFIGURATION, "variants[0].prompt.version", "both its number and its hash"),
    (lambda d: variant(d)["prompt"].update(version=1, sha256="0" * 64), CONFIGURATION, "variants[0].prompt.sha256", "the pinned version is not in the release"),
    (lambda d: d[CONFIGURATION].update(variants=[]), CONFIGURATION, "variants", "at least one variant"),
    (lambda d: d[CONFIGURATION].update(salt=""), CONFIGURATION, "salt", "1 to 64 letters and digits"),
    (lambda d: d[CONFIGURATION].update(algorithm="v0"), CONFIGURATION, "algorithm", "v0 is not known"),
    (lambda d: d[CONFIGURATION].update(unit="horse"), CONFIGURATION, "unit", "horse is none of user"),
    (lambda d: variant(d).update(ranges=[[0, 99_999]]), CONFIGURATION, "variants", "own 99,999 buckets together, not 100,000"),
    (lambda d: variant(d).update(ranges=[[0, 100_001]]), CONFIGURATION, "ranges", "[0, 100001] is not a range"),
    (lambda d: variant(d).update(ranges=[[-1, 99_999]]), CONFIGURATION, "ranges", "[-1, 99999] is not a range"),
    (lambda d: variant(d).update(ranges=[[0, 50_000], [60_000, 40_000]]), CONFIGURATION, "ranges", "bucket 40,000 is owned twice"),
    (lambda d: variant(d, ROLLOUT, 1).update(ranges=[[9_999, 50_000]]), ROLLOUT, "variants[1].ranges", "bucket 9,999 is owned twice"),
    (lambda d: variant(d, ROLLOUT, 1).update(version=1), ROLLOUT, "variants[1].version", "version 1 is there twice"),
    (lambda d: d.pop("interaction/WINDOWS"), "configuration/WINDOWS/premium/*", "", "there is no interaction WINDOWS"),
    (lambda d: d.pop("tier/premium"), CONFIGURATION, "", "there is no tier premium"),
    (lambda d: d["gate/GATED"].update(salt="other"), "gate/GATED", "salt", "differs from those"),
    (lambda d: d["gate/GATED"].update(ranges=[[0, 10], [5, 20]]), "gate/GATED", "ranges", "bucket 5 is owned twice"),
    (lambda d: d.update({"gate/NONE": {"salt": "x", "ranges": []}}), "gate/NONE", "", "there is no interaction NONE"),
    (lambda d: d.update({"widget/A": {}}), "widget/A", "", "begins with none of"),
    (lambda d: d.update({"tier/default": {"name": "D", "rank": 1}}), "tier/default", "", "cannot be called default"),
    (lambda d: d.update({"tier/nan": {"name": "D", "rank": float("nan")}}), "tier/nan", "", "not plain data"),
    (lambda d: d.update({"tier/list": []}), "tier/list", "", "an object is needed"),  # type: ignore[dict-item]
    (lambda d: d["tier/free"].update(name="x" * PUBLISH.entry_bytes), "tier/free", "", "more than the 131,072 that one entry may have"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "key", "field", "message"), CASES, ids=[f"{case[1]} {case[3]}" for case in CASES]
)
def test_a_problem_is_told_with_its_key_its_field_and_what_to_do(
    change: Change, key: str, field: str, message: str
) -> None:
    documents = releases.documents()
    change(documents)
    told = found(documents)
    assert [one for one in told if one[:2] == (key, field) and message in one[2]], told


def test_all_problems_are_told_at_once() -> None:
    documents = releases.documents()
    variant(documents).update(model="NONE", max_tokens=-1, temperature=9, fallbacks=["NONE"])
    documents["tier/free"] = {"name": 7, "rank": "x"}
    fields = {(key, field) for key, field, _ in found(documents)}
    assert {
        (CONFIGURATION, f"variants[0].{field}")
        for field in ("model", "max_tokens", "temperature", "fallbacks[0]")
    } < fields
    assert {("tier/free", "name"), ("tier/free", "rank")} < fields


def test_an_inactive_variant_may_name_an_inactive_model() -> None:
    documents = releases.documents()
    documents["model/LARGE"]["active"] = False
    variant(documents)["active"] = False
    assert found(documents) == []


def test_the_environments_default_may_use_any_interactions_prompt() -> None:
    documents = releases.documents()
    variant(documents, "configuration/*/default/*")["prompt"]["code"] = "windows"
    assert found(documents) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{{ goal.__class__ }}", "Line 1: .__class__ is not available"),
        ("a\n{% if x %}", "Line 2: {% if %} is never closed"),
        ("a\r\nb", "line ends"),
    ],
)
def test_every_body_is_held_to_the_profile(body: str, message: str) -> None:
    sha256 = canonical.digest(body.encode())
    told = found(releases.documents(), {**releases.bodies(), sha256: body})
    assert [(key, field) for key, field, _ in told] == [(f"body/{sha256}", "")]
    assert message in told[0][2]


def test_a_body_under_a_hash_that_is_not_its_own_is_told() -> None:
    told = found(releases.documents(), {**releases.bodies(), SHA: "Another {{ user_message }}\n"})
    assert (f"body/{SHA}", "", "the text is not the one its name says: the SHA-256 differs") in told


def test_the_ceilings_are_lower_for_publishing_than_for_reading() -> None:
    documents = {f"tier/t{number}": {"name": "x" * 120_000, "rank": number} for number in range(300)}
    assert [(key, field) for key, field, _ in found(documents, {})] == [("", "")]
    assert PUBLISH.snapshot_bytes * 2 == READ_LIMIT


def fields_of(documents: Documents) -> list[tuple[str, int | None, str]]:
    outer: list[tuple[str, int | None, str]] = [
        (key, None, field) for key in documents for field in documents[key]
    ]
    inner = [
        (key, place, field)
        for key in documents
        for place, one in enumerate(documents[key].get("variants", []))
        for field in one
    ]
    return outer + inner


@pytest.mark.parametrize("value", [None, "", [], {}, -1, "7", True], ids=repr)
def test_any_field_with_any_value_is_told_or_decodes(value: object) -> None:
    for key, place, field in fields_of(releases.documents()):
        documents = releases.documents()
        target = documents[key] if place is None else documents[key]["variants"][place]
        target[field] = value
        if not found(documents):
            entries.decode(key, canonical.dumps(documents[key]))
