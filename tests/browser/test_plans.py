"""Raise, plan, abort on a phone: what somebody does at three in the morning."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Running, is_complaint, sign_in
from tests.browser.own_place import REASON, OwnPlace

pytestmark = pytest.mark.browser


@pytest.fixture
def phone(browser: Browser, running: Running) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    sign_in(page, running)
    yield page
    context.close()
    assert complaints == []


def test_a_rollout_is_raised_planned_and_aborted_on_a_phone(phone: Page, running: Running) -> None:
    place = OwnPlace(phone, running, "phone")
    place.make()
    try:
        place.save("CLAUDE_SONNET_4_5")
        place.publish()
        place.save("CLAUDE_HAIKU_4_5")
        rollout = place.start_rollout("10")
        address = f"{running.site}/staging/rollouts/{rollout}"
        raise_to_half(phone)
        give_a_plan(phone, address)
        seconds = abort(phone, address)
        print(f"from page open to aborted at 390 px: {seconds:.1f} s")
        expect(phone.locator("#plan")).to_contain_text("Ended with its rollout")
        place.wait_until_live()
        assert place.model("user-1") == "CLAUDE_SONNET_4_5"
    finally:
        place.archive()


def raise_to_half(page: Page) -> None:
    share = page.locator("#share")
    share.get_by_label("Share on version 3", exact=True).fill("20")
    expect(page.locator("#rollout-effect")).to_contain_text("10,000")
    share.get_by_role("textbox", name="Reason").fill(REASON)
    share.get_by_role("button", name="Raise to 50 %").click()
    expect(share).to_contain_text("50 %")


def give_a_plan(page: Page, address: str) -> None:
    page.get_by_role("link", name="Give it a plan").click()
    page.get_by_role("button", name="Careful").click()
    # Its first steps lie below where the rollout is by now.
    first = page.get_by_label("Share", exact=True)
    for at, share in enumerate(("50", "60", "80", "100")):
        first.nth(at).fill(share)
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Start plan").click()
    page.wait_for_url(address)
    expect(page.locator("#plan")).to_contain_text("Next is 60 %, by itself.")


def abort(page: Page, address: str) -> float:
    """Return how long it took from opening the page until it says that everyone is back."""
    began = time.monotonic()
    page.goto(address)
    page.get_by_role("button", name="Abort rollout").click()
    dialog = page.get_by_role("dialog", name="Abort rollout")
    dialog.get_by_label("Reason").fill(REASON)
    dialog.get_by_role("button", name="Abort rollout").click()
    expect(page.get_by_role("status").filter(has_text="Aborted: everyone is on version 2")).to_be_visible()
    return time.monotonic() - began
