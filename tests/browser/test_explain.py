"""Why did this user get this model? Asked of the page, held against what the running product did, now and before."""

import datetime as dt
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Running, is_complaint, sign_in
from tests.browser.own_place import INTERACTION, TIER, OwnPlace

pytestmark = pytest.mark.browser

OLD, NEW = "CLAUDE_SONNET_4_5", "CLAUDE_HAIKU_4_5"


@pytest.fixture(params=[True, False], ids=["with script", "without script"])
def page(browser: Browser, running: Running, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, java_script_enabled=request.param)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    sign_in(page, running)
    yield page
    context.close()
    assert complaints == []


def test_two_users_of_a_rollout_are_explained_side_by_side_and_as_they_were_before_it(
    page: Page, running: Running, request: pytest.FixtureRequest
) -> None:
    place = OwnPlace(
        page, running, "explained-" + request.node.callspec.id.partition("-")[0].replace(" ", "-")
    )
    place.make()
    try:
        place.save(OLD)
        before = place.publish()
        place.save(NEW)
        place.start_rollout("50")
        versions = place.versions([f"user-{number}" for number in range(40)])
        moved = next(unit for unit, version in versions.items() if version == 3)
        stayed = next(unit for unit, version in versions.items() if version == 2)

        ask(page, running, place.tenant, moved, beside=stayed)
        for number, (unit, model) in enumerate(((moved, NEW), (stayed, OLD)), start=1):
            answer = page.locator(f"#answer-{number}")
            expect(answer).to_contain_text(f"What happens for {unit}")
            chosen = answer.locator("tr", has_text="This one")
            expect(chosen).to_contain_text(model)
            expect(answer.locator("[data-verdict=decided]", has_text=place.tenant)).not_to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390

        again = page.context.new_page()
        again.goto(page.url)  # an address that can be sent to somebody else
        expect(again.locator("#answer-1")).to_contain_text(NEW)
        again.close()

        page.goto(f"{running.site}/staging/releases/{before}")
        live_at = (
            page.locator("#export").get_by_text("Live since").locator("time").get_attribute("datetime") or ""
        )
        a_second_later = dt.datetime.fromisoformat(live_at) + dt.timedelta(seconds=1)
        ask(page, running, place.tenant, moved, at=f"{a_second_later:%Y-%m-%dT%H:%M:%S}")
        expect(page.locator("#source")).to_contain_text(f"Release {before}")
        expect(page.locator("#answer-1 .explain-outcome")).to_contain_text(OLD)
    finally:
        place.archive()


def ask(page: Page, running: Running, tenant: str, unit: str, *, beside: str = "", at: str = "") -> None:
    """Fill in the form as a person does."""
    page.goto(f"{running.site}/staging/explain")
    page.get_by_label("Interaction").select_option(INTERACTION)
    page.get_by_label("Tier").select_option(TIER)
    page.get_by_label("Tenant").fill(tenant)
    page.get_by_label("User", exact=False).first.fill(unit)
    page.get_by_label("Another user beside it").fill(beside)
    page.get_by_label("When").fill(at)
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(page).to_have_url(re.compile(f"unit={unit}"))
