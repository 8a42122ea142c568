"""A recorded call is decided again from its buckets alone, by the release it had and by any other."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.runtime import ConfigurationNotFoundError, Request, Snapshot, in_gate, resolve, snapshot
from controlplane.runtime import decisions as recorded
from controlplane.runtime.decisions import Decision, Header
from tests.runtime import releases
from tests.runtime.lookups import Bench
from tests.runtime.strategies import INTERACTIONS, TENANTS, TIERS, EntryMap, entry_maps

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
KEY = b"a key of a test, which is long enough"
REQUESTS_EACH = 400
"""With the fifty maps below: 20,000 calls."""


def decision_of(live: Snapshot, request: Request) -> Decision:
    return Decision(
        at=NOW,
        interaction=request.interaction,
        tier=request.tier,
        tenant=request.tenant_id,
        unit=recorded.hashed(KEY, request.unit),
        conversation=recorded.hashed(KEY, request.conversation_id),
        buckets=recorded.buckets(live, request),
    )


def requests(seed: int) -> list[Request]:
    draw = random.Random(seed)
    return [
        Request(
            draw.choice((*INTERACTIONS, "UNKNOWN")),
            draw.choice((None, *TIERS, "gold")),
            draw.choice((None, *TENANTS, "nobody")),
            draw.choice((None, f"u-{draw.randrange(10_000)}", "größe")),
            draw.choice((None, f"c-{draw.randrange(100)}")),
        )
        for _ in range(REQUESTS_EACH)
    ]


def moved(entry_map: EntryMap) -> Snapshot:
    """The same rows and salts with every share moved: each variant gets the next one's ranges."""
    documents = dict(entry_map.documents)
    for key, document in entry_map.documents.items():
        if key.startswith("configuration/"):
            variants = document["variants"]
            ranges = [each["ranges"] for each in variants]
            turned = [*ranges[1:], ranges[0]]
            documents[key] = document | {
                "variants": [each | {"ranges": own} for each, own in zip(variants, turned, strict=True)]
            }
    return Snapshot.load(snapshot.build(documents, entry_map.bodies), release=4, environment="staging")


@settings(max_examples=50)
@given(entry_maps(), st.integers(0, 2**32), st.integers(-400, 400))
def test_a_recorded_call_gets_again_what_the_runtime_gave_it(
    entry_map: EntryMap, seed: int, days: int
) -> None:
    live = Snapshot.load(snapshot.build(*entry_map), release=3, environment="staging")
    now = NOW + timedelta(days=days)
    other = moved(entry_map)
    for request in requests(seed):
        kept = recorded.decode(recorded.encode(decision_of(live, request)))
        for release in (live, other):
            again = recorded.replay(release, kept, now=now)
            gate = in_gate(
                release,
                request.interaction,
                request.unit,
                tenant_id=request.tenant_id,
                conversation_id=request.conversation_id,
            )
            assert (again.exact, again.gate) == (True, gate)
            try:
                expected = resolve(release, request, now=now)
            except ConfigurationNotFoundError:
                assert again.resolution is None
                continue
            found = again.resolution
            assert found is not None
            assert (found.key, found.place, found.chosen, found.bucket, found.passed_over) == (
                expected.key,
                expected.place,
                expected.chosen,
                expected.bucket,
                expected.passed_over,
            )


def split(entries: releases.Documents, key: str, **changed: object) -> Snapshot:
    row = entries[key]
    (variant,) = row["variants"][:1]
    halves = [
        variant | {"version": version, "ranges": [[start, start + 50_000]]}
        for version, start in ((1, 0), (2, 50_000))
    ]
    entries[key] = row | {"variants": halves, **changed}
    return releases.load(entries)


def test_a_salt_that_was_not_in_force_is_guessed_and_said_to_be() -> None:
    key = "configuration/COACHING_RESPONSE/premium/*"
    live = releases.load()
    asked = [Request("COACHING_RESPONSE", "premium", unit=f"u-{number}") for number in range(2_000)]
    kept = [decision_of(live, each) for each in asked]

    moved_share, new_row = split(releases.documents(), key), split(releases.documents(), key, salt="another")
    same, other = ([recorded.replay(then, each, now=NOW) for each in kept] for then in (moved_share, new_row))

    assert all(each.exact for each in same)
    assert not any(each.exact for each in other)
    second = [each.resolution for each in other if each.resolution and each.resolution.variant.version == 2]
    assert 850 < len(second) < 1_150, "a guess is right on average"


def test_a_tenant_has_its_bucket_by_any_salt() -> None:
    key = "configuration/COACHING_RESPONSE/premium/*"
    by_tenant = split(releases.documents(), key, salt="another", unit="tenant")
    for number in range(50):
        asked = Request("COACHING_RESPONSE", "premium", f"tenant-{number}", unit="u-1")
        again = recorded.replay(by_tenant, decision_of(releases.load(), asked), now=NOW)
        assert again.exact
        assert again.resolution is not None
        assert again.resolution.bucket == resolve(by_tenant, asked, now=NOW).bucket


def test_no_id_stands_in_what_is_kept() -> None:
    asked = Request("COACHING_RESPONSE", "premium", "acme", unit="ada@example.com", conversation_id="c-99")
    line = recorded.encode(decision_of(releases.load(), asked))
    assert b"ada" not in line
    assert b"c-99" not in line
    assert b'"acme"' in line
    assert recorded.hashed(KEY, "ada@example.com") == recorded.hashed(KEY, "ada@example.com")
    assert recorded.hashed(b"another key, as long as this", "ada@example.com") != recorded.hashed(
        KEY, "ada@example.com"
    )


def test_a_batch_comes_back_without_the_lines_that_nobody_can_read() -> None:
    header = Header(environment="production", process="web-1", rate=0.01, dropped=3)
    good = recorded.encode(decision_of(releases.load(), Request("COACHING_RESPONSE", unit="u-1")))
    bad = [b"", b"{", b"[]", b'{"at":"yesterday","interaction":"X"}', b'{"interaction":"X"}', b"x" * 30_000]
    batch = recorded.read(recorded.join(header, [good, *bad, good]))
    assert (batch.header, len(batch.decisions), batch.unreadable) == (header, 2, 5)


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"{}\n", b"[" * 100_000, b'{"schema":9,"environment":"p","process":"w","rate":1}\n'],
)
def test_bytes_that_are_no_batch_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        recorded.read(data)


def test_more_calls_than_a_batch_may_have_are_counted_and_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "MOST_DECISIONS", 3)
    line = recorded.encode(decision_of(releases.load(), Request("COACHING_RESPONSE")))
    header = Header(environment="production", process="web-1", rate=1)
    batch = recorded.read(recorded.join(header, [line] * 5))
    assert len(batch.decisions) == 3
    assert batch.unreadable


def test_a_process_that_looks_up_records_the_same_buckets_as_one_that_has_the_whole_release() -> None:
    bench = Bench()
    whole = releases.load()
    for interaction in ("COACHING_RESPONSE", "UNCONFIGURED"):
        for tier, tenant in ((None, None), ("premium", None), ("premium", "acme"), ("free", "nobody")):
            asked = Request(interaction, tier, tenant, unit="u-1", conversation_id="c-1")
            view = bench.source.view(interaction, tenant)
            assert view is not None
            assert recorded.buckets(view, asked) == recorded.buckets(whole, asked)
