"""Recorded calls are decided again by the release they name, and what comes to something else is told once."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, select, text, update
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.db import now, transaction
from controlplane.decisions.checking import OTHER, SAME, UNASKED, alarms, check_recorded
from controlplane.decisions.kept import kept
from controlplane.decisions.models import RecordedCall
from controlplane.explain import answering
from controlplane.runtime.decisions import Decision
from tests.decisions.product import PRODUCTION, Product, calls, decision, put

ACTION = "replay.mismatched"


def events(session: Session) -> list[AuditEvent]:
    query = select(AuditEvent).where(AuditEvent.action == ACTION).order_by(AuditEvent.sequence)
    return list(session.scalars(query))


def verdicts(session: Session) -> list[str | None]:
    return list(session.scalars(select(RecordedCall.verdict).order_by(RecordedCall.id)))


async def recorded(engine: Engine, number: int = 40) -> list[Decision]:
    with transaction(engine) as session:
        product = Product(session)
        await product.call(calls(number))
        product.read()
        return list(kept(session, PRODUCTION, now()).decisions)


def tampered(one: Decision, **changed: Any) -> Decision:
    return msgspec.structs.replace(one, **changed)


async def test_what_was_recorded_is_decided_again_and_what_differs_is_told_once(engine: Engine) -> None:
    """One database for the whole story."""
    found = await recorded(engine)
    assert check_recorded(engine, PRODUCTION, most=9) == 0
    with transaction(engine) as session:
        told = verdicts(session)
        assert None not in told
        assert (told.count(SAME) + told.count(UNASKED), told.count(OTHER)) == (len(found), 0)
        assert told.count(UNASKED) == sum(each.kept_out == "call" for each in found)
        assert (list(alarms(session, PRODUCTION)), events(session)) == ([], [])

    looked = [each for each in found if each.kept_out is None]
    with transaction(engine) as session:
        put(
            session,
            tampered(looked[0], version=99),
            tampered(looked[1], version=98),
            tampered(looked[2], model="SOMETHING_ELSE"),
            tampered(looked[3], key="configuration/*/default/*"),
            tampered(looked[4], kept_out="gate", path="legacy"),
            tampered(looked[5], release=812),
            tampered(looked[6], path="legacy"),
            tampered(looked[6], interaction="MADE_UP_1", version=99),
            tampered(looked[6], interaction="MADE_UP_2", version=99),
            looked[7],
        )
    assert check_recorded(engine, PRODUCTION) == 9
    with transaction(engine) as session:
        kinds = {each.kind: each.calls for each in alarms(session, PRODUCTION)}
        assert kinds == {
            "COACHING_RESPONSE: version": 2,
            "COACHING_RESPONSE: model": 1,
            "COACHING_RESPONSE: configuration": 1,
            "COACHING_RESPONSE: gate": 1,
            "COACHING_RESPONSE: path": 1,
            "a release that never was": 1,
            "an unknown interaction: configuration": 2,
        }
        recorded_events = events(session)
        assert {each.object_key for each in recorded_events} == set(kinds)
        assert {each.actor_kind for each in recorded_events} == {"system"}
        sentence = next(each.sentence for each in recorded_events if each.object_key.endswith(": version"))
        assert sentence.startswith(
            "found recorded calls of COACHING_RESPONSE that release 1 decides otherwise: version 9"
        )
        put(session, tampered(looked[0], version=97))
    assert check_recorded(engine, PRODUCTION) == 1
    with transaction(engine) as session:
        assert len(events(session)) == len(kinds), "a kind is told once"

    # Somebody alters what was published, behind the database's back.
    with transaction(engine) as session:
        put(session, looked[8])
        session.execute(text("ALTER TABLE release_entries DISABLE TRIGGER USER"))
        session.execute(
            text(
                "UPDATE release_entries SET document = replace(document, :was, :is) "
                "WHERE environment = 'production' AND key LIKE 'configuration/COACHING_RESPONSE/%'"
            ),
            {"was": '"max_tokens":', "is": '"max_tokens":1'},
        )
    answering._kept.clear()
    assert check_recorded(engine, PRODUCTION) == 1
    with transaction(engine) as session:
        assert alarms(session, PRODUCTION)[0].kind in {"content of release 1", *kinds}
        assert events(session)[-1].sentence.startswith(
            "found that release 1 is not what was published any more"
        )


def test_a_call_of_another_version_that_nobody_can_read_is_passed_over(first_data: Session) -> None:
    put(first_data, decision())
    first_data.execute(update(RecordedCall).values(document=b'{"at": 7}'))
    assert kept(first_data, PRODUCTION, now()).decisions == []


@pytest.mark.parametrize("kept_out", ["call", "service", "switch", "no_release"])
def test_where_nothing_was_looked_up_there_is_nothing_to_decide(first_data: Session, kept_out: str) -> None:
    from controlplane.decisions import checking

    found = checking._check(first_data, PRODUCTION, decision(release=1, kept_out=kept_out, path="legacy"))
    assert found == UNASKED
