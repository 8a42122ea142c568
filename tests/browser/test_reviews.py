"""A reviewer clears fifty changes by keyboard, and the queue survives without script."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.services import record
from controlplane.db import make_engine, transaction
from tests.browser.conftest import Running, sign_in

pytestmark = pytest.mark.browser

MANY = 50
QUEUE = "changes/reviews?environment=*"


@pytest.fixture
def queue(page: Page, running: Running, stack_home: Path) -> Page:
    """Ada before a queue of what Zoe changed, and nothing else."""
    zoe = Actor(kind="person", id="zoe", name="Zoe", role=Role.ADMIN, via="browser")
    engine = make_engine(
        json.loads((stack_home / "addresses.json").read_text())["environment"]["DATABASE_URL"]
    )
    with transaction(engine) as session:
        for number in range(MANY):
            record(
                session,
                actor=zoe,
                action="environment.changed",
                object_kind="environment",
                object_key="staging",
                sentence=f"changed environment staging: {number} of something",
            )
    engine.dispose()
    sign_in(page, running)
    page.goto(f"{running.site}/{QUEUE}")
    return page


def test_fifty_changes_are_reviewed_by_keyboard_alone(queue: Page) -> None:
    rows = queue.locator("[data-review]:visible")
    expect(rows).to_have_count(MANY)
    keys = queue.keyboard
    keys.press("j")
    first = rows.nth(0).get_by_role("link")
    expect(first).to_be_focused()
    # The second is asked about, the third disputed: both need words, and go on with the row that follows.
    keys.press("j")
    keys.press("q")
    keys.type("Why was this needed?")
    keys.press("Control+Enter")
    asked = rows.filter(has_text="Why was this needed?")
    expect(asked).to_contain_text("Queried")
    expect(rows.nth(2).get_by_role("link").first).to_be_focused()
    keys.press("d")
    keys.press("Control+Enter")
    expect(queue.get_by_text("Say what is wrong")).to_be_visible()
    keys.type("It was not planned.")
    keys.press("Control+Enter")
    expect(rows).to_have_count(MANY - 1)
    # "g r" goes elsewhere and reviews nothing: here the leader is given up again.
    keys.press("g")
    keys.press("z")
    for _ in range(MANY - 1):
        keys.press("r")
    # All but what is asked about, which is reviewed by the same key: nothing is left of the filter.
    expect(queue.get_by_text("Nothing here matches")).to_be_visible(timeout=60_000)


def test_without_script_an_answer_goes_on_with_the_queue(
    queue: Page, browser: Browser, running: Running
) -> None:
    plain = browser.new_context(java_script_enabled=False).new_page()
    sign_in(plain, running)
    plain.goto(f"{running.site}/{QUEUE}")
    rows = plain.locator("[data-review]")
    expect(rows).to_have_count(MANY)
    rows.nth(0).get_by_role("button", name="Reviewed").click()
    expect(rows).to_have_count(MANY - 1)
    plain.get_by_role("link", name="Sign off all of this").click()
    plain.get_by_label("What you looked at").fill("All of these were planned together.")
    plain.get_by_role("button", name="Sign off").click()
    expect(plain.locator("main")).to_contain_text("The set is the one that was signed")
    plain.goto(f"{running.site}/changes/report")
    expect(plain.locator("main")).to_contain_text("All of these were planned together.")
    plain.context.close()


def test_the_report_prints_with_heads_on_each_page_and_without_the_frame(
    page: Page, running: Running
) -> None:
    sign_in(page, running)
    page.goto(f"{running.site}/changes/report")
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
    expect(page.get_by_role("button", name="Show")).to_be_hidden()
    expect(page.locator(".signatures")).to_be_visible()
    display = page.locator("thead").first.evaluate("head => getComputedStyle(head).display")
    assert display == "table-header-group"
    assert page.pdf()[:4] == b"%PDF"
