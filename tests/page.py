"""The client of the page tests: it checks what every page owes, so that no test has to remember it.

page = client.get("/settings/people")            a Page: .status, .text, .one("h1"), .texts("table td") ...
client.get("/odd", unchecked={"heading"})        each check can be switched off by name for one request
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any
from xml.etree import ElementTree as ET

import html5lib
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

FIELDS = {"input", "select", "textarea"}
UNLABELLED_KINDS = {"hidden", "submit", "button", "reset"}
HANDLERS = re.compile(r"on[a-z]+$")


class PageError(AssertionError):
    """A page does not keep what every page promises."""


class Page:
    """An answer, parsed when it is HTML."""

    def __init__(self, response: TestResponse, *, unchecked: Collection[str] = ()) -> None:
        self.response = response
        self.status = response.status_code
        self.headers = response.headers
        self.location = response.headers.get("Location")
        self.text = response.get_data(as_text=True)
        response.close()
        self.is_page = response.mimetype == "text/html" and bool(self.text) and not 300 <= self.status < 400
        self.is_fragment = self.is_page and "<html" not in self.text
        self.tree = self._parse(unchecked) if self.is_page else ET.Element("none")
        if self.is_page:
            self._check(unchecked)

    def all(self, tag: str, **attributes: str) -> list[ET.Element]:
        """Every element of this tag whose attributes are as given (`class_` and `data_s` for class and data-s)."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            each
            for each in self.tree.iter()
            if each.tag == tag
            and all(
                value in each.get(name, "").split() if name == "class" else each.get(name) == value
                for name, value in wanted.items()
            )
        ]

    def one(self, tag: str, **attributes: str) -> ET.Element:
        """The only such element."""
        found = self.all(tag, **attributes)
        if len(found) != 1:
            raise PageError(f"{len(found)} elements <{tag}> with {attributes}, not one:\n{self.text}")
        return found[0]

    def texts(self, tag: str, **attributes: str) -> list[str]:
        """The words of every such element."""
        return [words(each) for each in self.all(tag, **attributes)]

    def by_id(self, identifier: str) -> ET.Element:
        """The element with this id."""
        found = next((each for each in self.tree.iter() if each.get("id") == identifier), None)
        if found is None:
            raise PageError(f"no element has the id {identifier}")
        return found

    @property
    def heading(self) -> str:
        """The words of the <h1>."""
        return words(self.one("h1"))

    @property
    def body(self) -> str:
        """All words a person can read, in one line."""
        return words(next((each for each in self.tree.iter() if each.tag == "main"), self.tree))

    def link(self, label: str) -> str:
        """Where the link with these words leads."""
        for each in self.all("a"):
            if words(each) == label:
                return each.get("href", "")
        raise PageError(f"no link says {label!r}")

    def form(self, action: str | None = None) -> dict[str, Any]:
        """The values a browser would send for the form that posts to `action` (the only POST form if left out)."""
        forms = [
            each
            for each in self.all("form", method="post")
            if action is None or each.get("action", "") == action
        ]
        if action is None:
            main = next((each for each in self.tree.iter() if each.tag == "main"), self.tree)
            inside = set(main.iter())
            forms = [each for each in forms if each in inside]
        if len(forms) != 1:
            raise PageError(f"{len(forms)} forms post to {action}")
        return values_of(forms[0])

    def error_of(self, name: str) -> str | None:
        """What stands beside the field of this name, if something is wrong with it."""
        identifier = "f-" + re.sub(r"[^A-Za-z0-9_-]+", "-", name)
        found = [each for each in self.tree.iter() if each.get("id") == f"{identifier}-error"]
        return words(found[0]).removeprefix("Error:").strip() if found else None

    def _parse(self, unchecked: Collection[str]) -> ET.Element:
        strict = "html" not in unchecked
        parser = html5lib.HTMLParser(
            tree=html5lib.getTreeBuilder("etree"), namespaceHTMLElements=False, strict=False
        )
        parse = parser.parseFragment if self.is_fragment else parser.parse
        tree: ET.Element = parse(self.text)
        errors = [
            error
            for error in parser.errors
            if not (self.is_fragment and error[1].startswith("expected-doctype"))
        ]
        if strict and errors:
            place, code, values = errors[0]
            line = self.text.splitlines()[place[0] - 1] if place else ""
            raise PageError(f"not valid HTML: {code} {values} at line {place[0]}: {line.strip()}")
        for element in tree.iter():
            if isinstance(element.tag, str) and element.tag.startswith("{"):
                element.tag = element.tag.rpartition("}")[2]
        return tree

    def _check(self, unchecked: Collection[str]) -> None:
        for name, check in CHECKS.items():
            if name not in unchecked and not (self.is_fragment and name in _FOR_WHOLE_PAGES):
                for problem in check(self.tree):
                    raise PageError(f"{name}: {problem}")


class PageClient:
    """Flask's test client, sending what a browser sends and checking every page that comes back."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.flask: FlaskClient = app.test_client()
        self.actor_id: str | None = None

    def get(self, path: str, *, unchecked: Collection[str] = (), htmx: bool = False, **options: Any) -> Page:
        return self._open("GET", path, unchecked=unchecked, htmx=htmx, **options)

    def post(
        self,
        path: str,
        data: Any = None,
        *,
        unchecked: Collection[str] = (),
        htmx: bool = False,
        **options: Any,
    ) -> Page:
        return self._open("POST", path, data=data or {}, unchecked=unchecked, htmx=htmx, **options)

    def follow(self, page: Page, **options: Any) -> Page:
        """The page a 303 leads to."""
        if page.status != 303 or page.location is None:
            raise PageError(
                f"status {page.status} leads nowhere:\n{page.body if page.is_page else page.text}"
            )
        return self.get(page.location, **options)

    def submit(self, page: Page, path: str, changes: dict[str, Any] | None = None, **options: Any) -> Page:
        """Send the form of a page that posts to `path`, as it stands, with some values changed."""
        return self.post(path, {**page.form(path), **(changes or {})}, **options)

    def sign_in(self, email: str, password: str) -> Page:
        return self.post("/sign-in", {"email": email, "password": password})

    def _open(
        self, method: str, path: str, *, unchecked: Collection[str], htmx: bool, **options: Any
    ) -> Page:
        headers = {"Sec-Fetch-Site": "same-origin", **options.pop("headers", {})}
        if htmx:
            headers["HX-Request"] = "true"
        return Page(self.flask.open(path, method=method, headers=headers, **options), unchecked=unchecked)


def words(element: ET.Element) -> str:
    """The text of an element and all inside it, white space closed up."""
    return " ".join("".join(element.itertext()).split())


def values_of(form: ET.Element) -> dict[str, Any]:
    """What a browser would send; a name with several values holds a list."""
    found: dict[str, list[str]] = {}
    for element in form.iter():
        name = element.get("name")
        if not name or element.get("disabled") is not None:
            continue
        for value in _values(element):
            found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _values(element: ET.Element) -> Iterator[str]:
    if element.tag == "textarea":
        yield "".join(element.itertext())
    elif element.tag == "select":
        options = list(element.iter("option"))
        chosen = [each for each in options if each.get("selected") is not None] or options[:1]
        yield from (each.get("value", words(each)) for each in chosen)
    elif element.tag == "input":
        kind = element.get("type", "text")
        if kind in {"checkbox", "radio"}:
            if element.get("checked") is not None:
                yield element.get("value", "on")
        elif kind not in {"submit", "button", "reset"}:
            yield element.get("value", "")


def _heading(tree: ET.Element) -> Iterator[str]:
    headings = [words(each) for each in tree.iter("h1")]
    titles = [words(each) for each in tree.iter("title") if each.text]
    if len(headings) != 1:
        yield f"{len(headings)} <h1>, not one"
    elif not titles or headings[0] not in titles[0]:
        yield f"the title {titles[:1]} does not contain the heading {headings[0]!r}"


def _order_of_headings(tree: ET.Element) -> Iterator[str]:
    level = 0
    for element in tree.iter():
        if isinstance(element.tag, str) and re.fullmatch("h[1-6]", element.tag):
            here = int(element.tag[1])
            if here > level + 1:
                yield f"<{element.tag}> {words(element)!r} follows a heading of level {level}"
            level = here


def _labels(tree: ET.Element) -> Iterator[str]:
    labelled = {each.get("for") for each in tree.iter("label")}
    wrapped = {inner for label in tree.iter("label") for inner in label.iter()}
    for element in tree.iter():
        if element.tag not in FIELDS or element.get("type") in UNLABELLED_KINDS:
            continue
        named = element.get("aria-label") or element.get("aria-labelledby")
        if not named and element.get("id") not in labelled and element not in wrapped:
            yield f"<{element.tag} name={element.get('name')!r}> has no label"


def _names(tree: ET.Element) -> Iterator[str]:
    for element in tree.iter():
        if element.tag in {"button", "a", "summary"} and not words(element) and not element.get("aria-label"):
            yield f"<{element.tag}> {dict(element.attrib)} has no words"


def _ids(tree: ET.Element) -> Iterator[str]:
    counted = Counter(each.get("id") for each in tree.iter() if each.get("id"))
    yield from (f"the id {each} is there {count} times" for each, count in counted.items() if count > 1)


def _references(tree: ET.Element) -> Iterator[str]:
    ids = {each.get("id") for each in tree.iter() if each.get("id")}
    for element in tree.iter():
        for attribute in (
            "aria-describedby",
            "aria-labelledby",
            "aria-controls",
            "for",
            "commandfor",
            "popovertarget",
        ):
            for identifier in element.get(attribute, "").split():
                if identifier not in ids:
                    yield f"{attribute}={identifier!r} names nothing"
        href = element.get("href", "")
        if element.tag == "a" and href.startswith("#") and href[1:] not in ids:
            yield f"the link {href} leads nowhere"


def _targets(tree: ET.Element) -> Iterator[str]:
    ids = {each.get("id") for each in tree.iter() if each.get("id")}
    for element in tree.iter():
        for attribute in (
            "hx-target",
            "hx-target:inherited",
            "hx-select",
            "hx-select-oob",
            "hx-indicator",
            "hx-include",
        ):
            for selector in element.get(attribute, "").split(","):
                match = re.fullmatch(r"\s*#([\w-]+)(:\w+)?\s*", selector)
                if match and match[1] not in ids:
                    yield f"{attribute}={selector!r} names nothing on this page"


def _inline(tree: ET.Element) -> Iterator[str]:
    for element in tree.iter():
        for attribute, value in element.attrib.items():
            if attribute == "style" or HANDLERS.match(attribute) or attribute.startswith("hx-on"):
                yield f"<{element.tag} {attribute}=…> is blocked by our content security policy"
            if value.lower().lstrip().startswith(("javascript:", "js:")):
                yield f"<{element.tag} {attribute}={value!r}>"
        if element.tag == "style" or (element.tag == "script" and not element.get("src")):
            yield f"an inline <{element.tag}>"


def _forms(tree: ET.Element) -> Iterator[str]:
    for form in tree.iter("form"):
        for inner in form.iter("form"):
            if inner is not form:
                yield "a form inside a form"
        if form.get("method", "get").lower() not in {"get", "post", "dialog"}:
            yield f"a form of method {form.get('method')}"


CHECKS = {
    "heading": _heading,
    "order of headings": _order_of_headings,
    "labels": _labels,
    "names": _names,
    "ids": _ids,
    "references": _references,
    "targets": _targets,
    "inline": _inline,
    "forms": _forms,
}
_FOR_WHOLE_PAGES = {"heading", "order of headings", "references", "targets"}
__all__ = ["CHECKS", "Page", "PageClient", "PageError", "values_of", "words"]
