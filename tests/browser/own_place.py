"""A configuration that belongs to one test alone, in staging, so that the walk finds production as it was.

Every step here goes through the pages and needs no script.
"""

import re
import time
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from tests.browser.conftest import Running, ask

REASON = "Tried in staging first, LLM-104"
INTERACTION, TIER = "COACHING_RESPONSE", "premium"


@dataclass(frozen=True)
class OwnPlace:
    """COACHING_RESPONSE for one tenant of tier premium, as seen in staging."""

    page: Page
    running: Running
    tenant: str

    @property
    def address(self) -> str:
        return f"{self.running.site}/staging/configurations/{INTERACTION}/{TIER}/{self.tenant}"

    def make(self) -> None:
        where = f"interaction={INTERACTION}&tier={TIER}&tenant={self.tenant}"
        self.page.goto(f"{self.running.site}/staging/configurations/new?{where}")
        self.page.get_by_label("Reason").fill(REASON)
        self.page.get_by_role("button", name="Save version 1").click()
        expect(self.page.get_by_role("status").filter(has_text="Not live until published")).to_be_visible()

    def save(self, model: str) -> None:
        self.page.goto(self.address)
        self.page.get_by_role("link", name="Edit", exact=True).click()
        self.page.get_by_label("Model", exact=True).select_option(model)
        self.page.get_by_label("Reason").fill(REASON)
        self.page.get_by_role("button", name="Save version").click()
        expect(self.page.get_by_role("status").filter(has_text="Saved version")).to_be_visible()

    def publish(self) -> int:
        """Publish this place alone; the number of the release, which the runtime has by then."""
        self._tick()
        self.page.get_by_role("button", name="Publish").click()
        expect(self.page.get_by_role("heading", level=1)).to_contain_text("Release ")
        number = int(self.page.get_by_role("heading", level=1).inner_text().removeprefix("Release "))
        expect(self.page.locator("#export")).to_contain_text("Live since", timeout=20_000)
        self.wait_until_live()
        return number

    def propose(self) -> int:
        """Propose this place alone; the number of the proposal."""
        self._tick()
        self.page.get_by_role("button", name="Propose for review").click()
        expect(self.page.get_by_role("heading", level=1)).to_contain_text("Proposal ")
        return int(self.page.url.rpartition("/")[2])

    def withdraw(self, number: int) -> None:
        self.page.goto(f"{self.running.site}/staging/proposals/{number}")
        self.page.get_by_text("Withdraw", exact=True).first.click()
        self.page.locator("#withdraw").click()
        expect(self.page.get_by_role("status").filter(has_text="is withdrawn")).to_be_visible()

    def _tick(self) -> None:
        self.page.goto(f"{self.running.site}/staging/unpublished")
        for box in self.page.get_by_role("checkbox").all():
            box.set_checked(self.tenant in (box.get_attribute("value") or ""))
        self.page.get_by_label("Reason").fill(REASON)

    def start_rollout(self, share: str) -> int:
        """From the live version to the newest; the rollout's number."""
        self.page.goto(self.address)
        self.page.get_by_text("Start a rollout").click()
        self.page.get_by_label("Begin with", exact=True).fill(share)
        self.page.locator("#rollout").get_by_label("Reason").fill(REASON)
        self.page.get_by_role("button", name="Start rollout").click()
        expect(self.page.get_by_role("heading", level=1)).to_contain_text("Rollout ")
        self.wait_until_live()
        return int(self.page.url.rpartition("/")[2])

    def abort_rollout(self, number: int) -> None:
        self.page.goto(f"{self.running.site}/staging/rollouts/{number}/abort")
        self.page.get_by_label("Reason").fill(REASON)
        self.page.get_by_role("button", name="Abort rollout").click()
        expect(self.page.get_by_text("Aborted").first).to_be_visible()
        self.wait_until_live()

    def start_beside(self, share: str) -> None:
        """Another candidate beside the one that runs: the newest version."""
        where = f"{INTERACTION}/{TIER}/{self.tenant}"
        self.page.goto(f"{self.running.site}/staging/rollouts/new?configuration={where}")
        self.page.get_by_label("Begin with", exact=True).fill(share)
        self.page.get_by_label("Reason").fill(REASON)
        self.page.get_by_role("button", name="Start rollout").click()
        expect(self.page.get_by_role("heading", level=1)).to_contain_text("Rollout ")

    def give_plan(self, rollout: int) -> int:
        """The usual plan for a rollout; the plan's number."""
        self.page.goto(f"{self.running.site}/staging/rollouts/{rollout}/plan")
        self.page.get_by_label("Reason").fill(REASON)
        self.page.get_by_role("button", name="Start plan").click()
        plan = self.page.locator("#plan form").get_attribute("action") or ""
        return int(plan.rpartition("/plans/")[2].partition("/")[0])

    def abort_all(self, number: int) -> None:
        self.page.goto(f"{self.running.site}/staging/rollouts/{number}/abort-all")
        self.page.get_by_label("Reason").fill(REASON)
        self.page.get_by_role("button", name="Abort all rollouts").click()
        expect(self.page.get_by_text("Aborted").first).to_be_visible()
        self.wait_until_live()

    def archive(self) -> None:
        """Nothing is left to publish in production, where it never was live."""
        self.page.goto(f"{self.address}/archive")
        self.page.get_by_label("Reason").fill(REASON)
        self.page.get_by_role("button", name="Archive", exact=True).click()
        expect(self.page.get_by_role("status").filter(has_text="Archived")).to_be_visible()

    def wait_until_live(self) -> None:
        """Until the runtime serves the newest release of staging; the page stays where it is."""
        listed = self.page.context.request.get(f"{self.running.site}/staging/releases").text()
        newest = max(int(number) for number in re.findall(r"/staging/releases/(\d+)\b", listed))
        deadline = time.monotonic() + 30
        while self._served() < newest:
            assert time.monotonic() < deadline, f"the runtime never got release {newest} of staging"
            time.sleep(0.1)

    def _served(self) -> int:
        return int(ask(f"{self.running.runtime}/healthz")["environments"]["staging"]["release"])

    def versions(self, units: list[str]) -> dict[str, int]:
        """Which version each unit gets here, asked of the runtime."""
        return self.running.versions(units, **self._asked)

    def model(self, unit: str) -> str:
        return str(self.running.resolve(**self._asked, unit=unit)["model"]["code"])

    @property
    def _asked(self) -> dict[str, str]:
        return {"environment": "staging", "interaction": INTERACTION, "tier": TIER, "tenant": self.tenant}
