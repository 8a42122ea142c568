import gc
import json
import threading
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.runtime import canonical, snapshot
from controlplane.runtime.errors import SnapshotRefused, TemplateNotFoundError
from controlplane.runtime.snapshot import Snapshot
from tests.runtime import releases
from tests.runtime.strategies import EntryMap, entry_maps

BODY = "Hello {{ name }}\n"
SHA = canonical.digest(BODY.encode())


def load(data: bytes) -> Snapshot:
    return Snapshot.load(data, release=7, environment="staging")


@given(entry_maps())
def test_what_is_built_loads_as_the_same(entry_map: EntryMap) -> None:
    loaded = load(snapshot.build(*entry_map))
    assert loaded.documents() == entry_map.documents
    assert loaded.bodies() == entry_map.bodies


@given(entry_maps(), st.randoms())
def test_the_order_of_building_does_not_show(entry_map: EntryMap, random: Random) -> None:
    keys, shas = list(entry_map.documents), list(entry_map.bodies)
    random.shuffle(keys)
    random.shuffle(shas)
    shuffled = {key: dict(reversed(entry_map.documents[key].items())) for key in keys}
    assert snapshot.build(shuffled, {sha: entry_map.bodies[sha] for sha in shas}) == snapshot.build(
        *entry_map
    )


@given(entry_maps())
def test_documents_that_are_written_already_give_the_same_bytes(entry_map: EntryMap) -> None:
    texts = {key: canonical.dumps(document) for key, document in reversed(entry_map.documents.items())}
    data = snapshot.build(*entry_map)
    assert snapshot.assemble(texts, entry_map.bodies) == data
    assert snapshot.size_of(texts, entry_map.bodies) == len(data)


@given(st.dictionaries(st.text(), st.text(), max_size=6), st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_text_is_spelled_in_one_way(documents: dict[str, str], bodies: dict[str, str]) -> None:
    data = canonical.dumps({"entries": documents, "prompts": bodies, "schema": 1})
    texts = {key: canonical.dumps(text) for key, text in documents.items()}
    assert snapshot.assemble(texts, bodies) == data
    loaded = load(data)
    assert [*loaded.keys()] == sorted(documents)
    assert {key: loaded.raw(key) for key in loaded.raws} == texts


TOKENS = [
    "{", '"entries"', ":", "{", '"tier/a"', ":", '{"name":"A","rank":1}', ",", '"tier/b"', ":", "{}", "}", ",",
    '"prompts"', ":", "{", '"a"', ":", '"x"', "}", ",", '"schema"', ":", "1", "}",
]  # fmt: skip


@pytest.mark.parametrize("extra", [" ", "\n", ",", '"tier/a":{},', '"tier/b":1,', "{", "0"])
def test_whatever_else_stands_between_the_members_is_refused(extra: str) -> None:
    assert len(load("".join(TOKENS).encode())) == 2
    for place in range(len(TOKENS) + 1):
        with pytest.raises(SnapshotRefused, match=r".+"):
            load("".join([*TOKENS[:place], extra, *TOKENS[place:]]).encode())


def test_a_hash_that_is_known_is_not_worked_out_again() -> None:
    assert Snapshot.load(GOOD, release=1, environment="e", sha256="0" * 64).sha256 == "0" * 64


def test_a_member_that_this_reader_does_not_know_is_passed_over() -> None:
    data = wrapped('{"tier/a":{"name":"A","rank":1}}').replace(b',"schema":1}', b',"schema":1,"xtra":[]}')
    assert [*load(data).keys()] == ["tier/a"]


def test_the_bytes_of_a_release_are_frozen() -> None:
    data = snapshot.build({"tier/a": {"rank": 1.0, "name": "Größe"}}, {SHA: BODY})
    assert (
        data
        == (
            '{"entries":{"tier/a":{"name":"Größe","rank":1}},"prompts":{"'
            + SHA
            + '":"Hello {{ name }}\\n"},"schema":1}'
        ).encode()
    )


def test_it_knows_what_it_is() -> None:
    data = snapshot.build(releases.documents(), releases.bodies())
    loaded = load(data)
    assert (loaded.environment, loaded.release, loaded.size) == ("staging", 7, len(data))
    assert loaded.sha256 == canonical.digest(data)
    assert list(loaded.keys()) == sorted(releases.documents())
    assert len(loaded) == len(releases.documents())
    assert "tier/free" in loaded
    assert "tier/none" not in loaded
    assert "staging release 7" in repr(loaded)


def test_a_body_filed_under_another_hash_is_not_built() -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        snapshot.build({}, {"0" * 64: BODY})


def test_entries_are_decoded_once() -> None:
    loaded = releases.load()
    assert loaded.model("SMALL") is loaded.model("SMALL")
    assert loaded.body(next(iter(releases.bodies()))) in releases.bodies().values()


def test_what_is_not_there_is_none_and_a_body_that_is_not_there_is_an_error() -> None:
    loaded = releases.load()
    assert loaded.model("NONE") is None
    assert loaded.tier("none") is None
    assert loaded.prompt("none") is None
    assert loaded.interaction("NONE") is None
    assert loaded.gate("NONE") is None
    assert loaded.configuration("configuration/NONE/default/*") is None
    assert loaded.configuration("model/SMALL") is None
    with pytest.raises(TemplateNotFoundError):
        loaded.body("0" * 64)
    with pytest.raises(KeyError):
        loaded.raw("tier/none")


def test_raw_gives_the_bytes_as_they_are() -> None:
    assert releases.load().raw("tier/free") == b'{"name":"Free","rank":0}'


def wrapped(entries: str = "{}", prompts: str = "{}", schema: str = "1") -> bytes:
    return f'{{"entries":{entries},"prompts":{prompts},"schema":{schema}}}'.encode()


GOOD = snapshot.build({"tier/a": {"name": "A", "rank": 1}}, {SHA: BODY})


@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"{}", b"null", b"[]", b"1", b'"x"', b"<html>", b"\xff\xfe", b"\x00", b"\xef\xbb\xbf" + GOOD,
        GOOD[:-1], GOOD[: len(GOOD) // 2], GOOD + b" ", GOOD + GOOD, GOOD.replace(b":", b": ", 1), b"\x1f\x8b" + GOOD,
        wrapped(schema="2"), wrapped(schema='"1"'), wrapped(schema="null"), wrapped(schema="1.5"), wrapped(schema="true"),
        wrapped("null"), wrapped("[]"), wrapped(prompts="null"), wrapped(prompts="[]"),
        wrapped('{"tier/a":NaN}'), wrapped('{"tier/a":Infinity}'), wrapped("NaN"),
        wrapped('{"tier/a":1,"tier/a":1}'), wrapped('{"tier/b":1,"tier/a":1}'), wrapped(prompts='{"a":"","a":""}'),
        b'{"entries":{},"entries":{},"prompts":{},"schema":1}', b'{"schema":1,"prompts":{},"entries":{}}',
        b'{"prompts":{},"entries":{},"schema":1}', b'{"entries":{},"schema":1,"prompts":{}}',
        wrapped('{"tier/a":' + "[" * 10_000 + "]" * 10_000 + "}"), b"[" * 1_000_000, b'{"a":' * 10_000,
        wrapped('{"\\ud800":1}'), wrapped('{"tier/a":{"name":"\\ud800"}}'), wrapped('{"tier/\\u0061":1}'),
        wrapped('{"a\\u000B":1}'), wrapped('{"a\\u001F":1}'), wrapped('{"a\\u000a":1}'), wrapped('{"a\\/b":1}'), wrapped(prompts='{"a\\u000B":""}'),
        wrapped(schema="1.0"), wrapped(schema="01"), wrapped(schema="-1"), wrapped(schema="1" * 400),
    ],
    ids=lambda data: ascii(data[:40]),
)  # fmt: skip
def test_bytes_that_are_not_a_snapshot_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(SnapshotRefused, match=r".+"):
        load(data)


@pytest.mark.parametrize("length", [0.5, 0.99])
def test_more_bytes_than_the_limit_are_refused_before_they_are_read(length: float) -> None:
    with pytest.raises(SnapshotRefused, match="limit"):
        Snapshot.load(b"x" * len(GOOD), release=1, environment="e", limit=int(len(GOOD) * length))
    assert Snapshot.load(GOOD, release=1, environment="e", limit=len(GOOD)).release == 1


@pytest.mark.parametrize(
    "document",
    ["null", "[]", '{"name":"A"}', '{"name":"A","rank":1,"rank":1}', '{"name":"A","rank":1e400}'],
)  # fmt: skip
def test_an_entry_that_cannot_be_read_is_refused_when_used_and_not_before(document: str) -> None:
    loaded = load(wrapped(f'{{"tier/a":{document},"tier/b":{{"name":"B","rank":1}}}}'))
    assert loaded.tier("b") is not None
    with pytest.raises(SnapshotRefused, match="tier/a"):
        loaded.tier("a")


def test_a_body_that_is_not_text_is_refused_when_used() -> None:
    loaded = load(wrapped(prompts=f'{{"{SHA}":7}}'))
    with pytest.raises(SnapshotRefused, match=SHA):
        loaded.body(SHA)


def test_documents_refuses_what_two_readers_could_read_differently() -> None:
    with pytest.raises(SnapshotRefused, match="twice"):
        load(wrapped('{"tier/a":{"name":"A","name":"B","rank":1}}')).documents()
    with pytest.raises(SnapshotRefused, match="not an object"):
        load(wrapped('{"tier/a":7}')).documents()


def everything(data: bytes) -> None:
    loaded = load(data)
    loaded.documents()
    loaded.bodies()
    for key in loaded.keys():  # noqa: SIM118 - a Snapshot is not a mapping
        loaded.configuration(key)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    with pytest.raises(SnapshotRefused):
        everything(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_another_hash_or_is_refused(place: int, byte: int) -> None:
    data = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    try:
        everything(data)
    except SnapshotRefused:
        return
    assert (load(data).sha256 == load(GOOD).sha256) == (data == GOOD)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_any_json_in_any_place_is_served_or_refused_and_nothing_else_happens(value: object) -> None:
    text = json.dumps(value)
    for data in (
        wrapped(text),
        wrapped(f'{{"tier/a":{text}}}'),
        wrapped(prompts=f'{{"{SHA}":{text}}}'),
        wrapped(schema=text),
    ):
        # Anything but a refusal comes through and fails the test.
        with suppress(SnapshotRefused):
            everything(data)


def test_threads_that_decode_the_same_entry_at_once_get_equal_answers() -> None:
    loaded = releases.load()
    found: list[object] = []
    barrier = threading.Barrier(8)

    def read() -> None:
        barrier.wait()
        found.extend(loaded.model(code) for code in ("SMALL", "LARGE"))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [loaded.model("SMALL"), loaded.model("LARGE")] * 8


def test_a_large_release_gives_the_collector_next_to_nothing_to_walk() -> None:
    documents = {f"tier/t{number}": {"name": "T", "rank": number} for number in range(5000)}
    data = snapshot.build(documents, {})
    gc.collect()
    before = len(gc.get_objects())
    loaded = load(data)
    assert len(gc.get_objects()) - before < 100
    assert len(loaded) == 5000
