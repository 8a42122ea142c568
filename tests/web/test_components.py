"""Every macro on one page, through the page checks: valid HTML, labels, ids, references."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.page import PageClient, values_of, words
from tests.web import kitchen_sink

ClientAs = Callable[[str], PageClient]


@pytest.fixture
def client(app: Flask, client_as: ClientAs) -> PageClient:
    kitchen_sink.add_to(app)
    return client_as("admin")


def test_a_page_of_every_component_keeps_what_every_page_owes(client: PageClient) -> None:
    assert client.get("/kitchen-sink").status == 200


def test_a_form_sends_back_what_it_was_filled_with(client: PageClient) -> None:
    page = client.get("/kitchen-sink")
    edit = next(form for form in page.all("form") if form.get("id") == "edit")
    assert values_of(edit) == {
        "model": "B",
        "temperature": "0.7",
        "max_tokens": "1024",
        "effective_from": "2026-11-22T09:12",
        "role": "follow",
        "active": "true",
        "params": ["t", "m"],
        "body": kitchen_sink.VALUES["body"],
    }


def test_a_refused_form_says_what_is_wrong_on_top_and_beside_the_fields(client: PageClient) -> None:
    page = client.post("/kitchen-sink")
    assert page.status == 422
    assert page.texts("title")[0].startswith("Error: COACHING_RESPONSE")
    summary = page.by_id("error-summary")
    assert summary.get("autofocus") is not None
    assert [(words(link), link.get("href")) for link in summary.iter("a")] == [
        ("Temperature: Enter 2 or less.", "#f-temperature"),
        ("Model: It is inactive.", "#f-model"),
    ]
    assert page.error_of("temperature") == "Enter 2 or less."
    field = page.by_id("f-temperature")
    assert field.get("aria-invalid") == "true"
    assert "f-temperature-error" in (field.get("aria-describedby") or "")


def test_nothing_is_trusted(app: Flask, client: PageClient) -> None:
    hostile = "</textarea></pre><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    page = client.get("/kitchen-sink", query_string={"q": hostile})
    assert hostile in page.body
    assert [each.get("src") for each in page.all("img")] == []


def test_values_that_are_not_set_say_so(client: PageClient) -> None:
    page = client.get("/kitchen-sink")
    assert page.texts("span", class_="unset").count("not set") >= 3
