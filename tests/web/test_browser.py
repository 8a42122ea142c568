"""What the script adds, with real keys and mouse under the real content security policy."""

import os
import shutil
from collections.abc import Callable, Iterator
from threading import Thread

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from werkzeug.serving import ThreadedWSGIServer

from controlplane.config import Settings
from controlplane.web.app import create_app
from tests.site import PASSWORD, SETTINGS, add_person
from tests.web import kitchen_sink

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium on this machine: install chromium, or name it by CHROMIUM"
    ),
]

Open = Callable[..., Page]
# Nothing here is a promise about time; a busy machine only must not look like a fault.
expect.set_options(timeout=15_000)


@pytest.fixture
def address(engine: Engine, cheap_passwords: None) -> Iterator[str]:
    """The site with the kitchen sink on a database of its own, really served."""
    with Session(engine) as session:
        add_person(session, "admin")
    app = create_app(
        Settings.from_environment(SETTINGS), sessions=lambda: Session(engine, expire_on_commit=False)
    )
    kitchen_sink.add_to(app)
    server = ThreadedWSGIServer("127.0.0.1", 0, app)
    server.daemon_threads = False  # what is being answered when a page is closed is waited for
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(address: str, chromium: Browser) -> Iterator[Open]:
    """Open a path as an administrator; console errors and blocked scripts or styles fail the test."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    def open_page(path: str, *, script: bool = True, width: int = 1440) -> Page:
        context = chromium.new_context(
            base_url=address, java_script_enabled=script, viewport={"width": width, "height": 900}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        _sign_in(page)
        page.on(
            "console",
            lambda message: (
                # A page that is left before its fading in had begun is no fault; a slow machine makes it likely.
                complaints.append(message.text)
                if message.type == "error" and "ransition" not in message.text
                else None
            ),
        )
        page.on(
            "pageerror",
            lambda error: complaints.append(str(error)) if "ransition" not in str(error) else None,
        )
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # Chromium reports an answer of status 422 as an error of the page; it is what we mean to send.
    assert [each for each in complaints if "status of 422" not in each] == []


def _sign_in(page: Page) -> None:
    page.goto("/sign-in?next=/settings/profile")
    page.fill("#f-email", "admin@example.com")
    page.fill("#f-password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "sign-in" not in url)


def test_number_range_and_presets_stay_equal(open_page: Open) -> None:
    page = open_page("/kitchen-sink")
    number, coarse = page.locator("#f-share"), page.locator("#f-share-range")
    page.click("#f-share-preset-3")
    expect(number).to_have_value("50")
    expect(coarse).to_have_value("50")
    coarse.focus()
    page.keyboard.press("ArrowRight")
    expect(number).to_have_value("51")
    number.fill("12.345")
    expect(coarse).to_have_value("12")
    expect(page.locator("#f-share-preset-3")).to_have_attribute("aria-pressed", "false")


def test_enter_in_the_share_does_not_press_a_preset(open_page: Open) -> None:
    page = open_page("/kitchen-sink")
    page.fill("#rollout #f-reason", "because")
    page.fill("#f-share", "33")
    page.locator("#f-share").press("Enter")
    page.wait_for_load_state()
    expect(page.locator("#f-share")).to_have_value(
        "10"
    )  # the page after the POST, filled anew: the form was sent


def test_without_script_only_the_number_is_offered(open_page: Open) -> None:
    page = open_page("/kitchen-sink", script=False)
    expect(page.locator("#f-share")).to_be_visible()
    expect(page.locator("#f-share-range")).to_be_hidden()
    expect(page.locator("#f-share-preset-1")).to_be_hidden()


def test_leaving_unsaved_work_asks_first(open_page: Open) -> None:
    page = open_page("/kitchen-sink")
    page.fill("#edit #f-max_tokens", "99")
    page.fill("#f-body", "something else")
    expect(page.locator("#edit .guard-note")).to_have_text("2 unsaved changes")
    page.click("text=People >> nth=0")
    page.get_by_role("dialog", name="Leave without saving?").get_by_role("button", name="Stay").click()
    expect(page).to_have_url(f"{page.url.partition('/kitchen')[0]}/kitchen-sink")
    page.fill("#edit #f-max_tokens", "1024")
    page.fill("#f-body", kitchen_sink.VALUES["body"])
    expect(page.locator("#edit .guard-note")).to_have_text("")
    page.click("text=People >> nth=0")
    page.wait_for_url("**/settings/people")


def test_a_refused_form_counts_as_unsaved(open_page: Open) -> None:
    page = open_page("/kitchen-sink?problem")
    expect(page.locator("#edit .guard-note")).to_have_text("Not saved")
    expect(page.locator("#error-summary")).to_be_focused()


def test_a_filter_replaces_the_results_and_keeps_the_address(open_page: Open) -> None:
    page = open_page("/kitchen-sink")
    page.locator("#f-q").press_sequentially("gold")
    expect(page.locator("#results .empty-title")).to_have_text("No configuration matches “gold”")
    assert "q=gold" in page.url
    expect(page.locator("#f-q")).to_be_focused()
    page.reload()
    expect(page.locator("#results .empty-title")).to_have_text("No configuration matches “gold”")


def test_keys_lead_to_places_but_not_while_typing(open_page: Open) -> None:
    page = open_page("/settings/profile")
    page.focus("#f-new")
    page.keyboard.type("gp?")
    expect(page.locator("#f-new")).to_have_value("gp?")
    page.locator("#f-new").fill("")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.type("gp")
    page.wait_for_url("**/settings/people")
    page.goto("/kitchen-sink")
    page.keyboard.press("/")
    expect(page.locator("#f-q")).to_be_focused()
    expect(page.locator("#f-q")).to_have_value("")


def test_a_dialog_asks_its_question_and_gives_the_focus_back(open_page: Open) -> None:
    page = open_page("/kitchen-sink")
    opener = page.get_by_role("button", name="Abort rollout").first
    opener.click()
    expect(page.locator("#f-why")).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()


def test_a_line_of_a_message_puts_the_caret_there(open_page: Open) -> None:
    page = open_page("/kitchen-sink")
    page.click("#to-line-3")
    expect(page.locator("#f-body")).to_be_focused()
    chosen = page.locator("#f-body").evaluate(
        "area => area.value.slice(area.selectionStart, area.selectionEnd)"
    )
    assert chosen == "- {{ goal }}"


def test_the_theme_changes_at_once_and_is_kept(open_page: Open) -> None:
    page = open_page("/settings/profile")
    page.click("#profile-theme-dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_theme_can_be_chosen_without_script(open_page: Open) -> None:
    page = open_page("/settings/profile", script=False)
    page.click("#profile-theme-dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_message_can_be_put_away(open_page: Open) -> None:
    page = open_page("/kitchen-sink")
    page.evaluate(
        "fetch('/kitchen-sink', {method: 'POST', body: new URLSearchParams({ok: 1}), redirect: 'manual'})"
    )
    page.wait_for_timeout(200)
    page.goto("/settings/profile")
    expect(page.locator(".toast")).to_contain_text("Saved version 9.")
    page.click("[data-dismiss]")
    expect(page.locator(".toast")).to_have_count(0)


@pytest.mark.parametrize("width", [1440, 768, 390, 320])
def test_no_page_scrolls_sideways(open_page: Open, width: int) -> None:
    page = open_page("/kitchen-sink", width=width)
    for path in ["/kitchen-sink", "/settings/people", "/settings/profile", "/settings/people/new"]:
        page.goto(path)
        beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert beyond == 0, path
