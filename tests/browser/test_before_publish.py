"""From what is being typed to what every prompt would become, what calls would cost, and what a model answers."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import AXE, Open
from tests.browser.test_editor import axe_faults, text_of

pytestmark = pytest.mark.browser

TEMPLATE = "/production/templates/kpi_analysis"


def test_what_is_typed_is_priced_compared_and_tried_and_nothing_is_saved(open_page: Open) -> None:
    page = open_page(f"{TEMPLATE}/edit")
    saved = text_of(page).input_value()
    text_of(page).fill(saved + "Name the one number that matters most.\n" * 40)
    figures = page.locator("#figures")
    expect(figures).to_contain_text("input tokens (was ")
    expect(figures).to_contain_text("per 1,000 calls (was $")

    editor = page
    with editor.expect_popup() as opened:  # the editor stays as it is, with what is being typed
        editor.get_by_role("button", name="What would change").click()
    page = opened.value
    expect(page.get_by_role("heading", level=1)).to_have_text("What kpi_analysis would change")
    rendered = page.locator("#rendered-1")
    expect(rendered).to_contain_text("1 distinct change over")
    expect(rendered.locator("tr.ins").first).to_contain_text("Name the one number that matters most.")
    expect(page.locator("#figures")).to_contain_text("→")
    page.evaluate(AXE.read_text())
    assert axe_faults(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    with editor.expect_popup() as opened:
        editor.get_by_role("button", name="Try it").click()
    page = opened.value
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Send").click()
    answer = page.locator("#answer")
    expect(answer).to_contain_text("Nobody was called")
    expect(answer).to_contain_text("Name the one number that matters most.")
    page.evaluate(AXE.read_text())
    assert axe_faults(page) == []
    page.reload()
    expect(answer).to_contain_text("Nobody was called")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    page.goto(page.url.partition("/production/")[0] + f"{TEMPLATE}/rendered")
    expect(page.locator("main")).to_contain_text("No text that a model gets is changed by it.")
    expect(text_of(editor)).to_have_value(re.compile("the one number that matters most"))
