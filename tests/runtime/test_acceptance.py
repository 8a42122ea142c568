import json
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.runtime import Request, Snapshot, canonical, entries, resolve, snapshot
from controlplane.runtime.acceptance import Trust, accept, compiled_prompt, complete
from controlplane.runtime.errors import ControlPlaneRuntimeError, SnapshotRefused
from controlplane.runtime.renderer import render
from controlplane.runtime.stores.base import ObjectMismatchError
from controlplane.runtime.validate import PUBLISH, READ, Checked, Limits, validate, validate_raws, written
from tests.runtime import releases
from tests.runtime.faults import pointer_to, release_bytes
from tests.runtime.releases import Documents
from tests.runtime.strategies import EntryMap, entry_maps

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROW = "configuration/COACHING_RESPONSE/premium/*"


def broken(**changes: Any) -> bytes:
    """A release whose hash is right and one of whose configurations is not."""
    documents = releases.documents()
    documents[ROW]["variants"][0].update(changes or {"model": "NONE"})
    return snapshot.build(documents, releases.bodies())


def taken(data: bytes, release: int = 1, **options: Any) -> Snapshot:
    return accept(pointer_to(data, release), data, **options)


def test_a_first_release_of_which_nothing_is_known_is_looked_at_as_a_whole() -> None:
    assert taken(release_bytes()).accepted
    with pytest.raises(SnapshotRefused, match="there is no model NONE"):
        taken(broken())


def test_what_follows_an_accepted_release_is_refused_for_what_is_new_in_it() -> None:
    current = taken(release_bytes())
    assert taken(release_bytes(0.25), 2, current=current).accepted
    with pytest.raises(SnapshotRefused, match="there is no model NONE"):
        taken(broken(), 2, current=current)


def test_a_release_that_nobody_looked_at_vouches_for_none() -> None:
    current = taken(broken(), trust=Trust.SIGNED)
    assert current.accepted is False
    with pytest.raises(SnapshotRefused, match="there is no model NONE"):
        taken(broken(), 2, current=current)


def test_what_was_accepted_before_needs_its_hash_and_no_more() -> None:
    data = broken()
    assert taken(data, trust=Trust.CHECKED).accepted
    with pytest.raises(ObjectMismatchError):
        accept(pointer_to(data, 1), data[:-1] + b" ", trust=Trust.CHECKED)


def test_a_signed_first_release_is_served_before_it_is_looked_at() -> None:
    served = taken(release_bytes(), trust=Trust.SIGNED)
    before = served.accepted
    complete(served)
    assert (before, served.accepted) == (False, True)
    with pytest.raises(SnapshotRefused, match="there is no model NONE"):
        complete(taken(broken(), trust=Trust.SIGNED))


def test_a_signed_release_that_follows_an_accepted_one_is_looked_at_first() -> None:
    with pytest.raises(SnapshotRefused, match="there is no model NONE"):
        taken(broken(), 2, current=taken(release_bytes()), trust=Trust.SIGNED)


def test_a_digest_that_is_known_is_held_against_the_pointer() -> None:
    data = release_bytes()
    assert taken(data, digest=canonical.digest(data)).sha256 == canonical.digest(data)
    with pytest.raises(ObjectMismatchError):
        taken(data, digest="0" * 64)


@pytest.mark.parametrize("trust", Trust)
def test_no_trust_makes_an_emptied_release_acceptable(trust: Trust) -> None:
    current = taken(release_bytes())
    fewer = snapshot.build(dict(list(releases.documents().items())[:3]), {})
    for data in (snapshot.build({}, {}), fewer):
        with pytest.raises(SnapshotRefused, match=r"empty|vanish"):
            taken(data, 2, current=current, trust=trust)


def test_programs_are_taken_over_and_only_new_prompts_are_compiled() -> None:
    current = taken(release_bytes())
    body = "New {{ user_message }}\n"
    sha256 = canonical.digest(body.encode())
    documents = releases.documents()
    documents["prompt/rollout"].update(sha256=sha256, size=len(body), version=9)
    follower = taken(snapshot.build(documents, releases.bodies() | {sha256: body}), 2, current=current)
    for older in releases.bodies():
        assert compiled_prompt(follower, older) is compiled_prompt(current, older)
    assert compiled_prompt(follower, sha256).used


@pytest.mark.parametrize(
    "document",
    [
        '{"name":"A","rank":NaN}', '{"name":"A","rank":1e400}', '{"name":"A","rank":1%s}' % ("0" * 400),
        '{"name":"A","rank":1,"x":1%s}' % ("0" * 5000), '{"name":"A","rank":1,"rank":1}', '{"name":"A","rank":1,"x":{"y":1,"y":1}}',
        '{"name":"\\ud800","rank":1}', '{"name":"A","rank":1,"x":"\\ud800"}', '{"name":"A","rank":1,"x":%s}' % ("[" * 10_000 + "]" * 10_000),
        '{"name":"A","rank":1,"x":%s}' % ("[" * 61 + "]" * 61), '{"name":"A", "rank":1}', '{"rank":1,"name":"A"}',
        '{"name":"\\u0041","rank":1}', '{"name":"A","rank":1.0}', '{"name":"A","rank":-0}', '{"name":"A","rank":1e0}',
        '{"name":"A","rank":1,"x":1e-7}', "null", "[]", '"A"', "1", "{}", '{"name":null,"rank":1}', '{"name":"A","rank":null}',
        '{"name":"A"}', '{"name":"","rank":1}', '{"name":"A","rank":"1"}', '{"name":"A","rank":true}',
    ],
    ids=lambda document: ascii(document[:40]),
)  # fmt: skip
@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_an_entry_that_two_readers_could_read_differently_is_refused(document: str, warm: bool) -> None:
    data = release_bytes().replace(b'{"name":"Free","rank":0}', document.encode())
    assert data != release_bytes()
    current = taken(release_bytes()) if warm else None
    with pytest.raises(SnapshotRefused, match=r".+"):
        taken(data, 2, current=current)


EMPTY_OR_WRONG: list[object] = ["", [], {}, [None], True]
NOT_A_LIST: list[object] = [None, "", {}, 7]
NULLABLE = [
    ("model/LARGE", "input_price_per_million"), ("model/LARGE", "output_price_per_million"), (ROW, "temperature"), (ROW, "max_tokens"),
    (ROW, "top_p"), (ROW, "frequency_penalty"), (ROW, "presence_penalty"), (ROW, "effective_from"), (ROW, "effective_until"),
    (ROW, "prompt.version"), (ROW, "prompt.sha256"),
]  # fmt: skip
COLLECTIONS = [
    ("model/LARGE", "capabilities"), ("model/LARGE", "parameters"), ("interaction/ROLLOUT", "parameters"), (ROW, "fallbacks"),
    (ROW, "ranges"), ("gate/GATED", "ranges"),
]  # fmt: skip


def with_field(key: str, path: str, value: object) -> Documents:
    """The golden documents with a field of an entry (or of its first variant) set; `...` takes it away."""
    documents = releases.documents()
    target: dict[str, Any] = documents[key]
    if key == ROW:
        target = target["variants"][0]
    *outer, field = path.split(".")
    for name in outer:
        target = target[name]
    target.pop(field, None)
    if value is not ...:
        target[field] = value
    return documents


@pytest.mark.parametrize(("key", "path"), NULLABLE)
def test_what_may_be_null_may_be_absent_and_is_refused_when_empty_or_of_another_type(
    key: str, path: str
) -> None:
    for either in (None, ...):
        assert taken(snapshot.build(with_field(key, path, either), releases.bodies())).accepted
    for value in EMPTY_OR_WRONG:
        with pytest.raises(SnapshotRefused, match=r"needed|not a moment|not in the release"):
            taken(snapshot.build(with_field(key, path, value), releases.bodies()))


@pytest.mark.parametrize(("key", "path"), COLLECTIONS)
def test_a_collection_is_never_null(key: str, path: str) -> None:
    for value in NOT_A_LIST:
        with pytest.raises(SnapshotRefused, match="problems, the first"):
            taken(snapshot.build(with_field(key, path, value), releases.bodies()))


@pytest.mark.parametrize("times", [0.99, 1.0, 1.01, 1.99, 2.0, 2.01, 10])
def test_an_entry_is_refused_above_each_of_its_two_ceilings(times: float) -> None:
    size = int(times * PUBLISH.entry_bytes)
    document = {"name": "", "rank": 1}
    document["name"] = "x" * (size - len(canonical.dumps(document)))
    documents = releases.documents() | {"tier/free": document}
    told = validate(documents, releases.bodies())
    assert [problem.message for problem in told if "that one entry may have" in problem.message] == (
        [] if times <= 1 else [f"{size:,} bytes are more than the 131,072 that one entry may have"]
    )
    current = taken(release_bytes())
    data = snapshot.build(documents, releases.bodies())
    if times <= 2:
        assert taken(data, 2, current=current).accepted
    else:
        with pytest.raises(SnapshotRefused, match="262,144"):
            taken(data, 2, current=current)


@pytest.mark.parametrize("times", [0.99, 1.0, 1.01, 2, 10])
def test_a_release_is_refused_above_its_count_and_its_size(times: float) -> None:
    documents, bodies = releases.documents(), releases.bodies()
    count, size = len(documents), len(snapshot.build(documents, bodies))
    many = PUBLISH._replace(entries=int(count / times))
    large = PUBLISH._replace(snapshot_bytes=int(size / times))
    assert [message for _, _, message in validate(documents, bodies, limits=many)] == (
        [] if times <= 1 else [f"the release has {count} entries, and {many.entries} is the limit"]
    )
    assert [message for _, _, message in validate(documents, bodies, limits=large)] == (
        [] if times <= 1 else [f"the release has {size:,} bytes, and {large.snapshot_bytes:,} is the limit"]
    )


def test_a_reader_takes_twice_what_a_publisher_may_make() -> None:
    assert tuple(2 * limit for limit in PUBLISH) == READ
    assert Limits(100_000, 128 * 1024, 32 * 1024 * 1024) == PUBLISH


WRONG: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "NONE", [], {}, -1, 0, 7, 0.5, "x" * 200, True, [[0, 5]], ["LARGE", "LARGE"], "größe"]
)


@st.composite
def followers(draw: st.DrawFn, before: EntryMap) -> EntryMap:
    """A release that follows another: partly that of a third one, with some of it broken."""
    other: EntryMap = draw(entry_maps())
    documents: Documents = json.loads(json.dumps(before.documents))
    bodies = before.bodies | other.bodies
    for key in draw(st.lists(st.sampled_from(sorted(other.documents)), max_size=6)):
        documents[key] = other.documents[key]
    for key in draw(st.lists(st.sampled_from(sorted(documents)), max_size=2, unique=True)):
        del documents[key]
    for _ in range(draw(st.integers(0, 2))):
        key = draw(st.sampled_from([*sorted(documents), "tier/new"]))
        target = documents.setdefault(key, {"name": "New", "rank": 1})
        for inner in ("variants", "parameters"):
            if target.get(inner) and isinstance(target[inner][0], dict) and draw(st.booleans()):
                target = target[inner][0]
        target[draw(st.sampled_from(sorted(target)))] = draw(WRONG)
    if draw(st.integers(0, 1)):
        bodies.pop(draw(st.sampled_from(sorted(bodies))))
    if draw(st.integers(0, 1)) and bodies:
        text = draw(st.sampled_from(["{{ goal", "{{ other }}\n", "plain\n"]))
        bodies[draw(st.sampled_from(sorted(bodies)))] = text
    return EntryMap(documents, bodies)


@settings(max_examples=60)  # each draws and reads a whole release
@given(st.data())
def test_looking_at_what_differs_finds_what_looking_at_everything_finds(data: st.DataObject) -> None:
    before = data.draw(entry_maps())
    after = data.draw(followers(before))
    raws, _ = written(after.documents)
    checked = Checked(written(before.documents)[0], before.bodies)
    assert validate_raws(raws, after.bodies, checked=checked) == validate_raws(raws, after.bodies)


def test_what_names_a_changed_thing_is_looked_at_again() -> None:
    # Each of these breaks an entry that did not change itself.
    documents = releases.documents()
    current = taken(snapshot.build(documents, releases.bodies()))
    breaking: dict[str, dict[str, Any]] = {
        "model/LARGE": {"active": False},
        "interaction/ROLLOUT": {"parameters": []},
        "prompt/rollout": {"interaction": "WINDOWS"},
        "configuration/GATED/default/*": {"salt": documents["gate/GATED"]["salt"]},
    }
    for key, changes in breaking.items():
        changed = releases.documents()
        changed[key].update(changes)
        with pytest.raises(SnapshotRefused, match="problems, the first"):
            taken(snapshot.build(changed, releases.bodies()), 2, current=current)


def test_a_pinned_text_is_looked_at_again_when_the_interaction_of_its_prompt_changes() -> None:
    # The row names the prompt, the prompt names the interaction; the live text does not use what the pinned one does.
    older, live = "Reach {{ goal }}\n", "Hello\n"
    bodies = releases.bodies() | {canonical.digest(body.encode()): body for body in (older, live)}
    documents = releases.documents()
    parameter = {"name": "goal", "type": "text"}
    documents["interaction/PINNED"] = {"parameters": [parameter]}
    documents["prompt/pinned"] = {
        "interaction": "PINNED",
        "version": 2,
        "sha256": canonical.digest(live.encode()),
        "size": len(live),
    }
    everywhere = documents["configuration/*/default/*"]["variants"][0]
    everywhere["prompt"] = {"code": "pinned", "version": 1, "sha256": canonical.digest(older.encode())}
    current = taken(snapshot.build(documents, bodies))
    documents["interaction/PINNED"]["parameters"] = [{**parameter, "name": "aim"}]
    with pytest.raises(SnapshotRefused, match=r"1 problems.*uses goal, which PINNED does not declare"):
        taken(snapshot.build(documents, bodies), 2, current=current)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers()
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_what_is_served_unseen_raises_nothing_but_what_is_a_step_down(data: st.DataObject) -> None:
    documents = releases.documents()
    key = data.draw(st.sampled_from(sorted(documents)))
    target = documents[key]
    if "variants" in target and data.draw(st.booleans()):
        target = target["variants"][0]
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(JSON | WRONG)
    try:
        found = snapshot.build(documents, releases.bodies())
    except ValueError:  # what cannot be written down cannot be published
        return
    served = taken(found, trust=Trust.SIGNED)
    for interaction in ("COACHING_RESPONSE", "ROLLOUT", "GATED", "NONE"):
        use(served, interaction)


def use(served: Snapshot, interaction: str) -> None:
    with suppress(ControlPlaneRuntimeError):
        found = resolve(served, Request(interaction, "premium", unit="u"), now=NOW)
        assert found.why
        declared = served.interaction(interaction)
        parameters = declared.parameters if declared else ()
        render(
            compiled_prompt(served, found.prompt.sha256), {"goal": "Grow", "user_message": "x"}, parameters
        )


@given(entry_maps(), st.data())
def test_one_content_has_one_spelling(entry_map: EntryMap, data: st.DataObject) -> None:
    good = snapshot.build(*entry_map)
    place = data.draw(st.integers(0, len(good)))
    extra = data.draw(st.sampled_from([b" ", b"0", b".0", b",", b"\\u0061", b"a", b"e0", b"\n"]))
    changed = good[:place] + extra + good[place + data.draw(st.integers(0, 1)) :]
    with suppress(SnapshotRefused):
        found = taken(changed)
        assert snapshot.build(found.documents(), found.bodies()) == changed


def test_the_name_of_the_rules_changes_with_the_code(tmp_path: Path) -> None:
    copytree(
        ROOT / "controlplane" / "runtime",
        tmp_path / "controlplane" / "runtime",
        ignore=ignore_patterns("__pycache__"),
    )
    (tmp_path / "controlplane" / "__init__.py").touch()
    same = [checked_by(tmp_path), checked_by(tmp_path)]
    with (tmp_path / "controlplane" / "runtime" / "rules.py").open("a") as rules:
        rules.write("# stricter\n")
    assert same[0] == same[1] != checked_by(tmp_path)


def checked_by(directory: Path) -> str:
    program = "from controlplane.runtime.acceptance import CHECKED_BY; print(CHECKED_BY)"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=directory, check=True, capture_output=True, text=True
    ).stdout


def test_every_entry_of_an_accepted_release_can_be_decoded() -> None:
    found = taken(release_bytes())
    for key in found.keys():  # noqa: SIM118 - a Snapshot is not a mapping
        assert entries.decode(key, found.raw(key))
