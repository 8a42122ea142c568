"""Taking one change back: over histories of any kind, and through the releases that keep them."""

import copy

from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from controlplane.proposals import sources
from controlplane.proposals.merge import resolve
from controlplane.proposals.sources import REVERTING, without
from controlplane.releases.compose import Document
from controlplane.releases.diff import diff
from controlplane.releases.saved import live_entries, live_entry
from tests.releases.changing import DEFAULT, PREMIUM, PROMPT, publish_saved, save_configuration, save_prompt
from tests.releases.strategies import unhurried

Release = list[tuple[str, str, int]]
_edit = st.tuples(st.sampled_from(["a/1", "b/2"]), st.sampled_from(["x", "y", "nested.z"]), st.integers(0, 9))
_history = st.lists(st.lists(_edit, min_size=1, max_size=3), min_size=1, max_size=5)


def played(history: list[Release]) -> list[dict[str, Document]]:
    """What is live after each release, the state before the first included."""
    states: list[dict[str, Document]] = [
        {key: {"x": -1, "y": -1, "nested": {"z": -1}} for key in ("a/1", "b/2")}
    ]
    for release in history:
        state = copy.deepcopy(states[-1])
        for key, path, value in release:
            place = state[key]["nested"] if "." in path else state[key]
            place[path.rpartition(".")[2]] = value
        states.append(state)
    return states


@unhurried
@given(_history, st.data())
def test_reverting_one_change_equals_removing_it_from_the_history(
    history: list[Release], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(history) - 1))
    states = played(history)
    changes = diff(states[index], states[index + 1])
    touched = {(change.key, field.path) for change in changes for field in change.fields}
    later = {(key, path) for release in history[index + 1 :] for key, path, _ in release}
    assume(not touched & later)

    taken_back = without(changes, states[-1])

    rest = played([*history[:index], *history[index + 1 :]])[-1]
    assert not any(merged.conflicts for merged in taken_back.values())
    assert {**states[-1], **{key: merged.document for key, merged in taken_back.items()}} == rest


@unhurried
@given(_history, st.data())
def test_only_what_was_changed_again_to_something_else_is_asked_about(
    history: list[Release], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(history) - 1))
    states = played(history)
    changes = diff(states[index], states[index + 1])

    asked = {
        (key, conflict.path)
        for key, merged in without(changes, states[-1]).items()
        for conflict in merged.conflicts
    }

    fields = {(change.key, field.path): field for change in changes for field in change.fields}
    moved = {(c.key, f.path): f.after for c in diff(states[index + 1], states[-1]) for f in c.fields}
    assert asked == {place for place, now in moved.items() if place in fields and fields[place].before != now}


@unhurried
@given(_history)
def test_reverting_the_last_change_is_going_back_one(history: list[Release]) -> None:
    states = played(history)

    taken_back = without(diff(states[-2], states[-1]), states[-1])

    choices = {key: {each.path: REVERTING for each in merged.conflicts} for key, merged in taken_back.items()}
    restored = {key: resolve(merged, choices[key]) for key, merged in taken_back.items()}
    assert {**states[-1], **restored} == states[-2]


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
