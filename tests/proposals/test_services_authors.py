"""Whoever wrote part of what goes live does not agree to it."""

import datetime as dt
from dataclasses import replace

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.configurations import services as configurations
from controlplane.configurations.editing import values_of
from controlplane.errors import Refused
from controlplane.prompts import services as prompts
from controlplane.proposals import authors
from controlplane.proposals.models import Proposal
from controlplane.proposals.participants import participants_of
from controlplane.registry import services as registry
from controlplane.registry.inputs import ModelInput
from controlplane.registry.words import fields_of
from controlplane.releases.saved import saved_entries
from controlplane.releases.services import roll_back
from tests.proposals.stage import PREMIUM, PRODUCTION, approve, make, make_submitted, person, publish, rule

PROMPT = "prompt/coaching_response"


def save_configuration(session: Session, actor: Actor, temperature: float, **pinned: int) -> None:
    found = configurations.get_configuration(session, "COACHING_RESPONSE", tier="premium")
    newest = found.versions[0]
    values = values_of(newest).model_copy(
        update={"temperature": temperature, "reason": "Try it warmer", **pinned}
    )
    configurations.save_version(session, found, values, base_version=newest.number, actor=actor)


def save_prompt(session: Session, actor: Actor, line: str) -> int:
    latest = prompts.latest_version(session, "coaching_response")
    assert latest is not None
    version = prompts.save_version(
        session,
        prompts.get_prompt(session, "coaching_response"),
        body=f"{latest.body.rstrip()}\n{line}\n",
        base_version=latest.number,
        reason="Try it shorter",
        actor=actor,
    )
    return version.number


def writers(session: Session, proposal: Proposal) -> set[str]:
    return {each.name for each in participants_of(session, proposal) if each.contributed}


def propose(session: Session, actor: Actor, *keys: str) -> Proposal:
    saved, _ = saved_entries(session, PRODUCTION)
    return make(session, actor, entries={key: saved.get(key) for key in keys})


@pytest.mark.parametrize("key", [PREMIUM, PROMPT])
def test_every_version_since_what_is_live_counts(
    first_data: Session, ada: Actor, grace: Actor, joan: Actor, key: str
) -> None:
    for number, actor in enumerate([grace, joan], start=1):
        if key == PREMIUM:
            save_configuration(first_data, actor, number / 10)
        else:
            save_prompt(first_data, actor, f"Line {number}.")
    proposal = propose(first_data, ada, key)
    assert writers(first_data, proposal) == {"Ada", "Grace", "Joan"}
    with pytest.raises(Refused, match="wrote part"):
        approve_submitted(first_data, proposal, grace)


def approve_submitted(session: Session, proposal: Proposal, actor: Actor) -> None:
    proposal.state = "in_review"
    session.flush()
    approve(session, proposal, actor)


def test_versions_that_are_live_already_and_other_objects_do_not_count(
    first_data: Session, ada: Actor, grace: Actor, joan: Actor
) -> None:
    rule(first_data, approvals=0)
    save_configuration(first_data, grace, 0.2)
    publish(first_data, propose(first_data, ada, PREMIUM), grace)
    save_configuration(first_data, joan, 0.3)
    save_prompt(first_data, grace, "Be brief.")
    assert writers(first_data, propose(first_data, ada, PREMIUM)) == {"Ada", "Joan"}


def test_an_earlier_version_has_its_author_too(
    first_data: Session, ada: Actor, grace: Actor, joan: Actor
) -> None:
    rule(first_data, approvals=0)
    for actor, temperature in ((grace, 0.2), (joan, 0.3)):
        save_configuration(first_data, actor, temperature)
        saved, _ = saved_entries(first_data, PRODUCTION)
        publish(first_data, propose(first_data, ada, PREMIUM), grace)
        if actor is grace:
            of_grace = saved[PREMIUM]
    back = make(first_data, ada, entries={PREMIUM: of_grace})
    assert writers(first_data, back) == {"Ada", "Grace"}


def test_a_text_that_becomes_pinned_has_its_author(first_data: Session, ada: Actor, grace: Actor) -> None:
    number = save_prompt(first_data, grace, "Be brief.")
    save_configuration(first_data, ada, 0.4, prompt_version=number)
    assert writers(first_data, propose(first_data, ada, PREMIUM)) == {"Ada", "Grace"}


def test_between_two_pinned_texts_every_version_counts(
    first_data: Session, ada: Actor, grace: Actor, joan: Actor
) -> None:
    rule(first_data, approvals=0)
    save_configuration(first_data, ada, 0.4, prompt_version=1)
    publish(first_data, propose(first_data, ada, PREMIUM), grace)
    save_prompt(first_data, grace, "Be brief.")
    save_configuration(first_data, ada, 0.4, prompt_version=save_prompt(first_data, joan, "Be kind."))
    assert writers(first_data, propose(first_data, ada, PREMIUM)) == {"Ada", "Grace", "Joan"}


def test_a_text_has_its_author_whatever_number_a_bundle_gives_it(
    first_data: Session, ada: Actor, grace: Actor
) -> None:
    save_prompt(first_data, grace, "Be brief.")
    document = {**saved_entries(first_data, PRODUCTION)[0][PROMPT], "version": 900}
    save_prompt(first_data, ada, "Be kind.")
    assert "Grace" in writers(first_data, make(first_data, ada, entries={PROMPT: document}))
    document["version"] = 1
    assert writers(first_data, make(first_data, ada, entries={PROMPT: document})) == {"Ada", "Grace"}


def test_what_has_no_versions_has_its_authors_in_the_audit(
    first_data: Session, ada: Actor, grace: Actor
) -> None:
    admin = person(first_data, Role.ADMIN, "Edith")
    first, second = registry.list_models(first_data)[:2]
    for row, actor in ((first, admin), (second, replace(grace, role=Role.ADMIN))):
        values = ModelInput(**{**fields_of(row), "code": row.code, "note": "Slower since May"})
        registry.update(first_data, row, values, revision=row.revision, actor=actor)
    document = {**saved_entries(first_data, PRODUCTION)[0][f"model/{first.code}"], "context_window": 77_777}
    proposal = make_submitted(first_data, ada, entries={f"model/{first.code}": document})
    assert writers(first_data, proposal) >= {"Ada", "Edith"}
    assert "Grace" not in writers(first_data, proposal)
    with pytest.raises(Refused, match="wrote part"):
        approve(first_data, proposal, admin)


def test_what_was_taken_back_has_its_author_when_it_is_proposed_again(
    first_data: Session, ada: Actor, grace: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authors, "_UNDER_WAY", dt.timedelta(0))
    rule(first_data, approvals=0)
    row = registry.list_models(first_data)[0]
    values = ModelInput(**{**fields_of(row), "code": row.code, "context_window": 77_777})
    admin = person(first_data, Role.ADMIN, "Edith")
    registry.update(first_data, row, values, revision=row.revision, actor=admin)
    publish(first_data, propose(first_data, ada, f"model/{row.code}"), grace)
    roll_back(first_data, PRODUCTION, to=1, reason="Answers are slow", actor=grace)
    assert writers(first_data, propose(first_data, ada, f"model/{row.code}")) == {"Ada", "Edith"}


def test_who_archived_it_is_an_author_of_its_removal(first_data: Session, ada: Actor, grace: Actor) -> None:
    found = configurations.get_configuration(first_data, "COACHING_RESPONSE", tier="premium")
    admin = replace(grace, role=Role.ADMIN)
    configurations.archive_configuration(first_data, found, reason="Nobody asks for it", actor=admin)
    assert writers(first_data, propose(first_data, ada, PREMIUM)) == {"Ada", "Grace"}
