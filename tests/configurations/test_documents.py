import datetime as dt
import secrets
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.configurations.checks import version_of
from controlplane.configurations.documents import configuration_document, settings_of, variant_document
from controlplane.configurations.inputs import ConfigurationInput, read
from controlplane.configurations.models import Configuration
from controlplane.configurations.places import Place
from controlplane.configurations.wording import differences, settings, summary_of
from controlplane.db import Json
from controlplane.runtime import canonical, entries
from controlplane.runtime.validate import validate

BODY = "Say hello."
SHA256 = canonical.digest(BODY.encode())
MODELS = ("WIDE", "OTHER", "THIRD")


def surroundings() -> dict[str, Json]:
    model = {
        "provider": "echo",
        "provider_model_id": "x",
        "context_window": 200_000,
        "max_output_tokens": 100_000,
        "parameters": ["temperature", "top_p", "frequency_penalty", "presence_penalty"],
        "active": True,
    }
    return {
        **{entries.model_key(code): model for code in MODELS},
        "interaction/HELLO": {"category": "a", "description": "", "parameters": []},
        "tier/premium": {"name": "Premium", "rank": 1},
        "prompt/hello": {"interaction": "HELLO", "version": 1, "sha256": SHA256, "size": len(BODY)},
    }


def configuration(**changes: Any) -> Configuration:
    return Configuration(
        **{
            "interaction": "HELLO",
            "tier": "premium",
            "tenant": None,
            "salt": secrets.token_hex(8),
            "algorithm": "v2",
            "unit": "user",
            **changes,
        }
    )


def thousandths(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low * 1000, high * 1000).map(lambda number: f"{number / 1000:.3f}") | st.just("")


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, Any]:
    """Anything the form takes, blank and badly ordered included."""
    moments = st.datetimes(timezones=st.just(dt.UTC)).map(dt.datetime.isoformat) | st.just("")
    return {
        "model": draw(st.sampled_from(MODELS)),
        "prompt": "hello",
        "prompt_version": draw(st.sampled_from(["", "1"])),
        "temperature": draw(thousandths(0, 2)),
        "top_p": draw(thousandths(0, 1)),
        "frequency_penalty": draw(thousandths(-2, 2)),
        "presence_penalty": draw(thousandths(-2, 2)),
        "max_tokens": draw(st.integers(1, 100_000).map(str) | st.just("")),
        "fallbacks": draw(st.lists(st.sampled_from(MODELS), max_size=3)),
        "effective_from": draw(moments),
        "effective_until": draw(moments),
        "active": draw(st.booleans()),
        "reason": "because",
    }


def document_of(values: ConfigurationInput) -> Json:
    pin = SHA256 if values.prompt_version else None
    return configuration_document(configuration(), version_of(values, number=7), pinned_sha256=pin)


@given(inputs())
def test_whatever_the_form_accepts_becomes_a_document_that_the_runtime_accepts(raw: dict[str, Any]) -> None:
    values = read(raw).values
    if values is None:
        return
    document = document_of(values)
    assert validate({**surroundings(), Place("HELLO", "premium").key: document}, {SHA256: BODY}) == []
    assert canonical.loads(canonical.dumps(document)) == document


def test_the_document_is_exactly_what_the_runtime_reads() -> None:
    values = ConfigurationInput.model_validate(
        {
            "model": "WIDE",
            "prompt": "hello",
            "prompt_version": 1,
            "temperature": "1.0",
            "max_tokens": 100,
            "fallbacks": ["OTHER"],
            "effective_from": "2026-12-01T09:00+01:00",
            "reason": "because",
        }
    )
    assert variant_document(version_of(values, number=7), ranges=[[0, 10]], pinned_sha256=SHA256) == {
        "version": 7,
        "model": "WIDE",
        "prompt": {"code": "hello", "version": 1, "sha256": SHA256},
        "temperature": 1.0,
        "max_tokens": 100,
        "top_p": None,
        "frequency_penalty": None,
        "presence_penalty": None,
        "fallbacks": ["OTHER"],
        "effective_from": "2026-12-01T08:00:00Z",
        "effective_until": None,
        "active": True,
        "ranges": [[0, 10]],
    }


def test_a_pinned_template_without_its_hash_is_a_mistake_of_ours() -> None:
    version = version_of(
        ConfigurationInput.model_validate(
            {"model": "WIDE", "prompt": "hello", "prompt_version": 1, "reason": "because"}
        ),
        number=1,
    )
    with pytest.raises(ValueError, match="its hash is needed"):
        variant_document(version)


@given(inputs(), inputs())
def test_differences_lead_from_one_to_the_other_and_to_nothing_from_itself(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    first, second = read({**one, "reason": "because"}).values, read({**two, "reason": "because"}).values
    if first is None or second is None:
        return
    before, after = (settings_of(version_of(values, number=1)) for values in (first, second))
    assert differences(before, before) == []
    changed = {change.name for change in differences(before, after)}
    assert changed == {name for name in before if before[name] != after[name]}


def test_settings_read_as_words() -> None:
    values = ConfigurationInput.model_validate(
        {
            "model": "WIDE",
            "prompt": "hello",
            "temperature": "0.70",
            "max_tokens": "4096",
            "reason": "because",
            "active": False,
            "effective_from": "2026-12-01T09:00Z",
        }
    )
    shown = settings(settings_of(version_of(values, number=1)))
    assert shown == {
        "model": "WIDE",
        "prompt": "hello, live version",
        "temperature": "0.7",
        "max_tokens": "4,096",
        "top_p": "not set",
        "frequency_penalty": "not set",
        "presence_penalty": "not set",
        "fallbacks": "none",
        "effective_from": "1 Dec 2026, 09:00 UTC",
        "effective_until": "not set",
        "active": "no",
    }
    assert summary_of(settings_of(version_of(values, number=1))) == (
        "model WIDE, template hello, live version, temperature 0.7, max tokens 4,096, "
        "effective from 1 Dec 2026, 09:00 UTC, not active"
    )


@pytest.mark.parametrize(
    ("place", "key", "path", "title"),
    [
        (Place("HELLO"), "configuration/HELLO/default/*", "HELLO/default", "HELLO · default"),
        (Place("HELLO", "premium"), "configuration/HELLO/premium/*", "HELLO/premium", "HELLO · premium"),
        (
            Place("HELLO", None, "a:1"),
            "configuration/HELLO/default/a:1",
            "HELLO/default/a:1",
            "HELLO · default · tenant a:1",
        ),
    ],
)
def test_a_place_is_written_one_way_in_keys_addresses_and_words(
    place: Place, key: str, path: str, title: str
) -> None:
    assert (place.key, place.path, place.title) == (key, path, title)
    assert Place.from_key(key) == place
    assert Place.from_path(path) == place
