"""Making, ending and knowing tokens, at the services."""

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from controlplane.accounts import services as accounts
from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.audit.models import AuditEvent
from controlplane.db import now, transaction
from controlplane.errors import Forbidden, NotFound, Refused
from controlplane.tokens import counting, minting, services
from controlplane.tokens.counting import TooManyCalls
from controlplane.tokens.models import ApiToken, TokenCount
from controlplane.tokens.scopes import Scope
from controlplane.tokens.services import Bearer, NotKnown, OutOfScope
from tests.site import ROOT_ACTOR, add_person
from tests.tokens.stage import actor_of, make_token, stop_the_clock

pytestmark = pytest.mark.usefixtures("cheap_passwords")

ORIGIN = Actor(
    kind="anonymous",
    id="-",
    name="Somebody",
    role=Role.VIEWER,
    via="token",
    request_id="r",
    address="10.0.0.9",
)

Transactions = Callable[[], AbstractContextManager[Session]]


@pytest.fixture
def grace(first_data: Session) -> Person:
    return add_person(first_data, "publisher", name="Grace")


@pytest.fixture
def transactions(first_data: Session) -> Transactions:
    @contextmanager
    def begin() -> Iterator[Session]:
        yield first_data
        first_data.flush()

    return begin


def events(session: Session) -> list[AuditEvent]:
    query = select(AuditEvent).where(AuditEvent.object_kind == "token").order_by(AuditEvent.sequence)
    return list(session.scalars(query))


def call(transactions: Transactions, token: str) -> Bearer:
    return services.authenticate(transactions, token, origin=ORIGIN)


def create(session: Session, actor: Actor, **given: Any) -> tuple[ApiToken, str]:
    values: dict[str, Any] = {
        "name": "pipeline", "scopes": [Scope.READ], "environment": None, "days": 90, **given,
    }  # fmt: skip
    return services.create_token(session, **values, actor=actor)


def test_a_token_is_made_told_and_kept_as_a_digest_alone(first_data: Session, grace: Person) -> None:
    token, told = create(
        first_data, actor_of(grace), scopes=[Scope.PUBLISH, Scope.READ], environment="production", days=30
    )
    assert token.expires_at - token.created_at == dt.timedelta(days=30)
    assert token.scopes == ["read", "publish"]
    (made,) = events(first_data)
    assert (made.action, made.object_key, made.actor_name) == ("token.created", token.key, "Grace")
    assert made.sentence == (
        f"made token pipeline (lcp_{token.key}): it may read and publish in production until {token.expires_at:%Y-%m-%d}"
    )
    kept = first_data.execute(text("SELECT row_to_json(t)::text FROM api_tokens AS t")).scalar_one()
    secret = told.rpartition("_")[2]
    assert secret not in kept
    assert secret not in f"{made.sentence} {made.after}"
    assert minting.digest(told) in kept


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": [Scope.READ, Scope.PUBLISH]}, "scopes"),
        ({"environment": "nowhere"}, "environment"),
        ({"environment": "\x00"}, "environment"),
        ({"days": 0}, "days"),
        ({"days": 366}, "days"),
        ({"name": "AKIAIOSFODNN7EXAMPLE"}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "deploy\nof Grace"}, "name"),
        ({"name": "\u202eyolped"}, "name"),
        ({"name": "deploy\u200b"}, "name"),
    ],
)
def test_what_nobody_may_give_away_or_needs_is_refused(
    first_data: Session, given: dict[str, Any], field: str
) -> None:
    editor = add_person(first_data, "editor")
    with pytest.raises(Refused) as refused:
        create(first_data, actor_of(editor), **given)
    assert list(refused.value.errors) == [field]
    assert events(first_data) == []


def test_a_name_is_given_once_even_when_its_token_is_gone(first_data: Session, grace: Person) -> None:
    token, _ = create(first_data, actor_of(grace))
    services.revoke_token(first_data, token, confirm="pipeline", actor=actor_of(grace))
    with pytest.raises(Refused, match="choose another"):
        create(first_data, actor_of(grace))
    create(first_data, actor_of(add_person(first_data, "editor")))


def test_one_person_has_only_so_many(first_data: Session, grace: Person) -> None:
    for number in range(services.MOST_IN_USE):
        create(first_data, actor_of(grace), name=f"number {number}")
    with pytest.raises(Refused, match="20 tokens in use"):
        create(first_data, actor_of(grace), name="one more")


def test_only_a_person_makes_and_ends_tokens(first_data: Session, grace: Person) -> None:
    token, _ = create(first_data, actor_of(grace))
    itself = services.token_actor(token, grace, ORIGIN)
    with pytest.raises(Forbidden, match="and a person"):
        create(first_data, itself, name="a child")
    with pytest.raises(Forbidden, match="and a person"):
        services.revoke_token(first_data, token, confirm="pipeline", actor=itself)


def test_a_token_is_seen_and_ended_by_its_owner_and_by_administrators(
    first_data: Session, grace: Person, transactions: Transactions
) -> None:
    token, told = create(first_data, actor_of(grace))
    joan, admin = (actor_of(add_person(first_data, role)) for role in ("editor", "admin"))
    with pytest.raises(NotFound):
        services.get_token(first_data, token.key, actor=joan)
    with pytest.raises(Forbidden):
        services.revoke_token(first_data, token, confirm="pipeline", actor=joan)
    assert services.get_token(first_data, token.key, actor=admin) is token
    with pytest.raises(Refused, match="Type pipeline"):
        services.revoke_token(first_data, token, confirm="Pipeline", actor=admin)
    services.revoke_token(first_data, token, confirm=" pipeline ", actor=admin)
    assert events(first_data)[-1].sentence.startswith(f"revoked token pipeline (lcp_{token.key}) of Grace: ")
    with pytest.raises(Refused, match="revoked it already"):
        services.revoke_token(first_data, token, confirm="pipeline", actor=admin)
    with pytest.raises(NotKnown, match="was revoked on"):
        call(transactions, told)


def test_whoever_calls_is_the_owner_by_id_and_both_by_name(
    first_data: Session, grace: Person, transactions: Transactions
) -> None:
    token, told = create(first_data, actor_of(grace), scopes=[Scope.READ, Scope.EDIT])
    actor = call(transactions, told).actor
    assert (actor.kind, actor.id, actor.name) == ("token", str(grace.id), "Grace (token pipeline)")
    assert (actor.token, actor.owner_id, actor.owner_name) == (token.key, str(grace.id), "Grace")
    assert (actor.role, actor.via, actor.address) == (Role.EDITOR, "token", "10.0.0.9")
    assert not actor.is_reviewer


def test_a_use_is_written_once_a_minute_and_told_once_a_day(
    first_data: Session, grace: Person, transactions: Transactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_the_clock(monkeypatch)
    token, told = create(first_data, actor_of(grace))
    call(transactions, told)
    first = token.last_used_at
    assert first is not None
    assert token.last_used_from == "10.0.0.9"
    call(transactions, told)
    assert token.last_used_at == first, "not again within a minute"
    token.last_used_at = now() - dt.timedelta(days=1)
    first_data.flush()
    call(transactions, told)
    used = [each for each in events(first_data) if each.action == "token.used"]
    assert len(used) == 2
    assert used[0].token == token.key
    assert used[0].owner_name == "Grace"


def test_what_its_owner_may_not_do_any_more_the_token_may_not_either(
    first_data: Session, grace: Person, transactions: Transactions
) -> None:
    _, told = create(first_data, actor_of(grace), scopes=[Scope.READ, Scope.EDIT, Scope.PUBLISH])
    call(transactions, told).check(Scope.PUBLISH, "production")
    accounts.change_role(first_data, grace, role=Role.EDITOR, actor=ROOT_ACTOR)
    lower = call(transactions, told)
    assert lower.actor.role is Role.EDITOR
    lower.check(Scope.EDIT, None)
    with pytest.raises(
        OutOfScope, match="needs the role Publisher, and Grace, whose token this is, is Editor"
    ):
        lower.check(Scope.PUBLISH, "production")
    accounts.disable(first_data, grace, actor=ROOT_ACTOR)
    with pytest.raises(NotKnown, match="Grace, whose token this is, can no longer sign in"):
        call(transactions, told)
    accounts.enable(first_data, grace, actor=ROOT_ACTOR)
    call(transactions, told)


def test_what_a_token_is_refused_for_is_told_apart(
    first_data: Session, grace: Person, transactions: Transactions
) -> None:
    token, told = create(first_data, actor_of(grace), environment="staging")
    caller = call(transactions, told)
    with pytest.raises(OutOfScope, match="needs the scope edit; the token has read") as missing:
        caller.check(Scope.EDIT, None)
    assert missing.value.scope is Scope.EDIT
    with pytest.raises(OutOfScope, match="for staging alone") as elsewhere:
        caller.check(Scope.READ, "production")
    assert elsewhere.value.scope is None
    token.created_at, token.expires_at = now() - dt.timedelta(days=2), now() - dt.timedelta(seconds=1)
    first_data.flush()
    with pytest.raises(NotKnown, match="expired on"):
        call(transactions, told)


def test_a_guess_says_nothing_of_what_there_is(
    first_data: Session, grace: Person, transactions: Transactions
) -> None:
    token, told = create(first_data, actor_of(grace))
    unknown = minting.mint().text
    wrong_secret = _with_key(token.key)
    messages = set()
    for guess in (unknown, wrong_secret):
        with pytest.raises(NotKnown) as refused:
            call(transactions, guess)
        messages.add(str(refused.value))
    assert messages == {"This token is not known."}
    with pytest.raises(NotKnown, match="cut off, mistyped"):
        call(transactions, told[:-1])
    assert token.last_used_at is None


def _with_key(key: str) -> str:
    """A token of this key that would be one, had it the right secret."""
    secret = "a" * 30
    return f"lcp_{key}_{secret}{minting._checksum(key, secret)}"


def test_refusals_are_told_once_an_hour_for_each_reason(
    first_data: Session, grace: Person, transactions: Transactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_the_clock(monkeypatch)
    token, told = create(first_data, actor_of(grace))
    caller = call(transactions, told)
    for _ in range(3):
        services.tell_refused(
            first_data, caller, what="PUT /x", why="This needs the scope edit.", environment=None
        )
    services.revoke_token(first_data, token, confirm="pipeline", actor=actor_of(grace))
    for guess in (told, told, minting.mint().text, minting.mint().text):
        with pytest.raises(NotKnown):
            call(transactions, guess)
    refused = [each for each in events(first_data) if each.action == "token.refused"]
    assert [(each.actor_name, each.sentence.partition(" (token")[0]) for each in refused] == [
        ("Grace (token pipeline)", "was refused PUT /x: This needs the scope edit"),
        ("Grace (token pipeline)", f"was refused: this token was revoked on {token.revoked_at:%Y-%m-%d}"),
        ("Somebody", "was refused: a token that is not known"),
    ]


def test_there_is_a_limit_for_a_token_and_for_guesses_from_one_address(
    first_data: Session, grace: Person, transactions: Transactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "CALLS_A_MINUTE", 2)
    monkeypatch.setattr(counting, "UNKNOWN_A_MINUTE", 2)
    stop_the_clock(monkeypatch)
    _, told = create(first_data, actor_of(grace))
    _, other = make_token(first_data, grace, name="another")
    call(transactions, told)
    call(transactions, told)
    with pytest.raises(TooManyCalls, match="2 calls a minute") as wait:
        call(transactions, told)
    assert wait.value.retry_after == 50
    call(transactions, other)
    for _ in range(2):
        with pytest.raises(NotKnown):
            call(transactions, minting.mint().text)
    with pytest.raises(TooManyCalls):
        call(transactions, minting.mint().text)
    elsewhere = replace(ORIGIN, address="10.0.0.10")
    with pytest.raises(NotKnown):
        services.authenticate(transactions, minting.mint().text, origin=elsewhere)


def test_calls_at_once_are_counted_each_and_told_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_the_clock(monkeypatch)
    with transaction(engine) as session:
        owner = add_person(session, "publisher")
    with transaction(engine) as session:
        _, told = create(session, actor_of(owner))
    with ThreadPoolExecutor(8) as threads:
        callers = [
            threads.submit(services.authenticate, partial(transaction, engine), told, origin=ORIGIN)
            for _ in range(24)
        ]
        assert {caller.result().name for caller in callers} == {"pipeline"}
    with transaction(engine) as session:
        assert [each.action for each in events(session)] == ["token.created", "token.used"]
        calls = select(func.sum(TokenCount.count)).where(TokenCount.what.startswith("calls of "))
        assert session.scalar(calls) == 24


def test_what_was_counted_is_forgotten(first_data: Session) -> None:
    first_data.add(TokenCount(what="calls of old", since=now() - dt.timedelta(hours=3), count=9))
    first_data.flush()
    counting.count_call(first_data, "new")
    assert [each.what for each in first_data.scalars(select(TokenCount))] == ["calls of new"]


@pytest.mark.parametrize(
    "change",
    [
        "expires_at = created_at + interval '366 days'",
        "expires_at = created_at",
        "secret_sha256 = 'abc'",
        "revoked_at = now()",
        "environment = 'nowhere'",
    ],
)
def test_the_database_keeps_what_a_token_has_to_be(first_data: Session, grace: Person, change: str) -> None:
    create(first_data, actor_of(grace))
    with pytest.raises(IntegrityError):
        first_data.execute(text(f"UPDATE api_tokens SET {change}"))
