from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.errors import Conflict, Forbidden, Refused
from controlplane.registry import services
from controlplane.registry.documents import interaction_document
from controlplane.registry.inputs import EnvironmentInput, InteractionInput, ModelInput, TierInput
from controlplane.registry.models import Environment, Interaction, Model, Tier
from controlplane.registry.words import fields_of

ActorAs = Callable[[Role | str], Actor]


def test_an_added_tier_is_listed_by_rank_and_audited(first_data: Session, actor_as: ActorAs) -> None:
    services.create_tier(first_data, TierInput(code="trial", name="Trial", rank=0), actor=actor_as("admin"))
    assert [tier.code for tier in services.list_tiers(first_data)][:2] == ["free", "trial"]
    event = last_event(first_data)
    assert (event.action, event.sentence, event.actor_id) == ("tier.added", "added tier trial", "admin-1")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR, Role.PUBLISHER])
def test_only_an_admin_changes_the_registry(first_data: Session, actor_as: ActorAs, role: Role) -> None:
    tier = services.get(first_data, Tier, "free")
    actor = actor_as(role)
    with pytest.raises(Forbidden, match="Admin"):
        services.create_tier(first_data, TierInput(code="x", name="X", rank=9), actor=actor)
    with pytest.raises(Forbidden):
        services.update(first_data, tier, TierInput(code="free", name="Y", rank=0), revision=1, actor=actor)
    with pytest.raises(Forbidden):
        services.archive(first_data, tier, actor=actor)


def test_a_taken_code_is_refused_beside_its_field(first_data: Session, actor_as: ActorAs) -> None:
    with pytest.raises(Refused) as refusal:
        services.create_tier(first_data, TierInput(code="free", name="Free", rank=0), actor=actor_as("admin"))
    assert refusal.value.errors == {"code": "There is a tier free already."}


def test_a_price_change_is_told_in_words_with_both_prices(first_data: Session, actor_as: ActorAs) -> None:
    model = services.get(first_data, Model, "GPT_5")
    values = ModelInput.model_validate(model_values(model) | {"input_price_per_million": "1.1"})
    services.update(first_data, model, values, revision=model.revision, actor=actor_as("admin"))
    event = last_event(first_data)
    assert event.sentence == "changed model GPT_5: input price per million tokens $1.25 → $1.10"
    assert (event.before or {})["input_price_per_million"] == 1.25
    assert (event.after or {})["input_price_per_million"] == 1.1


def test_the_second_of_two_editors_gets_a_conflict_and_changes_nothing(
    first_data: Session, actor_as: ActorAs
) -> None:
    tier = services.get(first_data, Tier, "premium")
    opened_at = tier.revision
    admin = actor_as("admin")
    services.update(
        first_data, tier, TierInput(code="premium", name="Plus", rank=2), revision=opened_at, actor=admin
    )
    with pytest.raises(Conflict):
        services.update(
            first_data, tier, TierInput(code="premium", name="Gold", rank=2), revision=opened_at, actor=admin
        )
    assert tier.name == "Plus"


def test_a_change_of_nothing_is_refused(first_data: Session, actor_as: ActorAs) -> None:
    tier = services.get(first_data, Tier, "premium")
    with pytest.raises(Refused, match="Nothing was changed"):
        services.update(
            first_data,
            tier,
            TierInput(code="premium", name=tier.name, rank=tier.rank),
            revision=tier.revision,
            actor=actor_as("admin"),
        )


@pytest.mark.parametrize(
    ("table", "code", "where"),
    [
        (Model, "CLAUDE_3_HAIKU", "configuration COACHING_RESPONSE · basic"),
        (Model, "GPT_4O", "configuration COACHING_RESPONSE · premium"),  # as a fallback only
        (Tier, "premium", "configuration COACHING_RESPONSE · premium (live in production)"),
        (Interaction, "KPI_ANALYSIS", "template kpi_analysis"),
        (Environment, "staging", "release 1 (live in staging)"),
    ],
)
def test_archiving_what_is_in_use_is_refused_with_a_list_of_where(
    first_data: Session, actor_as: ActorAs, table: Any, code: str, where: str
) -> None:
    row = services.get(first_data, table, code)
    with pytest.raises(Refused) as refusal:
        services.archive(first_data, row, actor=actor_as("admin"))
    assert where in refusal.value.errors[""]
    assert row.archived_at is None


def test_what_nothing_uses_can_be_archived_and_brought_back(first_data: Session, actor_as: ActorAs) -> None:
    tier = services.get(first_data, Tier, "enterprise")
    services.archive(first_data, tier, reason="No longer sold", actor=actor_as("admin"))
    assert "enterprise" not in [each.code for each in services.list_tiers(first_data)]
    assert "enterprise" in [each.code for each in services.list_tiers(first_data, archived=True)]
    services.restore(first_data, tier, actor=actor_as("admin"))
    assert "enterprise" in [each.code for each in services.list_tiers(first_data)]


def test_a_parameter_that_a_saved_template_uses_cannot_be_taken_away(
    first_data: Session, actor_as: ActorAs
) -> None:
    row = services.get(first_data, Interaction, "KPI_ANALYSIS")
    fewer = [each for each in row.parameters if each["name"] != "goals"]
    with pytest.raises(Refused) as refusal:
        services.update(
            first_data,
            row,
            interaction_input(row, parameters=fewer),
            revision=row.revision,
            actor=actor_as("admin"),
        )
    assert "template kpi_analysis (version 1) uses goals" in refusal.value.errors["parameters"]


def test_an_added_parameter_is_named_in_the_audit(first_data: Session, actor_as: ActorAs) -> None:
    row = services.get(first_data, Interaction, "KPI_ANALYSIS")
    more = [
        *row.parameters,
        {"name": "currency", "type": "string", "required": False, "description": "", "example": "€"},
    ]
    services.update(
        first_data,
        row,
        interaction_input(row, parameters=more),
        revision=row.revision,
        actor=actor_as("admin"),
    )
    assert last_event(first_data).sentence == "changed interaction KPI_ANALYSIS: parameter currency added"


@pytest.mark.parametrize("mark", [{"untrusted": True}, {"recorded": "yes"}, {"recorded": "length"}])
def test_what_is_declared_of_one_value_leaves_other_documents_as_they_were(
    first_data: Session, actor_as: ActorAs, mark: dict[str, Any]
) -> None:
    row = services.get(first_data, Interaction, "COACHING_RESPONSE")
    before = interaction_document(row)["parameters"]
    plain = {"untrusted": False, "recorded": "no"}
    marked = [{**each, **(mark if each["name"] == "user_message" else plain)} for each in row.parameters]
    given = interaction_input(row, parameters=marked)
    services.update(first_data, row, given, revision=row.revision, actor=actor_as("admin"))
    expected = [each | (mark if each["name"] == "user_message" else {}) for each in before]
    assert interaction_document(row)["parameters"] == expected


def test_each_new_interaction_gets_a_gate_salt_of_its_own(first_data: Session, actor_as: ActorAs) -> None:
    made = [
        services.create_interaction(
            first_data, InteractionInput(code=code, category="test"), actor=actor_as("admin")
        )
        for code in ("FIRST", "SECOND")
    ]
    assert made[0].gate_salt != made[1].gate_salt


def test_a_new_environment_starts_without_a_release(first_data: Session, actor_as: ActorAs) -> None:
    made = services.create_environment(
        first_data, EnvironmentInput(code="canary", name="Canary", position=5), actor=actor_as("admin")
    )
    assert made.next_release == 1


def test_two_people_who_add_the_same_code_at_once_make_one(engine: Engine, actor_as: ActorAs) -> None:
    with Session(engine) as first, Session(engine) as second:
        services.create_tier(first, TierInput(code="trial", name="One", rank=0), actor=actor_as("admin"))
        first.commit()
        with pytest.raises(Refused):
            services.create_tier(second, TierInput(code="trial", name="Two", rank=0), actor=actor_as("admin"))


def last_event(session: Session) -> AuditEvent:
    return session.scalars(select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)).one()


def model_values(model: Model) -> dict[str, Any]:
    return {**fields_of(model), "code": model.code}


def interaction_input(row: Interaction, **changed: Any) -> InteractionInput:
    return InteractionInput.model_validate({**fields_of(row), "code": row.code, **changed})
