from datetime import UTC, datetime

import pytest

from controlplane.runtime import canonical, entries
from controlplane.runtime.errors import EntryRefused
from tests.runtime import releases

VARIANT = b'{"model":"A","prompt":{"code":"p"},"ranges":[[0,100000]],"version":1}'


@pytest.mark.parametrize(
    ("key", "kind", "parts"),
    [
        (entries.tier_key("premium"), "tier", ("premium",)),
        (entries.model_key("GPT_4O"), "model", ("GPT_4O",)),
        (entries.interaction_key("COACHING_RESPONSE"), "interaction", ("COACHING_RESPONSE",)),
        (entries.prompt_key("coaching_response"), "prompt", ("coaching_response",)),
        (entries.gate_key("COACHING_RESPONSE"), "gate", ("COACHING_RESPONSE",)),
        (entries.configuration_key("A"), "configuration", ("A", "default", "*")),
        (entries.configuration_key("A", "premium"), "configuration", ("A", "premium", "*")),
        (entries.configuration_key("A", None, "acme"), "configuration", ("A", "default", "acme")),
        (entries.configuration_key("A", "premium", "acme"), "configuration", ("A", "premium", "acme")),
        (entries.configuration_key(), "configuration", ("*", "default", "*")),
        (entries.configuration_key("A", None, "größe:7@x"), "configuration", ("A", "default", "größe:7@x")),
    ],
)
def test_a_key_comes_apart_as_it_was_put_together(key: str, kind: str, parts: tuple[str, ...]) -> None:
    assert entries.parse_key(key) == (kind, parts)


@pytest.mark.parametrize(
    "key",
    [
        "", "/", "tier", "tier/", "tier/Premium", "tier/a/b", "tier/default", "model/gpt", "widget/A", "configuration/A",
        "configuration/A/premium", "configuration/A/premium/*/x", "configuration/*/premium/*", "configuration/*/default/acme",
        "configuration/a/default/*", "configuration/A/Premium/*", "configuration/A/default/", "configuration/A/default/a b",
        "configuration/A/default/a\n", "configuration/A/default/" + "x" * 129, "prompt/../x", "prompt/__init__",
        "gate/A/B", "tier/premium\n", "model/\ud800",
    ],
)  # fmt: skip
def test_a_key_that_no_release_may_hold_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        entries.parse_key(key)


def test_every_document_of_a_release_decodes_to_its_struct() -> None:
    for key, document in releases.documents().items():
        found = entries.decode(key, canonical.dumps(document))
        assert type(found) is entries.STRUCTS[key.partition("/")[0]]


def test_fields_of_a_newer_writer_are_passed_over() -> None:
    found = entries.decode("tier/a", b'{"colour":{"deep":[1]},"name":"A","rank":1}')
    assert found == entries.Tier(name="A", rank=1)


def test_a_price_may_be_unknown_and_stays_unknown() -> None:
    found = entries.decode("model/A", canonical.dumps(releases.documents()["model/SMALL"]))
    assert isinstance(found, entries.Model)
    assert found.output_price_per_million is None


@pytest.mark.parametrize(
    ("key", "data", "field"),
    [
        ("tier/a", b'{"name":"A"}', ""),
        ("tier/a", b'{"name":"A","rank":"1"}', "rank"),
        ("tier/a", b'{"name":null,"rank":1}', "name"),
        ("tier/a", b"null", ""),
        ("tier/a", b"[]", ""),
        ("tier/a", b"", ""),
        ("tier/a", b'{"name":"A","rank":1', ""),
        ("tier/a", b'{"name":"A","rank":1,"rank":2}', ""),
        ("tier/a", b'{"name":"A","rank":NaN}', ""),
        ("tier/a", b'{"name":"\\ud800","rank":1}', ""),
        ("tier/a", b'{"name":"A","rank":1,"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}", ""),
        ("widget/a", b"{}", ""),
        ("configuration/A/default/*", b'{"salt":"s","variants":[]}', "variants"),
        ("configuration/A/default/*", b'{"algorithm":"v9","salt":"s","variants":[' + VARIANT + b"]}", "algorithm"),
        ("configuration/A/default/*", b'{"salt":"s","unit":"horse","variants":[' + VARIANT + b"]}", "unit"),
        ("configuration/A/default/*", b'{"salt":"s","variants":[' + VARIANT + b',{"version":2}]}', "variants[1]"),
        ("gate/A", b'{"ranges":[[0]],"salt":"s"}', "ranges[0]"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_field(key: str, data: bytes, field: str) -> None:
    with pytest.raises(EntryRefused) as refused:
        entries.decode(key, data)
    assert (refused.value.key, refused.value.field) == (key, field)
    assert key in str(refused.value)


def test_a_document_written_with_spaces_is_read_all_the_same() -> None:
    assert entries.decode("tier/a", b'{ "name": "A", "rank": 1 }') == entries.Tier(name="A", rank=1)


def test_a_moment_without_a_zone_is_refused() -> None:
    variant = VARIANT.replace(b"{", b'{"effective_from":"2026-01-01T00:00:00",', 1)
    with pytest.raises(EntryRefused, match="timezone"):
        entries.decode("configuration/A/default/*", b'{"salt":"s","variants":[' + variant + b"]}")


def test_a_variant_counts_from_its_beginning_until_just_before_its_end() -> None:
    begin, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    reference = entries.PromptReference("p")
    variant = entries.Variant(
        version=1, model="A", prompt=reference, ranges=(), effective_from=begin, effective_until=end
    )
    assert [variant.counts(now) for now in (begin, end)] == [True, False]
    assert not reference.pinned


@pytest.mark.parametrize(
    ("named", "expected"), [(b"", "v1"), (b'"algorithm":"v1",', "v1"), (b'"algorithm":"v2",', "v2")]
)
def test_both_algorithms_are_read_and_none_means_the_first(named: bytes, expected: str) -> None:
    row = entries.decode(
        "configuration/A/default/*", b"{" + named + b'"salt":"s","variants":[' + VARIANT + b"]}"
    )
    gate = entries.decode("gate/A", b"{" + named + b'"ranges":[],"salt":"s"}')
    for found in (row, gate):
        assert isinstance(found, entries.Configuration | entries.Gate)
        assert found.algorithm == expected
        assert found.hash_prefix == f"{expected}\0s\0user\0".encode()


@pytest.mark.parametrize("key", ["gate/GATED", "configuration/ROLLOUT/default/*"])
def test_one_entry_of_the_second_algorithm_asks_for_the_second_reader(key: str) -> None:
    documents = releases.documents()
    texts = {each: canonical.dumps(document) for each, document in documents.items()}
    assert entries.minimum_reader({}) == 1
    assert entries.minimum_reader(texts) == 1
    # Somebody's example of a parameter is no algorithm.
    texts["interaction/GATED"] = b'{"algorithm":"v2"}'
    assert entries.minimum_reader(texts) == 1
    documents[key]["algorithm"] = "v2"
    assert entries.minimum_reader({**texts, key: canonical.dumps(documents[key])}) == 2
