"""Pure parts: which state may follow which, and the digest that an agreement is given to."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controlplane.proposals.content import Included, changes_in, content_digest, moved_of
from controlplane.proposals.states import FOLLOWING, OPEN, PUBLISHABLE, State
from controlplane.releases.compose import compose
from controlplane.releases.diff import diff
from controlplane.runtime import canonical

KEYS = st.sampled_from(["tier/a", "tier/b", "model/a", "gate/A", "prompt/a"])
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-1, 1), st.text(max_size=3))
DOCUMENTS = st.dictionaries(st.text(min_size=1, max_size=3), VALUES, max_size=3)
ENTRIES = st.dictionaries(KEYS, st.none() | DOCUMENTS, max_size=4)
LIVE = st.dictionaries(KEYS, DOCUMENTS, max_size=4)


def test_every_state_says_what_may_follow_and_two_are_the_end() -> None:
    assert set(FOLLOWING) == set(State)
    assert {state for state in State if state.is_over} == {State.PUBLISHED, State.WITHDRAWN}
    assert set(State) - OPEN == {State.PUBLISHED, State.WITHDRAWN}
    assert {State.DRAFT, State.IN_REVIEW, State.APPROVED, State.SCHEDULED} == PUBLISHABLE


def test_whatever_is_open_can_be_withdrawn_and_what_was_refused_does_not_go_live() -> None:
    for state in OPEN:
        assert state.may_become(State.WITHDRAWN)
    for state in (State.REJECTED, State.CONFLICTED):
        assert not state.may_become(State.PUBLISHED)
        assert not state.may_become(State.SCHEDULED)


@given(ENTRIES, ENTRIES)
def test_the_same_content_has_the_same_digest_and_other_content_another(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    shuffled = dict(reversed(one.items()))
    assert content_digest(shuffled) == content_digest(one)
    assert (content_digest(one) == content_digest(other)) == (repr_of(one) == repr_of(other))


def repr_of(entries: dict[str, Any]) -> list[tuple[str, str]]:
    """Entries as canonical JSON sees them: 1.0 is 1, the order of keys says nothing."""
    return [(key, canonical.dumps(document).decode()) for key, document in sorted(entries.items())]


@given(LIVE, ENTRIES)
def test_what_changes_is_what_is_composed(live: dict[str, Any], entries: dict[str, Any]) -> None:
    included = [Included(key, live.get(key), after) for key, after in entries.items()]
    source = {key: after for key, after in entries.items() if after is not None}
    after = compose(live, source, entries)
    assert changes_in(included) == diff(live, after)
    assert moved_of(included, live) == []
    assert moved_of(included, after) == []


@given(LIVE, ENTRIES, LIVE)
def test_a_key_moved_when_it_is_neither_as_before_nor_as_proposed(
    base: dict[str, Any], entries: dict[str, Any], live: dict[str, Any]
) -> None:
    included = [Included(key, base.get(key), after) for key, after in entries.items()]
    moved = set(moved_of(included, live))
    for each in included:
        now = {each.key: live[each.key]} if each.key in live else {}
        unlike = [
            bool(diff({each.key: wanted} if wanted is not None else {}, now))
            for wanted in (each.before, each.after)
        ]
        assert (each.key in moved) == all(unlike)
