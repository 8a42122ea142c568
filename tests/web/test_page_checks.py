"""The page checks find what they are for, and can be switched off by name."""

import pytest
from flask import Flask

from tests.page import CHECKS, PageClient, PageError

GOOD = '<!doctype html><html lang="en"><head><title>A · site</title></head><body><main><h1>A</h1>{}</main></body></html>'


def client_showing(html: str) -> PageClient:
    app = Flask("checks")
    app.add_url_rule("/", "page", lambda: html)
    return PageClient(app)


@pytest.mark.parametrize(
    ("check", "html"),
    [
        ("heading", GOOD.format("<h1>B</h1>")),
        ("heading", GOOD.format("").replace("A · site", "site")),
        ("heading", GOOD.format("").replace("<h1>A</h1>", "")),
        ("order of headings", GOOD.format("<h3>B</h3>")),
        ("labels", GOOD.format('<input name="a">')),
        ("labels", GOOD.format('<label>B</label><select name="a" id="a"></select>')),
        ("names", GOOD.format('<button type="button"><svg></svg></button>')),
        ("ids", GOOD.format('<p id="a"></p><p id="a"></p>')),
        ("references", GOOD.format('<p aria-describedby="nothing"></p>')),
        ("references", GOOD.format('<a href="#nothing">a</a>')),
        ("references", GOOD.format('<button type="button" commandfor="nothing">a</button>')),
        ("targets", GOOD.format('<a href="/" hx-target="#nothing">a</a>')),
        ("targets", GOOD.format('<a href="/" hx-select-oob="#nothing:innerHTML">a</a>')),
        ("inline", GOOD.format('<p style="color: red"></p>')),
        ("inline", GOOD.format('<p onclick="x()"></p>')),
        ("inline", GOOD.format('<p hx-on:click="x()"></p>')),
        ("inline", GOOD.format('<a href=" JavaScript:x()">a</a>')),
        ("inline", GOOD.format("<script>x()</script>")),
        ("forms", GOOD.format('<form method="put"></form>')),
        ("html", GOOD.format("<p><b></p>")),
        ("html", GOOD.format("<table><p>a</p></table>")),
        ("html", GOOD.format("").replace("<!doctype html>", "")),
    ],
)
def test_a_faulty_page_is_caught_by_its_check_and_by_no_other(check: str, html: str) -> None:
    client = client_showing(html)
    with pytest.raises(PageError, match="not valid HTML" if check == "html" else f"^{check}:"):
        client.get("/")
    client.get("/", unchecked={check})


def test_a_good_page_and_a_fragment_pass() -> None:
    good = '<label for="a">A</label><input id="a" name="a"><p id="b" aria-describedby="a"></p>'
    assert client_showing(GOOD.format(good)).get("/").heading == "A"
    assert client_showing('<div id="part" aria-describedby="elsewhere">words</div>').get("/").is_fragment


def test_a_fragment_is_checked_too() -> None:
    with pytest.raises(PageError, match=r"^labels:"):
        client_showing('<div><input name="a"></div>').get("/")


def test_every_check_is_tried_here() -> None:
    assert set(CHECKS) == {
        "heading",
        "order of headings",
        "labels",
        "names",
        "ids",
        "references",
        "targets",
        "inline",
        "forms",
    }
