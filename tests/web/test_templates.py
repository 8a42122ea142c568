"""A lint over every template: what our content security policy would silently block, and what escapes the tokens."""

import re
from pathlib import Path

import pytest

from controlplane.config import Settings
from controlplane.web.app import create_app
from tests.site import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))

FORBIDDEN = {
    "style= is blocked": re.compile(r"""[\s"']style\s*=""", re.IGNORECASE),
    "on…= handlers are blocked": re.compile(r"""<[^>{]*\son[a-z]+\s*=""", re.IGNORECASE),
    "hx-on is blocked": re.compile(r"hx-on\b"),
    "js: values are blocked": re.compile(r"""["'](?:js|javascript):""", re.IGNORECASE),
    "|safe lets text in as markup": re.compile(r"\|\s*safe\b"),
    "autoescaping stays on": re.compile(r"autoescape"),
    "inline <style> is blocked": re.compile(r"<style\b", re.IGNORECASE),
    "inline <script> is blocked": re.compile(r"<script(?![^>]*\bsrc=)", re.IGNORECASE),
    "filters in hx-trigger need eval": re.compile(r"""hx-trigger\s*=\s*(["'])[^"']*\["""),
    "hx-boost is not for this site": re.compile(r"hx-boost"),
    "colours stand in the tokens": re.compile(
        r"""(?<!&)#(?:[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})(?![\w-])(?=["';\s)])|\brgba?\(|\bhsla?\(""",
        re.IGNORECASE,
    ),
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_a_template_keeps_the_rules(path: Path) -> None:
    text = re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
    broken = {rule: match[0] for rule, pattern in FORBIDDEN.items() if (match := pattern.search(text))}
    assert broken == {}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('<p style="color: red">', "style= is blocked"),
        ('<a href="/" onclick="x()">', "on…= handlers are blocked"),
        ('<a hx-on:click="x()">', "hx-on is blocked"),
        ("<a hx-vals='js:{a: 1}'>", "js: values are blocked"),
        ("{{ name | safe }}", "|safe lets text in as markup"),
        ("<script>go()</script>", "inline <script> is blocked"),
        ("""<input hx-trigger="keyup[key=='x']">""", "filters in hx-trigger need eval"),
        ('<path fill="#2f55cc">', "colours stand in the tokens"),
        ('<path fill="rgb(1 2 3)">', "colours stand in the tokens"),
    ],
)
def test_the_lint_finds_what_it_is_for(text: str, rule: str) -> None:
    assert FORBIDDEN[rule].search(text)


@pytest.mark.parametrize(
    "text",
    [
        '<script src="/static/js/site.js" defer></script>',
        '<a href="#main">',
        "&#8594;",
        '<td data-label="On">',
    ],
)
def test_the_lint_leaves_good_markup_alone(text: str) -> None:
    assert not [rule for rule, pattern in FORBIDDEN.items() if pattern.search(text)]


def test_colours_stand_in_the_layer_of_tokens_and_nowhere_else() -> None:
    css = re.sub(r"/\*.*?\*/", "", (ROOT / "static/css/site.css").read_text(), flags=re.DOTALL)
    start = css.index("@layer tokens {")
    end = css.index("@layer base {")
    others = [path.read_text() for path in (ROOT / "static/css").glob("*.css") if path.name != "site.css"]
    outside = css[:start] + css[end:] + "".join(others)
    assert re.findall(r"#[0-9a-f]{3,8}\b|\brgb\(|\bhsl\(", outside, re.IGNORECASE) == []


def test_every_template_compiles() -> None:
    app = create_app(
        Settings.from_environment({**SETTINGS, "DATABASE_URL": "postgresql://nobody@localhost/none"})
    )
    for path in TEMPLATES:
        app.jinja_env.get_template(str(path.relative_to(ROOT / "templates")))
