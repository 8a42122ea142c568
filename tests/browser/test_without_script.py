"""With JavaScript turned off the same work has the same outcome. What is made live is made live in staging."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Running, sign_in
from tests.browser.own_place import REASON, OwnPlace

pytestmark = pytest.mark.browser

UNITS = [f"user-{number}" for number in range(10_000)]


@pytest.fixture
def plain(browser: Browser, running: Running) -> Iterator[Page]:
    """A signed-in administrator whose browser runs no script."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    sign_in(page, running)
    yield page
    context.close()


def test_a_model_is_changed_published_rolled_out_raised_and_aborted(plain: Page, running: Running) -> None:
    place = OwnPlace(plain, running, "plain")
    place.make()
    try:
        place.save("CLAUDE_SONNET_4_5")
        place.publish()
        assert place.model("user-1") == "CLAUDE_SONNET_4_5"
        place.save("CLAUDE_HAIKU_4_5")
        rollout = place.start_rollout("10")
        try:
            first = on_version(place, 3)
            assert 900 <= len(first) <= 1_100
            raise_to_half(plain, place)
            half = on_version(place, 3)
            assert first <= half
            assert 4_800 <= len(half) <= 5_200
        finally:
            place.abort_rollout(rollout)
        assert on_version(place, 3) == set()
    finally:
        place.archive()


def raise_to_half(page: Page, place: OwnPlace) -> None:
    share = page.locator("#share")
    share.get_by_label("Share on version 3", exact=True).fill("50")
    share.get_by_role("button", name="Show who would change").click()
    expect(page.locator("#rollout-effect")).to_contain_text("40,000")  # nothing is moved yet
    assert len(on_version(place, 3)) < 1_100
    share.get_by_role("textbox", name="Reason").fill(REASON)
    share.get_by_role("button", name="Apply").click()
    expect(share).to_contain_text("50 %")
    place.wait_until_live()


def on_version(place: OwnPlace, version: int) -> set[str]:
    return {unit for unit, given in place.versions(UNITS).items() if given == version}


def test_a_template_is_previewed_by_its_button_and_nothing_is_saved(plain: Page, running: Running) -> None:
    plain.goto(f"{running.site}/staging/templates/coaching_response/edit")
    text = plain.get_by_label("Text of the template")
    before = text.input_value()
    text.fill("All of it about {{ 6 * 7 }} things.")
    plain.get_by_role("button", name="Preview", exact=True).click()
    expect(plain.locator("#preview-card")).to_contain_text("All of it about 42 things.")
    expect(text).to_have_value("All of it about {{ 6 * 7 }} things.")
    plain.goto(f"{running.site}/staging/templates/coaching_response/edit")
    expect(text).to_have_value(before)


def test_the_preview_without_script_says_which_line_is_wrong(plain: Page, running: Running) -> None:
    plain.goto(f"{running.site}/staging/templates/coaching_response/edit")
    plain.get_by_label("Text of the template").fill("First.\n{% if %}")
    plain.get_by_role("button", name="Preview", exact=True).click()
    expect(plain.locator("#preview-status")).to_contain_text("line 2")


def test_changes_are_found_and_taken_along_and_a_slip_is_marked(plain: Page, running: Running) -> None:
    plain.goto(f"{running.site}/changes")
    box = plain.get_by_role("searchbox", name="Find")
    box.fill("actin:signed_in")
    plain.get_by_role("button", name="Find", exact=True).click()
    expect(plain.locator("mark")).to_have_text("actin:signed_in")
    box.fill("action:signed_in")
    plain.get_by_role("button", name="Find", exact=True).click()
    expect(plain).to_have_url(re.compile(r"/changes\?q=action"))
    told = plain.locator(".change-words > p:first-child").all_inner_texts()
    assert told
    assert all("signed in" in sentence for sentence in told)
    shown = plain.locator(".found-head strong").inner_text().split()[0]
    with plain.expect_download() as download:
        plain.get_by_role("link", name="NDJSON").click()
    last = Path(download.value.path()).read_text().splitlines()[-1]
    assert json.loads(last)["count"] == int(shown)


def test_a_model_in_use_is_not_archived_and_says_where_it_is_used(plain: Page, running: Running) -> None:
    plain.goto(f"{running.site}/models/CLAUDE_3_5_SONNET")
    plain.get_by_role("link", name="Archive", exact=True).click()
    expect(plain.get_by_role("heading", name="It is in use")).to_be_visible()
    expect(plain.locator("main")).to_contain_text("COACHING_RESPONSE")
    expect(plain.get_by_role("button", name="Archive")).to_have_count(0)
