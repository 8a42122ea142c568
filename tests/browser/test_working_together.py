"""Several people and one change: proposed, agreed to, published, confirmed; promoted; taken back at three in the morning.

The file comes last: it publishes in production, which the walk of a first day expects as it was.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Running, sign_in
from tests.browser.own_place import REASON, OwnPlace

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}


@dataclass
class Team:
    """A running product, its administrator's page, and the passwords of two more people."""

    running: Running
    browser: Browser
    admin: Page
    passwords: dict[str, str]

    def page_of(self, name: str, *, script: bool = True, size: dict[str, int] = DESK) -> Page:
        """A browser of their own, signed in; the administrator is "ada"."""
        context = self.browser.new_context(java_script_enabled=script, viewport=size)  # type: ignore[arg-type]
        page = context.new_page()
        if name == "ada":
            sign_in(page, self.running)
        else:
            sign_in(page, self.running, f"{name}@example.com", self.passwords[name])
        return page

    def ask_for_approvals(self, environment: str, number: int) -> None:
        self.admin.goto(f"{self.running.site}/environments/{environment}/edit")
        self.admin.get_by_label("Approvals").select_option(str(number))
        self.admin.get_by_role("button", name="Save").click()
        expect(self.admin.get_by_role("heading", level=1)).to_have_text("Environments")


@pytest.fixture(scope="module")
def team(browser: Browser, running: Running) -> Iterator[Team]:
    """Ada administers, Rosa publishes, Otto is on call."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    sign_in(page, running)
    passwords = {}
    for name, role in (("rosa", "Publisher"), ("otto", "On-call")):
        page.goto(f"{running.site}/settings/people/new")
        page.get_by_label("Name").fill(f"{name.capitalize()} Example")
        page.get_by_label("E-mail address").fill(f"{name}@example.com")
        page.get_by_role("radio", name=role).check()
        page.get_by_role("button", name="Add person").click()
        passwords[name] = page.locator("main dd code").inner_text()
    yield Team(running, browser, page, passwords)
    page.context.close()


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_change_is_proposed_agreed_to_by_another_person_published_and_confirmed(
    team: Team, *, script: bool
) -> None:
    team.ask_for_approvals("staging", 1)
    author, reviewer = team.page_of("ada", script=script), team.page_of("rosa", script=script)
    place = OwnPlace(author, team.running, f"together-{'with' if script else 'without'}")
    place.make()
    try:
        author.goto(f"{team.running.site}/staging/unpublished")
        for box in author.get_by_role("checkbox").all():
            box.set_checked(place.tenant in (box.get_attribute("value") or ""))
        author.get_by_label("Reason").fill(REASON)
        author.get_by_role("button", name="Propose for review").click()
        expect(author.get_by_role("heading", level=1)).to_contain_text("Proposal ")
        submit = author.get_by_role("button", name="Submit for review")
        if submit.is_visible():
            submit.click()
        expect(author.locator("#standing")).to_contain_text("In review")
        expect(author.locator("#actions")).to_contain_text("You wrote part of this. Ask: Rosa Example")
        assert author.get_by_role("button", name="Approve", exact=True).count() == 0

        reviewer.goto(author.url)
        reviewer.get_by_role("button", name="Approve", exact=True).click()
        expect(reviewer.locator("#standing")).to_contain_text("Approved")
        reviewer.get_by_role("button", name="Publish", exact=True).click()
        expect(reviewer.get_by_role("heading", level=1)).to_contain_text("Release ")
        expect(reviewer.locator("#arrival")).to_contain_text("1 of 1", timeout=30_000)
        expect(reviewer.locator("main")).to_contain_text("Rosa Example")
        assert place.model("user-1")
    finally:
        team.ask_for_approvals("staging", 0)
        place.archive()
        author.context.close()
        reviewer.context.close()


def test_two_of_five_are_promoted_from_staging_to_production(team: Team) -> None:
    page = team.admin
    places = [OwnPlace(page, team.running, f"promoted-{number}") for number in range(5)]
    for place in places:
        place.make()
    page.goto(f"{team.running.site}/staging/unpublished")
    for box in page.get_by_role("checkbox").all():
        box.set_checked("/promoted-" in (box.get_attribute("value") or ""))
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Release ")
    places[0].wait_until_live()

    page.goto(f"{team.running.site}/production/proposals/new")
    page.get_by_role("link", name="Promote Staging").click()
    wanted = {"promoted-1", "promoted-3"}
    for box in page.get_by_role("checkbox").all():
        tenant = (box.get_attribute("value") or "").rpartition("/")[2]
        box.set_checked(tenant in wanted)
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Propose").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Proposal ")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Release ")
    release = release_shown(page)
    expect(page.locator("#arrival")).to_contain_text("1 of 1", timeout=30_000)
    expect(page.locator("main")).to_contain_text("2 of")
    live = page.context.request.get(f"{team.running.site}/production/releases/{release}").text()
    assert {place.tenant for place in places if place.tenant in live} == wanted


def test_an_incident_is_taken_back_by_keyboard_on_a_telephone(team: Team) -> None:
    """At most five interactions and thirty seconds, of which the last one is printed and nothing is asserted on."""
    release = break_production(team)
    team.ask_for_approvals("production", 1)
    page = team.page_of("otto", size=PHONE)
    try:
        begun = time.monotonic()
        page.goto(f"{team.running.site}/changes?after=2026-01-01&environment=production")
        told = page.get_by_role("link", name=re.compile(f"published release {release} of production")).first
        press(page, told)  # 1: what happened
        press(page, page.get_by_role("link", name="Revert this"))  # 2
        reason = page.get_by_label("Reason")
        tab_to(page, reason)
        page.keyboard.type("Answers are far too long, LLM-911")  # 3
        press(page, page.get_by_role("button", name="Revert now"))  # 4
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Release {release + 1}")
        expect(page.locator("#export")).to_contain_text("Live since", timeout=20_000)
        print(f"reverted and live after {time.monotonic() - begun:.1f} s, in 4 interactions")
        expect(page.locator("#arrival")).to_contain_text("1 of 1", timeout=30_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    finally:
        team.ask_for_approvals("production", 0)
    somebody_else_looks_at_it(team)
    page.context.close()


def break_production(team: Team) -> int:
    """One more release of production, the number of which is returned."""
    page = team.admin
    page.goto(f"{team.running.site}/production/configurations/COACHING_RESPONSE/basic/edit")
    page.get_by_label("Max tokens").fill("1234")
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Save version").click()
    expect(page.get_by_role("status").filter(has_text="Saved version")).to_be_visible()
    page.goto(f"{team.running.site}/production/unpublished")
    for box in page.get_by_role("checkbox").all():
        box.set_checked("COACHING_RESPONSE/basic/*" in (box.get_attribute("value") or ""))
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Release ")
    release = release_shown(page)
    team.running.wait_for_release(release)
    return release


def somebody_else_looks_at_it(team: Team) -> None:
    page = team.admin
    page.goto(f"{team.running.site}/changes/emergencies")
    # Other tests of this product leave emergencies of the administrator's own, which somebody else has to look at.
    page.locator(".change", has_text="Otto Example").get_by_role("link").first.click()
    expect(page.locator("main")).to_contain_text("Done in an emergency")
    page.get_by_label("What you found").fill("Right to take it back.")
    page.get_by_role("button", name="Agree").click()
    expect(page.locator("main")).to_contain_text("Reviewed by")


def release_shown(page: Page) -> int:
    return int(page.get_by_role("heading", level=1).inner_text().removeprefix("Release "))


def press(page: Page, what: Locator) -> None:
    tab_to(page, what)
    page.keyboard.press("Enter")


def tab_to(page: Page, what: Locator) -> None:
    """Go to a control as somebody without a mouse does."""
    expect(what).to_be_visible()
    for _ in range(150):
        if what.evaluate("each => each === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way to {what} with Tab")
