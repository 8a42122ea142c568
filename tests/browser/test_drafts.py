"""Nobody loses text: drafts kept while one types, the question on leaving, two people at one object. Real browser."""

import re

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.browser.conftest import BEN, Open

pytestmark = pytest.mark.browser

PREMIUM = "/production/configurations/COACHING_RESPONSE/premium"
TEMPLATE = "/production/templates/coaching_response"


def natively_asked(page: Page) -> list[str]:
    asked: list[str] = []

    def accept(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    return asked


def test_whoever_closes_the_tab_and_signs_in_elsewhere_finds_the_draft(open_page: Open) -> None:
    page = open_page(f"{PREMIUM}/edit")
    page.locator("#f-temperature").press_sequentially(
        "x1"
    )  # still in the field: no wrong value is lost either
    page.locator("#f-reason").press_sequentially("half a thou")
    expect(page.locator("#draft-state")).to_contain_text("Draft saved", timeout=8_000)
    page.close()  # without any further event
    page.context.close()
    elsewhere = open_page(f"{PREMIUM}/edit")
    expect(elsewhere.locator("main")).to_contain_text("This is your draft")
    expect(elsewhere.locator("#f-reason")).to_have_value("half a thou")


def test_a_draft_outlives_signing_out(open_page: Open) -> None:
    page = open_page(f"{PREMIUM}/edit")
    page.locator("#f-reason").fill("to be continued")
    page.keyboard.press("Control+s")
    expect(page.locator("#draft-state")).to_contain_text("Draft saved")
    page.locator(".account summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    again = open_page(PREMIUM)
    again.get_by_role("link", name="Go on with your draft").click()
    expect(again.locator("#f-reason")).to_have_value("to be continued")


def test_typing_without_a_pause_is_kept_all_the_same(open_page: Open) -> None:
    page = open_page(TEMPLATE)
    page.clock.install()  # the page's own clock: it goes only as far as it is told
    page.goto(f"{TEMPLATE}/edit")
    # Who else has it open is asked at once: by a clock that jumps ahead of the answer, the question would be late.
    expect(page.locator("#others[hx-trigger='look']:not(.htmx-request)")).to_be_attached()
    page.clock.pause_at(page.evaluate("Date.now()") + 1000)
    state = page.locator("#draft-state")
    page.get_by_label("Text of the template").focus()
    for _ in range(4):
        expect(state).to_have_text("No draft")
        page.keyboard.type("a")
        page.clock.run_for(1300)
    expect(state).to_contain_text("Draft saved just now")
    page.clock.run_for(12_000)
    expect(state).to_contain_text(re.compile(r"Draft saved 1\d s ago"))


def hold_drafts(page: Page) -> None:
    """Nothing is kept of itself from now on: what is typed stays unsaved, however slow the test is."""
    page.route("**/_/**/draft", lambda _route: None)


def test_leaving_by_a_link_asks_and_saves_the_draft(open_page: Open) -> None:
    page = open_page(f"{PREMIUM}/edit")
    native = natively_asked(page)
    hold_drafts(page)
    page.locator("#f-temperature").press_sequentially("1")
    page.locator("#f-reason").press_sequentially("half")
    expect(page.locator(".guard-note")).to_have_text("2 unsaved changes")
    page.locator(".guard-note").click()
    expect(page.locator(".guard li")).to_have_text(["Temperature", "Reason"])
    page.get_by_role("link", name="Templates", exact=True).click()
    dialog = page.get_by_role("dialog", name="Leave without saving?")
    expect(dialog.locator("li")).to_have_text(["Temperature", "Reason"])
    dialog.get_by_role("button", name="Stay").click()
    expect(dialog).to_be_hidden()
    assert page.url.endswith("/edit")
    page.get_by_role("link", name="Templates", exact=True).click()
    page.unroute("**/_/**/draft")
    dialog.get_by_role("button", name="Save draft").click()
    page.wait_for_url("**/production/templates")
    assert native == []
    page.goto(f"{PREMIUM}/edit")
    expect(page.locator("#f-reason")).to_have_value("half")


def test_leaving_by_a_link_may_leave_the_last_words_behind(open_page: Open) -> None:
    page = open_page(f"{TEMPLATE}/edit")
    native = natively_asked(page)
    hold_drafts(page)
    page.get_by_label("Text of the template").press_sequentially("x")
    page.get_by_role("link", name="Back").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard", exact=True).click()
    page.wait_for_url(f"**{TEMPLATE}")
    assert native == []
    expect(page.get_by_role("link", name="Edit", exact=True)).to_be_visible()


def test_nobody_is_asked_who_changed_nothing_or_has_just_saved(open_page: Open) -> None:
    page = open_page(f"{PREMIUM}/edit")
    native = natively_asked(page)
    page.get_by_role("link", name="Cancel").click()
    page.wait_for_url(f"**{PREMIUM}")
    page.goto(f"{PREMIUM}/edit")
    page.locator("#f-temperature").fill("0.3")
    page.locator("#f-reason").fill("Calmer")
    page.get_by_role("button", name="Save version").click()
    page.wait_for_url(f"**{PREMIUM}")
    expect(page.get_by_role("link", name="Edit", exact=True)).to_be_visible()  # and no draft is left
    page.goto(f"{TEMPLATE}/edit")
    page.get_by_label("Text of the template").press_sequentially("x")
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_text("Saved your draft")).to_be_visible()
    assert native == []


def test_closing_the_tab_is_asked_by_the_browser(open_page: Open) -> None:
    page = open_page(f"{PREMIUM}/edit")
    hold_drafts(page)
    page.locator("#f-reason").press_sequentially("half")
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.accept()


def test_a_form_without_drafts_offers_to_leave_or_to_stay(open_page: Open) -> None:
    page = open_page("/interactions/KPI_ANALYSIS/samples/new")
    page.get_by_label("Name").press_sequentially("x")
    page.get_by_role("link", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Save draft")).to_be_hidden()
    dialog.get_by_role("button", name="Discard", exact=True).click()
    page.wait_for_url("**/interactions/KPI_ANALYSIS/samples")


def test_a_template_that_is_not_there_yet_is_kept_too(open_page: Open) -> None:
    new = "/production/templates/new?interaction=COACHING_RESPONSE"
    page = open_page(new)
    page.get_by_label("Text of the template").fill("Half done {{")
    page.keyboard.press("Control+s")
    expect(page.locator("#draft-state")).to_contain_text("Draft saved")
    page.context.close()
    expect(open_page(new).get_by_label("Text of the template")).to_have_value("Half done {{")


def test_without_script_the_button_keeps_the_draft_and_undo_brings_it_back(open_page: Open) -> None:
    page = open_page(f"{PREMIUM}/edit", script=False)
    page.locator("#f-temperature").fill("0.1")
    page.get_by_role("button", name="Save draft").click()
    expect(page.locator("#f-temperature")).to_have_value("0.1")
    page.get_by_role("button", name="Discard", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("COACHING_RESPONSE · premium")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#f-temperature")).to_have_value("0.1")
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("row", name="Temperature")).to_contain_text("0.1")


@pytest.mark.parametrize("script", [True, False])
def test_of_two_at_one_configuration_the_second_chooses_and_nothing_is_lost(
    open_page: Open, *, script: bool
) -> None:
    first = open_page(f"{PREMIUM}/edit", email=BEN, script=script)
    second = open_page(f"{PREMIUM}/edit", script=script)
    for page, temperature, top_p in ((first, "0.2", ""), (second, "0.9", "0.5")):
        page.locator("#f-temperature").fill(temperature)
        page.locator("#f-top_p").fill(top_p)
        page.locator("#f-reason").fill(f"I want {temperature}")
        page.get_by_role("button", name="Save version").click()
    expect(second.get_by_role("heading", level=1)).to_contain_text("meanwhile")
    expect(second.locator("main")).to_contain_text("I want 0.2")
    expect(second.get_by_role("row", name="Temperature")).to_contain_text("0.9")
    if script:
        second.get_by_role("link", name="Configurations", exact=True).first.click()  # as kept: nobody asks
    else:
        second.goto(PREMIUM)
    second.goto(f"{PREMIUM}/edit")
    expect(second.locator("main")).to_contain_text("Version 2 was saved since by Ben")
    second.get_by_role("button", name="Save version").click()
    second.get_by_label("Temperature, yours").check()
    second.get_by_role("button", name="Save my choices as version 3").click()
    expect(second.locator("#versions")).to_contain_text("top p not set → 0.5")
    expect(second.locator("#versions")).to_contain_text("temperature 0.2 → 0.9")


def test_of_two_at_one_template_the_second_sees_both_texts_and_nothing_is_lost(open_page: Open) -> None:
    first = open_page(f"{TEMPLATE}/edit", email=BEN)
    second = open_page(f"{TEMPLATE}/edit")
    before = first.get_by_label("Text of the template").input_value()
    for page, line in ((first, "Written by Ben."), (second, "Written by Ada.")):
        page.get_by_label("Text of the template").fill(f"{line}\n{before}")
        page.get_by_label("Why this change?").fill(line)
        page.get_by_role("button", name="Save as version 2").click()
    collision = second.locator("#collision")
    expect(collision).to_contain_text("Ben saved version 2 while you were editing")
    expect(collision).to_contain_text("Written by Ben.")
    expect(collision).to_contain_text("Written by Ada.")
    text = second.get_by_label("Text of the template")
    expect(text).to_have_value(f"Written by Ada.\n{before}")
    text.fill(f"Written by Ben.\nWritten by Ada.\n{before}")
    second.get_by_role("button", name="Save as version 3").click()
    expect(second.locator("main")).to_contain_text("Version 3")
    expect(second.get_by_role("link", name="Edit", exact=True)).to_be_visible()
