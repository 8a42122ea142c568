"""The template editor in a real browser: what is typed, when it is seen, what is lost, and what the keyboard does."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import AXE, Open

pytestmark = pytest.mark.browser

TEMPLATE = "/production/templates/kpi_analysis"
GOOD = "Judge:\n{% for kpi in current_kpis %}\n- {{ kpi.name }}\n{% endfor %}\n"
# What is drawn, line by line: the same as if the page had just been opened.
DRAWN = "() => [...document.querySelectorAll('.editor-lines > div')].map(line => line.innerHTML)"


def text_of(page: Page) -> Any:
    return page.get_by_label("Text of the template")


def axe_faults(page: Page) -> list[str]:
    page.emulate_media(reduced_motion="reduce")
    result = page.evaluate(
        "() => axe.run({runOnly: {type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']},"
        " resultTypes: ['violations'], elementRef: false})"
    )
    return [f"{fault['id']}: {node['target']}" for fault in result["violations"] for node in fault["nodes"]]


def test_from_a_slip_to_what_is_looked_at_before_it_is_live(open_page: Open) -> None:
    page = open_page(f"{TEMPLATE}/edit")
    text_of(page).fill(GOOD)
    expect(page.locator("#preview-text pre")).to_have_text("Judge:\n\n- Churn\n\n")
    page.evaluate(
        "window.shifted = 0; new PerformanceObserver(list => list.getEntries().forEach(each => "
        "{ if (!each.hadRecentInput) window.shifted += each.value; })).observe({type: 'layout-shift'})"
    )
    text_of(page).evaluate("(area, at) => area.setSelectionRange(at, at)", GOOD.index("kpi.name") + 8)
    page.keyboard.type("|upcase")
    wrong = page.locator(".editor-lines > [data-wrong=error]")
    expect(wrong).to_contain_text("upcase")
    assert page.locator(".editor-lines > div").all_inner_texts()[2] == wrong.inner_text()
    expect(page.locator(".editor-lines .error")).to_have_text("upcase")
    expect(page.locator("#preview-text")).to_contain_text("Last good preview")
    expect(page.locator("#preview-text pre")).to_contain_text("- Churn")  # kept
    page.evaluate(AXE.read_text())
    assert axe_faults(page) == []
    page.get_by_role("link", name=re.compile("line 3, column")).first.click()
    selected = (
        "() => { const a = document.activeElement; return a.value.slice(a.selectionStart, a.selectionEnd) }"
    )
    assert page.evaluate(selected) == "upcase"
    page.keyboard.type("upper")
    expect(page.locator("#preview-text pre")).to_have_text("Judge:\n\n- CHURN\n\n")
    expect(wrong).to_have_count(0)
    assert page.evaluate("window.shifted") < 0.02
    page.get_by_label("Sample set", exact=True).select_option(
        label="Six indicators, one without a target (must pass)"
    )
    expect(page.locator("#preview-text pre")).to_contain_text("NET PROMOTER SCORE")
    page.get_by_role("button", name="Preview all samples").click()
    expect(page.locator("#all-samples")).to_contain_text("All pass")
    expect(page.locator("#all-samples")).to_be_focused()
    assert axe_faults(page) == []
    page.get_by_label("Why this change?").fill("Louder names")
    page.get_by_role("button", name="Save as version 2").click()
    page.get_by_role("link", name="Not yet live").last.click()
    expect(page.locator("main")).to_contain_text("kpi_analysis")


def test_a_slow_answer_never_takes_the_place_of_a_later_one(open_page: Open) -> None:
    page = open_page(f"{TEMPLATE}/edit")
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/_/**/preview", hold_the_first)
    with page.expect_request("**/_/**/preview"):
        text_of(page).fill("First {{ current_kpis|length }}")
    text_of(page).fill("Second {{ current_kpis|length }}")
    expect(page.locator("#preview-text pre")).to_have_text("Second 1")
    held[0].continue_()
    page.evaluate("() => new Promise(done => setTimeout(done, 500))")
    expect(page.locator("#preview-text pre")).to_have_text("Second 1")


def test_what_waits_for_an_answer_can_still_be_read(open_page: Open) -> None:
    page = open_page(f"{TEMPLATE}/edit")
    page.route("**/_/**", lambda _route: None)  # no answer comes, so all that waits goes on waiting
    text_of(page).fill("{{ current_kpis|length }}")
    expect(page.locator("#draft-state")).to_have_attribute("aria-busy", "true")
    expect(page.locator("#preview-status")).to_have_attribute("aria-busy", "true")
    page.evaluate(AXE.read_text())
    assert axe_faults(page) == []


def test_tab_indents_and_who_has_no_mouse_gets_out_by_escape(open_page: Open) -> None:
    page = open_page(f"{TEMPLATE}/edit")
    area = text_of(page)
    area.fill("one\ntwo\n\nthree")
    area.press("Control+Home")
    page.keyboard.press("Tab")
    expect(area).to_have_value("  one\ntwo\n\nthree")
    page.keyboard.press("Control+a")
    page.keyboard.press("Tab")
    expect(area).to_have_value("    one\n  two\n\n  three")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    expect(area).to_have_value("one\ntwo\n\nthree")
    page.keyboard.press("Control+z")
    expect(area).to_have_value("  one\ntwo\n\nthree")
    expect(area).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(area).not_to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(area).to_be_focused()
    page.keyboard.press("Tab")  # back in the text: it indents again
    expect(area).to_be_focused()
    area.fill("{{ current_kpis|length }} by key")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#preview-text pre")).to_have_text("1 by key")


def test_what_is_drawn_is_what_would_be_drawn_anew(open_page: Open) -> None:
    page = open_page(f"{TEMPLATE}/edit")
    page.route("**/_/**", lambda _route: None)  # the site says nothing meanwhile
    area = text_of(page)
    texts = [
        "a\n{# one\ntwo #} b\n{{ x }}", "a\n{# one\ntwo b\n{{ x }}", "{% raw %}\n{{ x }}\n{% endraw %}\n{{ 'y\nz' }}",
        "{% raw %}\n{{ x }}\n\n{{ 'y\nz' }}", "\u00a0\n\u200b{{ name|upper }}\n" * 3, "", "\n\n", "{{", "{% if a is not defined %}\tx",
    ]  # fmt: skip
    for number, text in enumerate(texts * 2):
        area.fill(text) if number % 2 else area.press_sequentially("q\n")
        area.fill(text)
        drawn = page.evaluate(DRAWN)
        assert (
            page.evaluate(
                "() => [...document.querySelectorAll('.editor-lines > div')].map(line => line.textContent).join('\\n')"
            )
            == area.input_value()
        )
        area.fill("")
        area.fill(text)
        assert page.evaluate(DRAWN) == drawn


def test_without_script_every_step_has_a_button(open_page: Open) -> None:
    page = open_page(f"{TEMPLATE}/edit", script=False)
    text_of(page).fill("{{ current_kpis|length }} of them")
    page.get_by_label("Sample set", exact=True).select_option("six-indicators-one-without-a-target")
    page.get_by_role("button", name="Use").click()
    expect(page.locator("#preview-text pre")).to_have_text("6 of them")
    page.get_by_role("button", name="Type them as JSON").click()
    expect(page.get_by_label("All values, as JSON")).to_have_value(re.compile("Net promoter score"))
    page.get_by_label("White space").check()
    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.locator("#preview-text .ws")).to_have_count(2)
    page.get_by_role("button", name="Preview all samples").click()
    expect(page.locator("#all-samples")).to_contain_text("All pass")
    page.get_by_text("Keep these values as a sample set").click()
    page.get_by_label("Name", exact=True).fill("Six again")
    page.get_by_role("button", name="Keep values").click()
    expect(page.get_by_role("status").filter(has_text="Added the sample set")).to_be_visible()
    expect(text_of(page)).to_have_value("{{ current_kpis|length }} of them")
