"""Taking one change back: over histories of any kind, and through the releases that keep them."""

import copy
from collections.abc import Iterable

from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from controlplane.proposals import sources
from controlplane.proposals.merge import resolve
from controlplane.proposals.sources import REVERTING, without
from controlplane.releases.compose import Document
from controlplane.releases.diff import EntryChange, diff
from controlplane.releases.saved import live_entries, live_entry
from tests.releases.changing import DEFAULT, PREMIUM, PROMPT, publish_saved, save_configuration, save_prompt
from tests.releases.strategies import unhurried

Release = list[tuple[str, str, int]]
WHOLE = ""
_edit = st.tuples(
    st.sampled_from(["a/1", "b/2"]), st.sampled_from(["x", "y", "nested.z", WHOLE]), st.integers(0, 9)
)
_history = st.lists(st.lists(_edit, min_size=1, max_size=3), min_size=1, max_size=5)


def played(history: list[Release]) -> list[dict[str, Document]]:
    """What is live after each release, the state before the first included.

    An edit of a whole entry removes it, or makes it; one of a field of an entry that is not there does nothing.
    """
    states: list[dict[str, Document]] = [{key: _entry(-1) for key in ("a/1", "b/2")}]
    for release in history:
        state = copy.deepcopy(states[-1])
        for key, path, value in release:
            if path == WHOLE and state.pop(key, None) is None:
                state[key] = _entry(value)
            elif path != WHOLE and key in state:
                place = state[key]["nested"] if "." in path else state[key]
                place[path.rpartition(".")[2]] = value
        states.append(state)
    return states


def _entry(value: int) -> Document:
    return {"x": value, "y": value, "nested": {"z": value}}


def _touched(changes: Iterable[EntryChange]) -> set[tuple[str, str]]:
    """Return what changes change: fields, or whole entries."""
    return {
        place
        for change in changes
        for place in (
            [(change.key, WHOLE)]
            if change.before is None or change.after is None
            else [(change.key, field.path) for field in change.fields]
        )
    }


def _depends(later: set[tuple[str, str]], earlier: set[tuple[str, str]]) -> bool:
    """Whether one of these is about what the other changed: the same field, or an entry as a whole and anything in it."""
    return any(
        key == other and (path == place or WHOLE in (path, place))
        for key, path in later
        for other, place in earlier
    )


@unhurried
@given(_history, st.data())
def test_reverting_one_change_equals_removing_it_from_the_history(
    history: list[Release], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(history) - 1))
    states = played(history)
    changes = diff(states[index], states[index + 1])
    later = {(key, path) for release in history[index + 1 :] for key, path, _ in release}
    assume(not _depends(later, _touched(changes)))

    taken_back = without(changes, states[-1])

    rest = played([*history[:index], *history[index + 1 :]])[-1]
    assert not any(merged.conflicts for merged in taken_back.values())
    after = {**states[-1], **{key: merged.document for key, merged in taken_back.items()}}
    assert {key: document for key, document in after.items() if document is not None} == rest


@unhurried
@given(_history, st.data())
def test_only_what_was_changed_again_to_something_else_is_asked_about(
    history: list[Release], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(history) - 1))
    states = played(history)
    changes = diff(states[index], states[index + 1])
    again = diff(states[index + 1], states[-1])
    assume(WHOLE not in {path for _, path in _touched(changes) | _touched(again)})

    asked = {
        (key, conflict.path)
        for key, merged in without(changes, states[-1]).items()
        for conflict in merged.conflicts
    }

    fields = {(change.key, field.path): field for change in changes for field in change.fields}
    moved = {(c.key, f.path): f.after for c in again for f in c.fields}
    assert asked == {place for place, now in moved.items() if place in fields and fields[place].before != now}


@unhurried
@given(_history)
def test_reverting_the_last_change_is_going_back_one(history: list[Release]) -> None:
    states = played(history)

    taken_back = without(diff(states[-2], states[-1]), states[-1])

    choices = {key: {each.path: REVERTING for each in merged.conflicts} for key, merged in taken_back.items()}
    restored = {key: resolve(merged, choices[key]) for key, merged in taken_back.items()}
    after = {**states[-1], **restored}
    assert {key: document for key, document in after.items() if document is not None} == states[-2]


def test_a_release_is_taken_back_and_later_ones_stay(first_data: Session) -> None:
    before = live_entries(first_data, "production")
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    publish_saved(first_data, "production")
    save_prompt(first_data)
    publish_saved(first_data, "production")

    offer = sources.from_change(first_data, "production", 2)

    (entry,) = offer.entries
    assert (entry.key, entry.after, entry.conflicts, entry.notes) == (PREMIUM, before[PREMIUM], (), ())
    assert offer.base == 3


def test_what_is_back_already_is_not_offered_again(first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    save_prompt(first_data)
    publish_saved(first_data, "production")
    save_configuration(first_data, model="CLAUDE_3_5_SONNET")
    publish_saved(first_data, "production")

    offer = sources.from_change(first_data, "production", 2)

    assert [each.key for each in offer.entries] == [PROMPT]


def test_a_later_change_of_another_field_stays(first_data: Session) -> None:
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    publish_saved(first_data, "production")
    save_configuration(first_data, temperature=0.1)
    publish_saved(first_data, "production")

    (entry,) = sources.from_change(first_data, "production", 2).entries

    assert entry.after is not None
    (variant,) = entry.after["variants"]
    assert (variant["model"], variant["temperature"]) == ("CLAUDE_3_5_SONNET", 0.1)
    assert entry.notes == ("Was changed again later: what only that change touched stays.",)


def test_another_environment_offers_nothing_at_first(first_data: Session) -> None:
    assert sources.from_environment(first_data, "production", "staging").entries == ()


def test_what_only_lives_here_is_offered_for_removal_but_not_ticked(first_data: Session) -> None:
    here = live_entry(first_data, "production", DEFAULT)
    offer = sources.from_documents(
        first_data,
        "production",
        "bundle",
        {key: each for key, each in live_entries(first_data, "production").items() if key != DEFAULT},
        {},
    )

    (entry,) = offer.entries
    assert (entry.key, entry.before, entry.after, entry.ticked) == (DEFAULT, here, None, False)
