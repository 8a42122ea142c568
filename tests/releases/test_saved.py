from sqlalchemy.orm import Session

from controlplane.configurations import services as configurations
from controlplane.prompts import services as prompts
from controlplane.releases import saved, services
from controlplane.releases.compose import Document
from controlplane.releases.diff import Kind
from tests.releases.changing import (
    DEFAULT,
    EDITOR,
    GATE,
    PREMIUM,
    PROMPT,
    PUBLISHER,
    REASON,
    move,
    publish_saved,
    save_configuration,
    save_prompt,
    two_variants,
)


def unpublished(session: Session, environment: str = "production") -> list[str]:
    return [change.key for change in services.unpublished(session, environment)]


def start_rollout(session: Session) -> Document:
    save_configuration(session, model="CLAUDE_3_HAIKU")
    document = two_variants(session, "production")
    move(session, "production", {PREMIUM: document})
    return document


def test_the_live_set_at_a_release_is_what_it_was_then(first_data: Session) -> None:
    first = saved.live_entries(first_data, "production")
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    publish_saved(first_data, "production")

    assert saved.live_entries(first_data, "production", at=1) == first
    assert saved.live_entries(first_data, "production", at=2) == saved.live_entries(first_data, "production")
    assert saved.live_entries(first_data, "production", at=0) == {}


def test_what_is_saved_comes_with_the_texts_it_names_pinned_ones_included(first_data: Session) -> None:
    first = prompts.get_version(first_data, "coaching_response", 1)
    second = save_prompt(first_data)
    save_configuration(first_data, prompt_version=1)

    entries, bodies = saved.saved_entries(first_data, "production")

    assert entries[PROMPT]["version"] == second
    assert entries[PREMIUM]["variants"][0]["prompt"] == {
        "code": "coaching_response",
        "version": 1,
        "sha256": first.sha256,
    }
    assert bodies[first.sha256] == first.body
    assert entries[PROMPT]["sha256"] in bodies


def test_a_configuration_in_rollout_is_saved_as_it_is_live(first_data: Session) -> None:
    document = start_rollout(first_data)
    save_configuration(first_data, temperature=0.1)

    entries, _ = saved.saved_entries(first_data, "production")

    assert entries[PREMIUM] == document
    assert unpublished(first_data) == []
    assert saved.waiting(first_data, "production") == [saved.Waiting(PREMIUM, 3, (1, 2))]
    assert unpublished(first_data, "staging") == [PREMIUM]


def test_nothing_waits_while_the_rollout_leads_to_the_newest_version(first_data: Session) -> None:
    start_rollout(first_data)

    assert saved.waiting(first_data, "production") == []


def test_the_order_in_which_buckets_were_acquired_is_no_difference(first_data: Session) -> None:
    document = start_rollout(first_data)
    winner = {**document["variants"][1], "ranges": [[100_000, 90_000], [0, 90_000]]}
    move(first_data, "production", {PREMIUM: {**document, "variants": [winner]}})

    assert unpublished(first_data) == []


def test_a_gate_is_saved_as_it_is_live(first_data: Session) -> None:
    live = saved.live_entry(first_data, "production", GATE)
    assert live is not None
    move(first_data, "production", {GATE: {**live, "ranges": [[0, 5]]}})

    assert unpublished(first_data) == []


def test_a_gate_that_is_not_there_yet_would_be_published_open(first_data: Session) -> None:
    move(first_data, "production", {GATE: None})

    (change,) = services.unpublished(first_data, "production")

    assert (change.key, change.kind) == (GATE, Kind.ADDED)
    assert change.after is not None
    assert change.after["ranges"] == [[0, 100_000]]


def test_what_is_archived_would_go(first_data: Session) -> None:
    found = configurations.get_configuration(first_data, "COACHING_RESPONSE", tier="premium")
    configurations.archive_configuration(first_data, found, reason=REASON, actor=EDITOR)

    (change,) = services.unpublished(first_data, "production")

    assert (change.key, change.kind) == (PREMIUM, Kind.REMOVED)


def test_what_was_taken_back_is_told_apart_from_what_is_new(first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    save_prompt(first_data)
    publish_saved(first_data, "production")
    services.roll_back(first_data, "production", to=1, reason=REASON, actor=PUBLISHER)
    save_configuration(first_data, tier=None, temperature=0.1)
    keys = unpublished(first_data)
    entries, _ = saved.saved_entries(first_data, "production")

    assert sorted(keys) == sorted([PREMIUM, DEFAULT, PROMPT])
    assert saved.taken_back(first_data, "production", keys, entries) == {PREMIUM: 3, PROMPT: 3}


def test_an_aborted_rollouts_version_counts_as_taken_back(first_data: Session) -> None:
    before = saved.live_entry(first_data, "production", PREMIUM)
    start_rollout(first_data)
    move(first_data, "production", {PREMIUM: before})
    entries, _ = saved.saved_entries(first_data, "production")

    assert saved.taken_back(first_data, "production", [PREMIUM], entries) == {PREMIUM: 3}
