"""The database has the last word, whatever a service or somebody with a console writes."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.db import now
from controlplane.proposals.models import Proposal
from controlplane.releases.models import ImportedText
from tests.proposals.stage import approve, make_submitted, publish, rule, set_person

NOW = "approved_at = now()"


@pytest.fixture
def proposal(first_data: Session, ada: Actor) -> Proposal:
    """A proposal that Ada wrote, in review."""
    return make_submitted(first_data, ada)


def refused(session: Session, statement: str, match: str, **values: Any) -> None:
    with pytest.raises(DBAPIError, match=match), session.begin_nested():
        session.execute(text(statement), values)


def test_an_author_cannot_be_among_those_who_agree(
    first_data: Session, ada: Actor, proposal: Proposal
) -> None:
    agree = f"UPDATE proposal_participants SET approved_sha256 = :sha256, {NOW} WHERE person_id = :id"
    values = {"sha256": proposal.content_sha256, "id": ada.id}
    refused(first_data, agree, "nobody_approves_alone", **values)
    # Whatever is said about the rule: the environment's is the one that counts.
    refused(
        first_data,
        agree.replace("SET", "SET self_approval = true,"),
        "nobody_approves_alone",
        **values,
    )


def test_who_agreed_cannot_become_an_author(first_data: Session, grace: Actor, proposal: Proposal) -> None:
    approve(first_data, proposal, grace)
    refused(
        first_data,
        "UPDATE proposal_participants SET contributed = true WHERE person_id = :id",
        "nobody_approves_alone",
        id=grace.id,
    )
    refused(
        first_data,
        "INSERT INTO proposal_participants (environment, number, person_id, name, contributed, self_approval)"
        " VALUES ('production', 1, :id, 'Grace', true, true)",
        "pk_proposal_participants",
        id=grace.id,
    )


PUBLISH = "UPDATE proposals SET state = 'published', release = 1 WHERE number = 1"


def test_nothing_is_published_that_too_few_agreed_to(
    first_data: Session, grace: Actor, proposal: Proposal
) -> None:
    refused(first_data, PUBLISH, "0 approvals of this content, 1 are asked for")
    approve(first_data, proposal, grace)
    rules: list[dict[str, Any]] = [{"approvals": 2}, {"publish_role": "admin"}]
    for values in rules:
        with first_data.begin_nested() as savepoint:
            rule(first_data, **values)
            refused(first_data, PUBLISH, "are asked for")
            savepoint.rollback()
    people: list[dict[str, Any]] = [{"active": False}, {"role": "on-call"}]
    for values in people:
        with first_data.begin_nested() as savepoint:
            set_person(first_data, grace, **values)
            refused(first_data, PUBLISH, "0 approvals")
            savepoint.rollback()
    first_data.execute(text(PUBLISH))


def test_agreement_to_other_content_does_not_count(
    first_data: Session, grace: Actor, proposal: Proposal
) -> None:
    approve(first_data, proposal, grace)
    first_data.execute(text("UPDATE proposals SET content_sha256 = :other"), {"other": "f" * 64})
    refused(first_data, PUBLISH, "0 approvals of this content")


def test_ones_own_agreement_does_not_count_when_the_rule_is_gone(
    first_data: Session, grace: Actor, ada: Actor
) -> None:
    rule(first_data, self_approval=True)
    proposal = make_submitted(first_data, grace)
    approve(first_data, proposal, grace)
    rule(first_data, self_approval=False)
    refused(first_data, PUBLISH, "0 approvals")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE proposal_entries SET after = '{}'",
        "UPDATE proposal_entries SET key = 'tier/new'",
        "DELETE FROM proposal_entries",
        "INSERT INTO proposal_entries (environment, number, key) VALUES ('production', 1, 'tier/new')",
        "UPDATE proposal_participants SET approved_sha256 = NULL, approved_at = NULL",
        "DELETE FROM proposal_participants",
        "UPDATE proposals SET reason = 'another'",
        "UPDATE proposals SET state = 'draft', release = NULL",
        "DELETE FROM proposals",
    ],
)
def test_what_is_published_stays_as_it_is(
    first_data: Session, grace: Actor, proposal: Proposal, statement: str
) -> None:
    approve(first_data, proposal, grace)
    publish(first_data, proposal, grace)
    refused(first_data, statement, "stays as it is")


def test_a_published_proposal_is_a_release_and_the_other_way_round(
    first_data: Session, grace: Actor, proposal: Proposal
) -> None:
    approve(first_data, proposal, grace)
    publish(first_data, proposal, grace)
    first_data.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    columns = "environment, source, summary, reason, author_id, author_name, created_at, snapshot_sha256"
    columns += ", snapshot_size, entry_count, proposal, emergency"
    again = f"INSERT INTO releases (number, {columns}) SELECT 3, {columns} FROM releases WHERE number = 2"
    refused(first_data, again, "release 3 of production is not what proposal 1 became")


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE proposals SET state = 'scheduled'", "scheduled_has_a_time"),
        ("UPDATE proposals SET release = 1", "published_is_a_release"),
        ("UPDATE proposals SET state = 'thought of'", "state_is_known"),
        ("UPDATE proposal_participants SET approved_at = now()", "approved_at_a_time"),
    ],
)
def test_a_row_makes_sense(first_data: Session, proposal: Proposal, statement: str, constraint: str) -> None:
    refused(first_data, statement, constraint)


def test_a_text_that_came_in_a_file_stays_as_it_is(first_data: Session) -> None:
    first_data.add(ImportedText(sha256="0" * 64, body="Answer kindly.\n", imported_at=now()))
    first_data.flush()
    refused(first_data, "UPDATE imported_texts SET body = 'Answer rudely.'", "append-only: UPDATE is refused")
    refused(first_data, "DELETE FROM imported_texts", "append-only: DELETE is refused")
