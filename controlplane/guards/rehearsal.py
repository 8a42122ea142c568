"""A bad rollout, rehearsed on a home that runs: real calls of its runtime, a model that fails, and the guard that takes it back.

Nothing is pretended: the version, the rollout, the choice of its guards and what the guard does are in the record as any other.
Only the model's failure is made, by the file that the echo provider reads; where models are really called, nothing fails.
"""

import http.client
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.configurations.checks import version_of
from controlplane.configurations.documents import place_of, settings_of
from controlplane.configurations.editing import values_of
from controlplane.configurations.models import Configuration, ConfigurationVersion
from controlplane.configurations.services import get_configuration, save_version
from controlplane.configurations.wording import differences
from controlplane.db import transaction
from controlplane.errors import Refused
from controlplane.guards import chosen, services
from controlplane.guards.acts import OnBreach
from controlplane.guards.measures import Measure
from controlplane.releases.saved import live_entries
from controlplane.rollouts.ranges import Candidate
from controlplane.rollouts.standing import Standing, get_standing
from controlplane.rollouts.starting import start

REASON: Final = "A rehearsal of a bad rollout"
UNITS: Final = tuple(f"rehearsal-{number}" for number in range(100))
_SHARE: Final = 50_000
_GOOD_SECONDS: Final = 130.0
"""So long all goes well: two whole minutes, so that a dip is seen as one."""
_LONGEST_SECONDS: Final = 600.0
_A_SECOND: Final = 4.0
"""Calls: some 5,000 at most, before the rehearsal gives up."""


@dataclass
class Rehearsal:
    """One rehearsal; `tell` is given what happens, line by line."""

    engine: Engine
    environment: str
    runtime_port: int
    fails: Path
    actor: Actor
    tell: Callable[[str], object]
    good_seconds: float = _GOOD_SECONDS
    interaction: str = "COACHING_RESPONSE"
    tier: str = "premium"
    answers: Counter[str] = field(default_factory=Counter)

    def run(self) -> bool:
        """Go through it to its end; True when the guard took the version back and every unit is where it was."""
        with transaction(self.engine) as session:
            number, model_id = self._begin(session)
        self.fails.unlink(missing_ok=True)
        try:
            self._call(self.good_seconds, until=lambda: not self._standing(number).running)
            self.fails.parent.mkdir(parents=True, exist_ok=True)
            self.fails.write_text(f"{model_id}\n", "utf-8")
            began = time.monotonic()
            self.tell(f"The model {model_id} fails from now on; calls so far: {self._said()}.")
            self._call(_LONGEST_SECONDS, until=lambda: not self._standing(number).running)
        finally:
            self.fails.unlink(missing_ok=True)
        here = self._standing(number)
        if here.running:
            self.tell(f"Nobody took it back within {_LONGEST_SECONDS:.0f} s. Calls: {self._said()}.")
            return False
        ended = here.end
        self.tell(
            f"After {time.monotonic() - began:.0f} s: {here.sentence} By {ended.by if ended else 'nobody'}, release "
            f"{ended.release if ended else 'none'}. Calls: {self._said()}."
        )
        with transaction(self.engine) as session:
            for breach in services.breaches_of(session, number):
                self.tell(breach.words)
        return self._all_back(here.rollout.from_version)

    def _begin(self, session: Session) -> tuple[int, str]:
        configuration = get_configuration(session, self.interaction, tier=self.tier)
        place = place_of(configuration)
        live = live_entries(session, self.environment)
        document = live.get(place.key)
        if document is None or len(document["variants"]) != 1:
            raise Refused({"": f"{place.title} has to have one live version in {self.environment}."})
        model = _other_model(live, document["variants"][0])
        version = self._bad_version(session, configuration, document["variants"][0]["version"], model)
        (rollout,) = start(
            session,
            self.environment,
            configuration,
            candidates=[Candidate(version.number, _SHARE)],
            reason=REASON,
            actor=self.actor,
        )
        here = get_standing(session, self.environment, rollout.number)
        services.choose(
            session,
            here,
            on_breach=OnBreach.ABORT,
            least_calls=chosen.LEAST_CALLS,
            tolerances={Measure.ERRORS: Measure.ERRORS.usual_tolerance},
            revision=chosen.settings_of(session, rollout.number).revision,
            actor=self.actor,
        )
        self.tell(
            f"Rollout {rollout.number} in {self.environment}: version {version.number} of {place.title}, with {model} and no "
            f"fallbacks, for half of all users. Its guards abort it when errors rise."
        )
        return rollout.number, str(live[f"model/{model}"]["provider_model_id"])

    def _bad_version(
        self, session: Session, configuration: Configuration, live: int, model: str
    ) -> ConfigurationVersion:
        """The live version with this model and no fallbacks: saved, unless a rehearsal before left it as the newest."""
        newest, *_ = versions = configuration.versions
        good = next(each for each in versions if each.number == live)
        values = values_of(good).model_copy(update={"model": model, "fallbacks": [], "reason": REASON})
        if not differences(settings_of(newest), settings_of(version_of(values, number=0))):
            return newest
        return save_version(session, configuration, values, base_version=newest.number, actor=self.actor)

    def _standing(self, number: int) -> Standing:
        with transaction(self.engine) as session:
            return get_standing(session, self.environment, number)

    def _call(self, seconds: float, *, until: Callable[[], bool]) -> None:
        """Call at an even pace for so long, or until that is so, which is looked at now and then."""
        deadline = time.monotonic() + seconds
        count = 0
        while time.monotonic() < deadline:
            self.answers[self._answer(UNITS[count % len(UNITS)])] += 1
            count += 1
            time.sleep(1 / _A_SECOND)
            if count % 8 == 0 and until():
                return

    def _answer(self, unit: str) -> str:
        asked = {
            "environment": self.environment,
            "interaction_code": self.interaction,
            "user_tier": self.tier,
            "user_id": unit,
            "conversation_id": "rehearsal",
            "topic": "core_values",
            "user_message": "Are our values real?",
        }
        status, found = self._post("/v1/coaching/responses", asked)
        return f"version {found.get('configuration_version')}" if status == 200 else "failed"

    def _all_back(self, version: int) -> bool:
        """Whether the runtime, within half a minute, gives every unit this version."""
        asked = {
            "environment": self.environment,
            "interaction": self.interaction,
            "tier": self.tier,
            "units": UNITS,
        }
        deadline = time.monotonic() + 30
        while True:
            _, found = self._post("/v1/resolve/batch", asked)
            back = sum(result[0] == version for result in found.get("results", ()))
            if back == len(UNITS) or time.monotonic() > deadline:
                self.tell(f"{back} of {len(UNITS)} units are on version {version}.")
                return bool(back == len(UNITS))
            time.sleep(1)

    def _post(self, path: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.runtime_port, timeout=30)
        try:
            connection.request("POST", path, json.dumps(asked), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except OSError as problem:
            raise Refused(
                {"": f"No runtime answers on port {self.runtime_port} ({problem}): start ./run first."}
            ) from None
        finally:
            connection.close()

    def _said(self) -> str:
        return ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(self.answers.items())) or "none"


def _other_model(live: dict[str, Any], variant: dict[str, Any]) -> str:
    """A live model that nobody of the baseline is answered by: whoever has the baseline must notice nothing."""
    used = {variant["model"], *variant["fallbacks"]}
    ids = {live[f"model/{code}"]["provider_model_id"] for code in used if f"model/{code}" in live}
    free: Sequence[str] = sorted(
        key.removeprefix("model/")
        for key, document in live.items()
        if key.startswith("model/") and document["provider_model_id"] not in ids
    )
    if not free:
        raise Refused({"": "There is no live model that the live version does not use."})
    return free[0]
