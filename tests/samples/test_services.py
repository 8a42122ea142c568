from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.registry.inputs import InteractionInput
from controlplane.registry.models import Interaction
from controlplane.registry.services import create_interaction, get, update
from controlplane.samples import services
from controlplane.samples.fitting import misfits
from controlplane.samples.models import Sample

CODE = "COACHING_RESPONSE"
VALUES = {"conversation_context": "Coach: And?", "user_message": "Well …"}

ActorAs = Callable[[Role | str], Actor]


@pytest.fixture
def ada(actor_as: ActorAs) -> Actor:
    return actor_as("editor")


def add(session: Session, actor: Actor, name: str = "Short", **changes: Any) -> Sample:
    return services.create_sample(
        session, CODE, **{"name": name, "values": VALUES, "actor": actor, **changes}
    )


def names(session: Session, interaction: str = CODE) -> list[tuple[str, bool]]:
    return [(each.name, each.is_default) for each in services.list_samples(session, interaction)]


def last_sentence(session: Session) -> str:
    query = select(AuditEvent.sentence).order_by(AuditEvent.sequence.desc()).limit(1)
    return session.scalars(query).one()


def test_every_interaction_of_the_first_data_has_a_default_and_one_that_must_pass(
    first_data: Session,
) -> None:
    for interaction in first_data.scalars(select(Interaction)):
        default, *others = services.list_samples(first_data, interaction.code)
        assert default.is_default
        assert default.values == {each["name"]: each["example"] for each in interaction.parameters}
        assert any(each.must_pass for each in others)
        assert not any(each.is_default for each in others)
        declared = services.declared_parameters(first_data, interaction.code)
        assert [misfits(declared, each.values) for each in (default, *others)] == [{}] * (len(others) + 1)


def test_a_new_interaction_has_its_declared_examples_for_a_default_and_they_follow_it(
    session: Session, actor_as: ActorAs
) -> None:
    declaration: dict[str, Any] = {
        "code": "NEW_ONE", "category": "coaching",
        "parameters": [{"name": "goal", "type": "text", "required": True, "example": "Grow"}],
    }  # fmt: skip
    row = create_interaction(session, InteractionInput.model_validate(declaration), actor=actor_as("admin"))
    assert [each.values for each in services.list_samples(session, "NEW_ONE")] == [{"goal": "Grow"}]
    declaration["parameters"][0]["example"] = "Shrink"
    update(session, row, InteractionInput.model_validate(declaration), revision=1, actor=actor_as("admin"))
    assert [each.values for each in services.list_samples(session, "NEW_ONE")] == [{"goal": "Shrink"}]
    assert session.scalars(select(Sample)).all() == []


def test_values_keep_their_order_and_their_types(first_data: Session, ada: Actor) -> None:
    values = {"issue": {"title": "T", "description": "D", "a": [1, 1.0, "1", True, None]}, "context": ""}
    sample = services.create_sample(
        first_data, "ACTION_SUGGESTIONS", name="Odd", values=values | {"constraints": None}, actor=ada
    )
    first_data.expire_all()
    kept = services.get_sample(first_data, "ACTION_SUGGESTIONS", sample.slug).values
    assert str(kept) == str(values)  # 1.0 stays 1.0, and the order of the fields is theirs


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"user_message": "x"}, "value-conversation_context", "A call has to give this: it is required."),
        (VALUES | {"topic": 7}, "value-topic", "Does not fit: text is needed, not a number."),
        (VALUES | {"tpic": "x"}, "value-tpic", "The interaction declares no tpic: did you mean topic?"),
        (VALUES | {"topic": "a\x00"}, "value-topic", "This holds a NUL character, which cannot be stored."),
        (VALUES | {"topic": "x" * 40_000}, "value-topic", "Cannot be used: it has more than 32,768 bytes."),
    ],
)
def test_values_that_a_call_could_not_have_are_refused_by_name(
    first_data: Session, ada: Actor, values: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(Refused) as refused:
        add(first_data, ada, values=values)
    assert refused.value.errors == {field: words}


def test_there_is_one_default_and_the_last_one_cannot_go(first_data: Session, ada: Actor) -> None:
    first = add(first_data, ada, is_default=True)
    assert last_sentence(first_data) == (
        "added sample set “Short” of COACHING_RESPONSE: previews begin with it instead of “Example”"
    )
    second = add(first_data, ada, "Long", must_pass=True)
    services.make_default(first_data, second, actor=ada)
    assert names(first_data)[0] == ("Long", True)
    assert [name for name, is_default in names(first_data) if is_default] == ["Long"]
    with pytest.raises(Refused, match="Make another one the default first"):
        services.remove_sample(first_data, second, actor=ada)
    services.remove_sample(first_data, first, actor=ada)
    assert "Short" not in dict(names(first_data))
    assert last_sentence(first_data) == "removed sample set “Short” of COACHING_RESPONSE"


def test_the_database_keeps_two_defaults_apart(first_data: Session, ada: Actor) -> None:
    sample = add(first_data, ada)
    add(first_data, ada, "Long", is_default=True)
    sample.is_default = True
    with pytest.raises(IntegrityError):
        first_data.flush()


def test_a_name_is_there_once_and_its_address_does_not_change(first_data: Session, ada: Actor) -> None:
    sample = add(first_data, ada, "Français, trois buts")
    assert sample.slug == "francais-trois-buts"
    with pytest.raises(Refused, match="There is a sample set “français, Trois buts” already"):
        add(first_data, ada, "français, Trois buts")
    assert [add(first_data, ada, name).slug for name in ("例", "例 2", "New", "Example")] == [
        "sample", "2", "new-2", "example-2",
    ]  # fmt: skip
    services.change_sample(
        first_data, sample, name="Other", values=VALUES, must_pass=True, revision=1, actor=ada
    )
    assert services.get_sample(first_data, CODE, "francais-trois-buts").name == "Other"
    assert last_sentence(first_data) == (
        "changed sample set “Other” of COACHING_RESPONSE: renamed from “Français, trois buts”; "
        "publishing is refused while a template fails with it"
    )


def test_who_comes_second_is_told_and_nothing_is_overwritten(first_data: Session, ada: Actor) -> None:
    sample = add(first_data, ada)
    change: dict[str, Any] = {"name": "Short", "must_pass": False, "actor": ada}
    services.change_sample(first_data, sample, values=VALUES | {"topic": "a"}, revision=1, **change)
    with pytest.raises(Conflict, match="Editor One changed “Short” while you were editing"):
        services.change_sample(first_data, sample, values=VALUES, revision=1, **change)
    with pytest.raises(Refused, match="Nothing was changed"):
        services.change_sample(first_data, sample, values=VALUES | {"topic": "a"}, revision=2, **change)


def test_a_sample_that_fits_no_more_is_kept_and_told_of(
    first_data: Session, ada: Actor, actor_as: ActorAs
) -> None:
    add(first_data, ada)
    row = get(first_data, Interaction, CODE)
    needed = [{**each, "required": True} for each in row.parameters]
    given = {"code": CODE, "category": row.category, "description": row.description, "parameters": needed}
    update(
        first_data,
        row,
        InteractionInput.model_validate(given),
        revision=row.revision,
        actor=actor_as("admin"),
    )
    kept = services.get_sample(first_data, CODE, "short")
    assert kept.values == VALUES
    declared = services.declared_parameters(first_data, CODE)
    assert set(misfits(declared, kept.values)) == {"topic", "phase"}


def test_the_declared_examples_are_no_row_to_be_changed(first_data: Session, ada: Actor) -> None:
    example = services.get_sample(first_data, CODE, "example")
    for change in (services.make_default, services.remove_sample):
        with pytest.raises(Refused, match="declared examples"):
            change(first_data, example, actor=ada)


def test_viewers_change_nothing_and_what_is_not_there_is_not_found(
    first_data: Session, actor_as: ActorAs, ada: Actor
) -> None:
    with pytest.raises(Forbidden):
        add(first_data, actor_as("viewer"))
    with pytest.raises(NotFound):
        services.get_sample(first_data, CODE, "nothing")
    with pytest.raises(NotFound):
        services.create_sample(first_data, "NO_SUCH", name="x", values={}, actor=ada)
