"""The main job from end to end: real browser, site, worker, Postgres, DynamoDB and S3 over HTTP, runtime service.

One long test on purpose: each step builds on what the one before made live, and so it is for a person.
"""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Running, sign_in

pytestmark = pytest.mark.browser

UNITS = [f"user-{number}" for number in range(10_000)]
PREMIUM = {"interaction": "COACHING_RESPONSE", "tier": "premium"}
PLACE = "/production/configurations/COACHING_RESPONSE/premium"
REASON = "Better follow-up questions, LLM-88"


def test_the_walk_of_a_first_day(page: Page, running: Running) -> None:
    sign_in(page, running)
    save_a_version(page, running, model="CLAUDE_SONNET_4_5", number=2)
    save_a_template(page, running)
    publish_both(page, running)
    now = running.resolve(**PREMIUM, unit="user-1")
    assert (now["model"]["code"], now["version"], now["prompt"]["version"]) == ("CLAUDE_SONNET_4_5", 2, 2)

    save_a_version(page, running, model="CLAUDE_HAIKU_4_5", number=3)
    on_third = roll_out(page, running)
    assert 900 <= len(on_third) <= 1_100
    still_on_third = raise_to_half(page, running)
    assert on_third <= still_on_third
    assert 4_800 <= len(still_on_third) <= 5_200
    abort(page, running)
    assert set(running.versions(UNITS, **PREMIUM).values()) == {2}

    every_step_is_told(page, running)
    roll_back(page, running)
    back = running.resolve(**PREMIUM, unit="user-1")
    assert (back["model"]["code"], back["prompt"]["version"]) == ("CLAUDE_3_5_SONNET", 1)
    sign_out_ends_the_session(page, running)

    all_is_there_after_a_stop_and_a_start(page, running)


def save_a_version(page: Page, running: Running, *, model: str, number: int) -> None:
    page.goto(f"{running.site}{PLACE}")
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Model", exact=True).select_option(model)
    expect(page.locator("#effect")).to_contain_text(model)
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Save version").click()
    expect(page.get_by_role("status").filter(has_text=f"version {number}")).to_be_visible()


def save_a_template(page: Page, running: Running) -> None:
    page.goto(f"{running.site}/production/templates/coaching_response/edit")
    text = page.get_by_label("Text of the template")
    text.focus()
    page.keyboard.press("Control+Home")
    page.keyboard.type("Answer in one paragraph about {{ topc }}.\n")
    preview = page.locator("#preview-card")
    expect(preview).to_contain_text("topic")  # did you mean
    text.focus()
    page.keyboard.press("Control+Home")
    page.keyboard.press("Shift+End")
    page.keyboard.type("Answer in one paragraph{% if topic %} about {{ topic }}{% endif %}.")
    expect(preview).to_contain_text("Answer in one paragraph about core_values.")
    page.get_by_label("Why this change?").fill(REASON)
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("coaching_response")


def publish_both(page: Page, running: Running) -> None:
    page.get_by_role("link", name="Not yet live", exact=True).click()
    expect(page.get_by_role("checkbox")).to_have_count(2)
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Release 2")
    expect(page.locator("#export")).to_contain_text("Live since", timeout=20_000)
    running.wait_for_release(2)


def roll_out(page: Page, running: Running) -> set[str]:
    page.goto(f"{running.site}{PLACE}")
    page.get_by_text("Start a rollout").click()
    page.get_by_label("Begin with", exact=True).fill("10")
    expect(page.locator("#rollout-effect")).to_contain_text("10,000")
    page.locator("#rollout").get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Start rollout").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Rollout ")
    running.wait_for_release(3)
    return on_version(running, 3)


def raise_to_half(page: Page, running: Running) -> set[str]:
    page.locator("#share").get_by_role("button", name="50 %", exact=True).click()
    expect(page.locator("#rollout-effect")).to_contain_text("40,000")
    page.locator("#share").get_by_role("textbox", name="Reason").fill(REASON)
    page.locator("#share").get_by_role("button", name="Apply").click()
    expect(page.locator("#share")).to_contain_text("50 %")
    running.wait_for_release(4)
    return on_version(running, 3)


def abort(page: Page, running: Running) -> None:
    page.get_by_role("button", name="Abort rollout").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Answers are too short, LLM-91")
    dialog.get_by_role("button", name="Abort rollout").click()
    expect(page.get_by_text("Aborted").first).to_be_visible()
    running.wait_for_release(5)


def on_version(running: Running, version: int) -> set[str]:
    return {unit for unit, given in running.versions(UNITS, **PREMIUM).items() if given == version}


def every_step_is_told(page: Page, running: Running) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name=re.compile("^Changes")).click()
    told = page.locator("#results")
    for sentence in (
        "signed in",
        "saved version 2 of COACHING_RESPONSE · premium",
        "saved version 2 of template coaching_response",
        "published release 2 of production",
        "saved version 3 of COACHING_RESPONSE · premium",
        "started",
        "from 10 % to 50 %",
        "aborted",
    ):
        expect(told).to_contain_text(sentence)
    page.get_by_label("Find", exact=True).fill(
        "env:production from 10 % to 50 %"
    )  # another test does it in staging
    expect(page.locator(".change")).to_have_count(1)
    page.locator(".change a").first.click()
    expect(page.locator("main")).to_contain_text(REASON)


def roll_back(page: Page, running: Running) -> None:
    page.goto(f"{running.site}/production/releases/1")
    page.get_by_role("link", name="Restore release 1").click()
    page.get_by_label("Reason").fill("Back to the first day, LLM-92")
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Release 6")
    expect(page.locator("#export")).to_contain_text("Live since", timeout=20_000)
    running.wait_for_release(6)


def sign_out_ends_the_session(page: Page, running: Running) -> None:
    cookies: Any = page.context.cookies()
    page.locator(".account summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.context.add_cookies(cookies)  # whoever copied the cookie has nothing
    page.goto(f"{running.site}/production/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def all_is_there_after_a_stop_and_a_start(page: Page, running: Running) -> None:
    running.restart()
    running.wait_for_release(6)
    assert running.resolve(**PREMIUM, unit="user-1")["model"]["code"] == "CLAUDE_3_5_SONNET"
    sign_in(page, running)
    page.goto(f"{running.site}{PLACE}")
    expect(page.locator("main")).to_contain_text("Version 3")
