"""Every page fits its window, is accessible and has nothing to complain of, in both themes.

The state they show is made in staging: something waiting, a rollout under way, a release with its comparison.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.browser.conftest import AXE, Running, is_complaint, is_fault, sign_in
from tests.browser.own_place import OwnPlace

pytestmark = pytest.mark.browser

WIDTHS = (1440, 768, 390)
# Each page is loaded once and then only resized and recoloured. Every rule is asked at 1440 in light; what a theme or a
# width can change is asked again at 390 in dark. All rules at all widths in both themes would take minutes.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
EVERYTHING = {"type": "tag", "values": TAGS}
NARROW = {
    "type": "rule",
    "values": ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"],
}

AT_STAGING = {
    "overview": "",
    "configurations": "configurations",
    "a configuration": "configurations/COACHING_RESPONSE/premium",
    "a configuration being rolled out": "configurations/COACHING_RESPONSE/premium/{tenant}",
    "edit a configuration": "configurations/COACHING_RESPONSE/premium/edit",
    "a new configuration, where": "configurations/new",
    "a new configuration": "configurations/new?interaction=JOURNAL_SUMMARY&tier=free&tenant=fits",
    "a draft of a configuration": "configurations/COACHING_RESPONSE/basic/draft",
    "edit a draft of a configuration": "configurations/COACHING_RESPONSE/basic/edit",
    "a version of a configuration": "configurations/COACHING_RESPONSE/premium/versions/1",
    "compare versions of a configuration": "configurations/COACHING_RESPONSE/premium/{tenant}/compare?from=1&to=2",
    "archive a configuration": "configurations/COACHING_RESPONSE/premium/archive",
    "templates": "templates",
    "a template": "templates/coaching_response",
    "edit a template": "templates/coaching_response/edit",
    "a draft of a template": "templates/coaching_response/draft",
    "a version of a template": "templates/coaching_response/versions/1",
    "compare versions of a template": "templates/coaching_response/compare",
    "what a template's change would do": "templates/coaching_response/rendered",
    "try a template": "templates/coaching_response/try",
    "templates side by side": "templates/coaching_response/side-by-side",
    "a new template": "templates/new?interaction=COACHING_RESPONSE",
    "archive a template": "templates/coaching_response/archive",
    "snippets": "templates/snippets",
    "a new snippet": "templates/snippets/new",
    "a snippet": "templates/snippets/tone",
    "edit a snippet": "templates/snippets/tone/edit",
    "a version of a snippet": "templates/snippets/tone/versions/1",
    "archive a snippet": "templates/snippets/tone/archive",
    "rollouts": "rollouts",
    "a rollout": "rollouts/{rollout}",
    "abort a rollout": "rollouts/{rollout}/abort",
    "finish a rollout": "rollouts/{rollout}/finish",
    "guards of a rollout": "rollouts/{rollout}/guards",
    "another candidate": "rollouts/new?configuration=COACHING_RESPONSE/premium/{tenant}",
    "change what is ahead in a plan": "rollouts/{rollout}/plan",
    "a plan": "plans/{plan}",
    "a plan for a gate": "gates/COACHING_RESPONSE/plan",
    "kill switches": "switches",
    "throw a kill switch": "switches/COACHING_RESPONSE/throw",
    "switch everything off": "switches/everything/throw",
    "gates": "gates",
    "a gate": "gates/COACHING_RESPONSE",
    "not yet live": "unpublished",
    "what prompts become": "unpublished/rendered",
    "proposals": "proposals",
    "no proposals of a state": "proposals?state=rejected",
    "a proposal": "proposals/{proposal}",
    "a proposal, rendered": "proposals/{proposal}?part=rendered",
    "a proposal's checks": "proposals/{proposal}?part=checks",
    "a proposal's conversation": "proposals/{proposal}?part=conversation",
    "a proposal on one page": "proposals/{proposal}?part=all&view=split",
    "recorded calls on a proposal": "proposals/{proposal}/recorded",
    "a proposal that clashes": "proposals/{clash}",
    "choose what shall hold": "proposals/{clash}/conflict",
    "where a proposal comes from": "proposals/new",
    "promote": "proposals/new?source=environment:production",
    "revert a release": "proposals/new?source=release:{release}:revert",
    "releases": "releases",
    "a release": "releases/{release}",
    "roll back": "releases/1/roll-back",
    "compare releases": "releases/compare?from=1&to={release}",
    "health": "health",
    "processes": "processes",
    "coverage": "coverage",
    "a failure rehearsed": "coverage/rehearsal?provider=bedrock",
    "recorded calls": "recorded",
    "explain": "explain",
    "an explanation": "explain?interaction=COACHING_RESPONSE&tier=premium&unit=u-1&other=u-2&values=%7B%7D",
}
EVERYWHERE = {
    "production's overview": "production/",
    "interactions": "interactions",
    "an interaction": "interactions/COACHING_RESPONSE",
    "edit an interaction": "interactions/COACHING_RESPONSE/edit",
    "a new interaction": "interactions/new",
    "sample sets": "interactions/COACHING_RESPONSE/samples",
    "a new sample set": "interactions/COACHING_RESPONSE/samples/new",
    "archive an interaction": "interactions/COACHING_RESPONSE/archive",
    "models": "models",
    "a model": "models/CLAUDE_3_5_SONNET",
    "edit a model": "models/CLAUDE_3_5_SONNET/edit",
    "archive a model": "models/CLAUDE_3_5_SONNET/archive",
    "tiers": "tiers",
    "edit a tier": "tiers/premium/edit",
    "environments": "environments",
    "edit an environment": "environments/staging/edit",
    "changes": "changes",
    "the record": "changes/record",
    "reviews": "changes/reviews",
    "no reviews of a filter": "changes/reviews?only=emergency&when=overdue&environment=nowhere",
    "reviews that are done": "changes/reviews?show=done",
    "sign off at once": "changes/reviews/sign-off",
    "rules of review": "changes/reviews/rules",
    "period report": "changes/report",
    "access list": "settings/people/access",
    "no changes found": "changes?q=nothing-is-called-this",
    "people": "settings/people",
    "a new person": "settings/people/new",
    "a person": "settings/people/{person}",
    "API tokens": "settings/tokens",
    "a new API token": "settings/tokens/new",
    "an API token": "settings/tokens/{token}",
    "profile": "settings/profile",
    "no such page": "no-such-page",
}
FOR_VIEWERS = {
    "overview": "staging/",
    "a configuration": "staging/configurations/COACHING_RESPONSE/premium",
    "a rollout": "staging/rollouts/{rollout}",
    "not yet live": "staging/unpublished",
    "a proposal": "staging/proposals/{proposal}",
    "not allowed": "settings/people",
}


@dataclass
class Visitor:
    """Somebody's page, what the console said on it, and the parts of addresses that only this run knows."""

    page: Page
    site: str
    known: dict[str, str]
    complaints: list[str]

    def faults_at(self, address: str) -> list[str]:
        self.page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        self.recolour("light")
        self.complaints.clear()
        self.page.goto(f"{self.site}/{address.format(**self.known)}")
        expect(self.page.get_by_role("heading", level=1)).to_have_count(1)
        self.page.evaluate(AXE.read_text())  # not a script element: the policy of the pages refuses those
        found = self.axe(EVERYTHING, "light, wide")
        self.recolour("dark")
        found += [fault for width in WIDTHS if (fault := self.sideways_scroll(width))]
        return [*found, *self.axe(NARROW, "dark, narrow"), *self.complaints]

    def recolour(self, theme: Literal["light", "dark"]) -> None:
        """And wait until it is painted: transitions take a frame even where motion is reduced."""
        self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        self.page.evaluate("() => Promise.allSettled(document.getAnimations().map(each => each.finished))")

    def sideways_scroll(self, width: int) -> str | None:
        self.page.set_viewport_size({"width": width, "height": 900})
        needed = self.page.evaluate("document.documentElement.scrollWidth")
        return f"needs {needed} of {width} px" if needed > width else None

    def axe(self, rules: dict[str, Any], where: str) -> list[str]:
        # In a window as high as the page the bars that stay in sight lie over nothing. Elsewhere they do, and one scrolls.
        width = self.page.evaluate("innerWidth")
        height = self.page.evaluate("document.documentElement.scrollHeight")
        self.page.set_viewport_size({"width": width, "height": max(height, 900)})
        result = self.page.evaluate(
            "rules => axe.run({runOnly: rules, resultTypes: ['violations'], elementRef: false})", rules
        )
        return [
            f"{violation['id']} ({where}): {node['target']} {node.get('failureSummary', '')}"
            for violation in result["violations"]
            for node in violation["nodes"]
        ]


def visit(browser: Browser, running: Running) -> Visitor:
    page = browser.new_context().new_page()
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # Chromium reports a page that answers 404 or 403 as a failed resource; two of the pages here are such answers.
        expected = "status of 404 (NOT FOUND)", "status of 403 (FORBIDDEN)"
        if is_complaint(message) and not any(words in message.text for words in expected):
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)) if is_fault(str(error)) else None)
    return Visitor(page, running.site, {}, complaints)


@pytest.fixture(scope="module")
def admin(browser: Browser, running: Running) -> Iterator[Visitor]:
    """An administrator, with something to see in staging."""
    visitor = visit(browser, running)
    sign_in(visitor.page, running)
    moving = OwnPlace(visitor.page, running, "moving")
    waiting = OwnPlace(visitor.page, running, "waiting")
    moving.make()
    release = moving.publish()
    moving.save("CLAUDE_HAIKU_4_5")
    rollout = moving.start_rollout("25")
    moving.save("CLAUDE_SONNET_4_5")
    moving.start_beside("5")
    plan = moving.give_plan(rollout)
    waiting.make()
    proposal = waiting.propose()
    clashing = OwnPlace(visitor.page, running, "clashing")
    clashing.make()
    clash = clashing.propose()
    clashing.save("CLAUDE_HAIKU_4_5")
    clashing.publish()
    keep_drafts(visitor)
    write_snippet(visitor)
    visitor.known = {
        "tenant": "moving",
        "release": str(release),
        "rollout": str(rollout),
        "plan": str(plan),
        "proposal": str(proposal),
        "clash": str(clash),
        "token": make_token(visitor),
    }
    yield visitor
    discard_drafts(visitor)
    clashing.withdraw(clash)
    clashing.archive()
    waiting.withdraw(proposal)
    moving.abort_all(rollout)
    moving.archive()
    waiting.archive()
    visitor.page.context.close()


def make_token(visitor: Visitor) -> str:
    """A token that nobody calls with; return its key."""
    visitor.page.goto(f"{visitor.site}/settings/tokens/new")
    visitor.page.get_by_label("Name", exact=True).fill("looked at")
    visitor.page.get_by_role("button", name="Make token").click()
    expect(visitor.page.locator("main")).to_contain_text("This is shown once")
    visitor.page.get_by_role("link", name="I have copied it").click()
    expect(visitor.page.locator("main")).to_contain_text("Begins with")
    return visitor.page.url.rpartition("/")[2]


def write_snippet(visitor: Visitor) -> None:
    """No template includes it: nothing that others look at changes."""
    visitor.page.goto(f"{visitor.site}/staging/templates/snippets/new")
    for label, typed in (
        ("Code", "tone"),
        ("Text of the snippet", "Be kind."),
        ("Why this snippet?", "To look at"),
    ):
        visitor.page.get_by_label(label).first.fill(typed)
    visitor.page.get_by_role("button", name="Create").click()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("shared/tone")


DRAFTED = ("configurations/COACHING_RESPONSE/basic", "templates/coaching_response")


def keep_drafts(visitor: Visitor) -> None:
    """Of what nobody else saves meanwhile: a draft is found again wherever its author looks at the object."""
    for address, label, typed in zip(
        DRAFTED, ("Temperature", "Text of the template"), ("0.45", "Be kind."), strict=True
    ):
        visitor.page.goto(f"{visitor.site}/staging/{address}/edit")
        visitor.page.get_by_label(label).first.fill(typed)
        visitor.page.get_by_role("button", name="Save draft").click()
        expect(visitor.page.locator("main")).to_contain_text("This is your draft")


def discard_drafts(visitor: Visitor) -> None:
    """The walk of a first day finds its objects without a draft."""
    for address in DRAFTED:
        visitor.page.goto(f"{visitor.site}/staging/{address}/draft")
        visitor.page.get_by_role("button", name="Discard").click()
        expect(visitor.page).not_to_have_url(re.compile("/draft$"))


@pytest.fixture(scope="module")
def viewer(browser: Browser, running: Running, admin: Visitor) -> Iterator[Visitor]:
    """Somebody who may only look."""
    admin.page.goto(f"{running.site}/settings/people/new")
    admin.page.get_by_label("Name").fill("Grace Onlooker")
    admin.page.get_by_label("E-mail address").fill("grace@example.com")
    admin.page.get_by_role("button", name="Add person").click()
    expect(admin.page.get_by_role("heading", level=1)).to_have_text("A password for Grace Onlooker")
    password = admin.page.locator("main dd code").inner_text()
    admin.page.get_by_role("link", name="To Grace Onlooker").click()
    admin.known["person"] = admin.page.url.rpartition("/")[2]
    visitor = visit(browser, running)
    sign_in(visitor.page, running, "grace@example.com", password)
    visitor.known = admin.known
    yield visitor
    visitor.page.context.close()


@pytest.mark.parametrize("address", AT_STAGING.values(), ids=AT_STAGING)
def test_every_page_of_an_environment_fits_and_is_accessible(admin: Visitor, address: str) -> None:
    assert admin.faults_at(f"staging/{address}") == []


@pytest.mark.parametrize("address", EVERYWHERE.values(), ids=EVERYWHERE)
def test_every_other_page_fits_and_is_accessible(admin: Visitor, viewer: Visitor, address: str) -> None:
    assert admin.faults_at(address) == []


@pytest.mark.parametrize("address", FOR_VIEWERS.values(), ids=FOR_VIEWERS)
def test_pages_of_somebody_who_may_only_look_fit_and_are_accessible(viewer: Visitor, address: str) -> None:
    assert viewer.faults_at(address) == []


def test_the_sign_in_page_fits_and_is_accessible(browser: Browser, running: Running) -> None:
    stranger = visit(browser, running)
    assert stranger.faults_at("sign-in") == []
    stranger.page.context.close()
