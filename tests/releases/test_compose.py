from hypothesis import given
from hypothesis import strategies as st

from controlplane.releases.compose import Document, compose
from controlplane.releases.diff import diff, same
from controlplane.runtime import snapshot
from tests.releases.strategies import entry_sets, unhurried
from tests.runtime.strategies import EntryMap, entry_maps


@unhurried
@given(entry_sets(), entry_sets())
def test_choosing_nothing_leaves_the_base_as_it_was(
    base: dict[str, Document], source: dict[str, Document]
) -> None:
    assert compose(base, source, ()) == base


@unhurried
@given(entry_sets(), entry_sets())
def test_choosing_everything_gives_the_source(base: dict[str, Document], source: dict[str, Document]) -> None:
    assert compose(base, source, base.keys() | source.keys()) == source


@unhurried
@given(entry_sets(), entry_sets(), st.data())
def test_exactly_the_chosen_keys_that_differ_change(
    base: dict[str, Document], source: dict[str, Document], data: st.DataObject
) -> None:
    everything = sorted(base.keys() | source.keys())
    chosen = data.draw(st.sets(st.sampled_from(everything)) if everything else st.just(set[str]()))

    changed = {change.key for change in diff(base, compose(base, source, chosen))}

    differing = {
        key
        for key in chosen
        if (key in base) != (key in source) or (key in base and not same(base[key], source[key]))
    }
    assert changed == differing


@unhurried
@given(entry_sets(), entry_sets())
def test_composing_the_way_back_restores_the_base(
    base: dict[str, Document], source: dict[str, Document]
) -> None:
    keys = [change.key for change in diff(base, source)]

    assert compose(compose(base, source, keys), base, keys) == base


def test_a_chosen_key_that_the_source_lacks_is_removed() -> None:
    assert compose({"tier/free": {"rank": 1}, "tier/gold": {"rank": 2}}, {}, ["tier/gold"]) == {
        "tier/free": {"rank": 1}
    }


def test_the_base_itself_is_never_changed() -> None:
    base = {"tier/free": {"rank": 1}}

    compose(base, {"tier/free": {"rank": 9}}, ["tier/free"])

    assert base == {"tier/free": {"rank": 1}}


@unhurried
@given(entry_maps(), entry_maps(), st.data())
def test_a_rolled_back_release_has_the_bytes_it_had(
    base: EntryMap, source: EntryMap, data: st.DataObject
) -> None:
    chosen = data.draw(st.sets(st.sampled_from(sorted(base.documents.keys() | source.documents.keys()))))
    bodies = base.bodies | source.bodies

    published = compose(base.documents, source.documents, chosen)
    back = compose(published, base.documents, [change.key for change in diff(published, base.documents)])

    assert snapshot.build(back, bodies) == snapshot.build(base.documents, bodies)
