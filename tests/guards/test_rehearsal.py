import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Engine, delete

from controlplane.accounts.actor import Actor, Role
from controlplane.configurations.services import get_configuration
from controlplane.db import transaction
from controlplane.errors import Conflict, Refused
from controlplane.guards import services
from controlplane.guards.acts import OnBreach
from controlplane.guards.chosen import settings_of
from controlplane.guards.measures import Measure
from controlplane.guards.models import GuardSettings
from controlplane.guards.rehearsal import Rehearsal
from controlplane.releases.saved import live_entries
from controlplane.rollouts import services as rollouts
from controlplane.rollouts import standing

ADA = Actor(kind="person", id="ada", name="Ada", role=Role.ADMIN, via="command line")


def nobodys_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_rehearsal_uses_a_model_that_the_others_do_without_and_leaves_nothing_that_fails(
    engine: Engine, tmp_path: Path
) -> None:
    fails, told = tmp_path / "echo-fails", list[str]()
    rehearsal = Rehearsal(engine, "staging", nobodys_port(), fails, ADA, told.append)
    with pytest.raises(Refused, match="No runtime answers on port"):
        rehearsal.run()
    assert not fails.exists()
    with transaction(engine) as session:
        (here,) = standing.running(session, "staging")
        older, newer = here.document["variants"]
        chosen = settings_of(session, here.number)
        live = live_entries(session, "staging")
        configuration = get_configuration(session, "COACHING_RESPONSE", tier="premium")
    assert told[0].startswith(f"Rollout {here.number} in staging: version {newer['version']} of")
    ids = [live[f"model/{code}"]["provider_model_id"] for code in (older["model"], *older["fallbacks"])]
    assert live[f"model/{newer['model']}"]["provider_model_id"] not in ids
    assert (newer["fallbacks"], here.share, configuration.versions[0].number) == ([], 50_000, 2)
    assert (chosen.on_breach, list(chosen.settings.tolerances)) == (OnBreach.ABORT, [Measure.ERRORS])
    with pytest.raises(Refused, match="has to have one live version"):
        rehearsal.run()
    with transaction(engine) as session:
        rollouts.abort(session, rollouts.get_rollout(session, "staging", here.number), reason="", actor=ADA)
    with pytest.raises(Refused, match="No runtime answers on port"):
        rehearsal.run()
    with transaction(engine) as session:
        (again,) = standing.running(session, "staging")
        assert again.number > here.number
        assert again.rollout.to_version == newer["version"], "what a rehearsal before saved does once more"


def test_of_two_who_choose_at_once_for_the_first_time_one_is_told(engine: Engine, tmp_path: Path) -> None:
    rehearsal = Rehearsal(engine, "staging", nobodys_port(), tmp_path / "echo-fails", ADA, str)
    with pytest.raises(Refused):
        rehearsal.run()
    with transaction(engine) as session:
        number = standing.running(session, "staging")[0].number
        session.execute(delete(GuardSettings))
    both = Barrier(2)

    def choose(least_calls: int) -> str:
        try:
            with transaction(engine) as session:
                here = standing.get_standing(session, "staging", number)
                both.wait()
                services.choose(
                    session,
                    here,
                    on_breach=OnBreach.ABORT,
                    least_calls=least_calls,
                    tolerances={Measure.ERRORS: 1.0},
                    revision=0,
                    actor=ADA,
                )
        except Conflict as conflict:
            return str(conflict)
        return "chosen"

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(choose, (30, 40))) == [
            "Somebody else chose meanwhile. Nothing was changed by you.",
            "chosen",
        ]
