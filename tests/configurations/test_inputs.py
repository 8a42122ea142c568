import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from controlplane.configurations import inputs
from tests.configurations.values import GOOD


def errors_of(**changes: Any) -> dict[str, str]:
    return inputs.read({**GOOD, **changes}).errors


def test_a_blank_number_is_not_set_and_zero_is_zero() -> None:
    found = inputs.read({**GOOD, "temperature": "0", "top_p": "  "}).values
    assert found is not None
    assert found.temperature == Decimal(0)
    assert found.top_p is None


@pytest.mark.parametrize(
    "text", ["2.001", "-0.001", "warm", "NaN", "Infinity", "1e0", "٠.٥", "0,7", "0.0001", "1_0"]
)
def test_a_temperature_that_is_no_number_from_0_to_2_with_three_decimals_is_refused(text: str) -> None:
    assert errors_of(temperature=text).keys() == {"temperature"}


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("top_p", "1.1"),
        ("frequency_penalty", "-2.1"),
        ("presence_penalty", "2.1"),
        ("max_tokens", "0"),
        ("max_tokens", "1.5"),
        ("max_tokens", "99999999999999999999"),
        ("prompt_version", "0"),
        ("prompt_version", "newest"),
    ],
)
def test_numbers_out_of_range_are_told_at_their_field(field: str, text: str) -> None:
    assert errors_of(**{field: text}).keys() == {field}


@pytest.mark.parametrize("moment", ["2026-12-01T09:00", "2026-12-01", dt.datetime(2026, 12, 1, 9)])  # noqa: DTZ001 - that is the case
@pytest.mark.parametrize("field", ["effective_from", "effective_until"])
def test_a_moment_without_a_zone_is_refused(field: str, moment: object) -> None:
    assert "time zone" in errors_of(**{field: moment})[field]


@pytest.mark.parametrize("text", ["tomorrow", "2026-02-30T10:00Z", "0001-01-01T00:00+14:00"])
def test_a_moment_that_cannot_be_is_refused(text: str) -> None:
    assert errors_of(effective_from=text).keys() == {"effective_from"}


def test_moments_are_kept_in_utc() -> None:
    found = inputs.read({**GOOD, "effective_from": "2026-12-01T09:00+05:30"}).values
    assert found is not None
    assert found.effective_from == dt.datetime(2026, 12, 1, 3, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize("end", ["2026-12-01T09:00Z", "2026-12-01T10:00+02:00"])
def test_an_end_that_is_not_after_the_beginning_is_told_at_the_end(end: str) -> None:
    assert errors_of(effective_from="2026-12-01T09:00Z", effective_until=end).keys() == {"effective_until"}


def test_the_model_itself_and_the_same_model_twice_are_no_fallbacks() -> None:
    assert "itself" in errors_of(fallbacks=["GPT_4O", "CLAUDE_3_HAIKU"])["fallbacks"]
    assert "twice" in errors_of(fallbacks=["GPT_4O", "GPT_4O"])["fallbacks"]
    assert "at most 3" in errors_of(fallbacks=["A", "B", "C", "D"])["fallbacks"]


def test_everything_wrong_is_told_at_once() -> None:
    found = inputs.read(
        {
            "model": "",
            "prompt": "",
            "temperature": "x",
            "max_tokens": "x",
            "reason": "",
            "effective_from": "2026-01-01T00:00",
        }
    )
    assert found.errors.keys() == {"model", "prompt", "temperature", "max_tokens", "reason", "effective_from"}
    assert found.values is None
    assert found.partial is not None


def test_a_field_nobody_knows_is_refused_and_not_passed_over() -> None:
    assert errors_of(temprature="0.7").keys() == {"temprature"}


@given(
    st.dictionaries(
        st.sampled_from([*inputs.ConfigurationInput.model_fields, "zone"]), st.text(max_size=30) | st.none()
    )
)
def test_whatever_comes_is_read_or_told_and_never_breaks(raw: dict[str, Any]) -> None:
    found = inputs.read(raw)
    assert (found.values is None) == bool(found.errors)
    assert all(message and "{" not in message for message in found.errors.values())


def form(**changes: Any) -> MultiDict[str, str]:
    sent = {
        "model": "GPT_4O",
        "template": "coaching_response",
        "reason": "because",
        "zone": "UTC",
        "active": "true",
    }
    return MultiDict({**sent, **changes})


def test_the_form_says_utc_so_that_a_browser_date_is_never_without_a_zone() -> None:
    found = inputs.read(inputs.from_form(form(effective_from="2026-12-01T09:00"))).values
    assert found is not None
    assert found.effective_from == dt.datetime(2026, 12, 1, 9, tzinfo=dt.UTC)


def test_a_browser_date_sent_without_the_zone_is_refused() -> None:
    found = inputs.read(inputs.from_form(form(effective_from="2026-12-01T09:00", zone="")))
    assert found.errors.keys() == {"effective_from"}


def test_a_template_choice_holds_its_version() -> None:
    found = inputs.read(inputs.from_form(form(template="coaching_response@3"))).values
    assert found is not None
    assert (found.prompt, found.prompt_version) == ("coaching_response", 3)
    assert inputs.to_form(found)["template"] == "coaching_response@3"


def test_an_unticked_box_is_not_active() -> None:
    sent = form()
    del sent["active"]
    found = inputs.read(inputs.from_form(sent)).values
    assert found is not None
    assert found.active is False
