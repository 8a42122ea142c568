"""The characters in the page's <pre> are the characters that production would send, whatever they are."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from controlplane.registry import services as registry
from controlplane.registry.inputs import InteractionInput
from controlplane.runtime.entries import Parameter
from controlplane.runtime.errors import TemplateRenderError
from controlplane.runtime.profile import normalise
from controlplane.runtime.renderer import compile_prompt, render
from tests.page import PageClient
from tests.site import ROOT_ACTOR

DECLARED = (
    Parameter(name="said", type="text", required=False),
    Parameter(name="facts", type="object", required=False),
)
# Each of these is changed, dropped or taken for markup by some way of writing text into a page.
TRICKY = st.sampled_from(
    ["<", "</pre>", "</span>", "<b>", "&", "&amp;", "&#13;", "'", '"', "{{", "}}", "{{ said }}", "{%", "{#", "\n", "\r", "\r\n",
     "\n\n", "\t", " ", "  ", "\xa0", "\x0b", "\x0c", "\x1b[31m", "\x7f", "\x85", "\x96", "\u2028", "\u2029", "\u200b", "\u202e",
     "\ufeff", "\ufffe", "é", "e\u0301", "👩‍👧", "\U000e0041", "\x00"]
)  # fmt: skip
TEXTS = st.lists(TRICKY | st.text("aé😀\n\r <&", max_size=4), max_size=6).map("".join)
# Of a text in a template only what is no tag; `said` and `facts` come in between.
LITERALS = TEXTS.map(lambda text: text.replace("{", "(").replace("\x00", ""))
BODIES = st.lists(
    LITERALS | st.sampled_from(["{{ said }}", "{{ facts.x }}", "{{ facts|tojson }}", "{% raw %}{{ said }}{% endraw %}", "{{ '<' }}"]),
    min_size=1,
    max_size=5,
).map("".join)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BODIES, TEXTS, TEXTS)
@example("\n\n{{ said }}\n\n", "x", "")
@example("{{ said }}", "\n \r\r\n x \r\n", "")
@example("{{ facts.x }}", "", "\r\n\r\x00\r")
@example("{{ said }}" * 2, "<&\r" + "y" * 40_000, "")
def test_the_page_shows_the_very_characters_that_production_sends(
    shown: Callable[[str, Mapping[str, str]], str | None], body: str, said: str, x: str
) -> None:
    # A browser sends every line end of a text field as a pair, and a blank field is a value that is not given.
    arrives = said.replace("\r\n", "\n")
    values: dict[str, Any] = {"facts": {"x": x}} | ({"said": arrives} if said.strip() else {})
    found = shown(body, {"value-said": said, "value-facts": json.dumps({"x": x})})
    try:
        expected = render(compile_prompt(normalise(body)), values, DECLARED)
    except TemplateRenderError:
        assert found is None
    else:
        # The one character that no page can hold; its sign stands for it.
        assert found == expected.replace("\x00", "\u2400")


@pytest.fixture
def shown(
    client_as: Callable[..., PageClient], first_data: Session
) -> Callable[[str, Mapping[str, str]], str | None]:
    """What the preview shows of a text, as a parser of HTML reads the answer; None when it shows a problem."""
    given = InteractionInput.model_validate(
        {
            "code": "BYTES",
            "category": "coaching",
            "parameters": [{"name": each.name, "type": each.type, "required": False} for each in DECLARED],
        }
    )
    registry.create_interaction(first_data, given, actor=ROOT_ACTOR)
    first_data.commit()
    client = client_as("editor")

    def show(body: str, typed: Mapping[str, str]) -> str | None:
        page = client.post(
            "/_/production/templates/new/BYTES/preview", data={"body": body, **typed}, unchecked={"html"}
        )
        assert page.status == 200
        return "".join(texts_in(page.by_id("preview-text"))) if page.all("pre") else None

    return show


def texts_in(element: ET.Element) -> Iterator[str]:
    """Yield the texts of all <pre> in an element, without the names of what cannot be seen."""
    for pre in element.iter("pre"):
        hidden = {
            text for each in pre.iter() if each.get("class") == "visually-hidden" for text in each.itertext()
        }
        assert all(text.startswith("[") for text in hidden)
        for each in pre.iter():
            if each.get("class") == "visually-hidden":
                each.text = ""
        yield from pre.itertext()
