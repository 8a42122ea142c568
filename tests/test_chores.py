"""Chores: each environment in its turn, woken ones at once, and nobody held up by another's trouble."""

import logging
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.chores import Chore, Turns, _keep_on
from controlplane.db import now, transaction
from controlplane.registry.models import Environment
from tests.clock import Clock


def turns_of(engine: Engine, do: Callable[[str], object], clock: Clock) -> Turns:
    return Turns(engine, Chore("a chore", 2.0, do), clock=clock)


def test_every_environment_has_its_turn_and_the_next_one_after_the_seconds(engine: Engine) -> None:
    done: list[str] = []
    clock = Clock()
    turns = turns_of(engine, done.append, clock)

    assert turns.round() == done == ["staging", "production"]
    assert turns.round() == []
    assert turns.pause() == 2.0
    clock.now += 2.0
    assert turns.round() == ["staging", "production"]


def test_who_is_woken_has_its_turn_at_once_and_only_it(engine: Engine) -> None:
    clock = Clock()
    turns = turns_of(engine, lambda _: None, clock)
    turns.round()

    clock.now += 1.5
    assert turns.round(["staging", "nowhere"]) == ["staging"]
    clock.now += 0.5
    assert turns.round() == ["production"]
    assert turns.pause() == 1.5


def test_trouble_in_one_environment_is_told_once_and_holds_up_no_other(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    trouble: list[str] = ["no answer\nat all"]

    def do(environment: str) -> None:
        if environment == "production" and trouble:
            raise ValueError(trouble[0])

    clock = Clock()
    turns = turns_of(engine, do, clock)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert turns.round() == ["staging"]
            clock.now += 2.0
        trouble[0] = "another one"
        turns.round()
        trouble.clear()
        clock.now += 2.0
        assert turns.round() == ["staging", "production"]

    assert [record.getMessage() for record in caplog.records] == [
        "production: a chore: ValueError: no answer",
        "production: a chore: ValueError: another one",
        "production: a chore: well again",
    ]


def test_it_goes_on_whatever_goes_wrong(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def connect(url: str, **_: object) -> None:
        asked.append(url)
        raise psycopg.InterfaceError("the connection is closed") if len(asked) == 1 else KeyboardInterrupt

    monkeypatch.setattr("psycopg.connect", connect)
    monkeypatch.setattr("controlplane.chores._RECONNECT_SECONDS", 0)
    with pytest.raises(KeyboardInterrupt):  # the test's end; nothing else is one
        _keep_on(turns_of(engine, lambda _: None, Clock()), "postgresql://nowhere")

    assert len(asked) == 2


def test_archived_environments_have_no_turn_and_new_ones_have(engine: Engine) -> None:
    turns = turns_of(engine, lambda _: None, Clock())
    turns.round()
    with transaction(engine) as session:
        session.add(Environment(code="canary", name="Canary", position=9))
        session.get_one(Environment, "staging").archived_at = now()

    assert turns.round(["staging", "canary"]) == ["canary"]


def test_without_an_environment_there_is_nothing_to_do(blank_engine: Engine, session: Session) -> None:
    turns = turns_of(blank_engine, lambda _: None, Clock())
    assert turns.round() == []
    assert turns.pause() == 2.0
