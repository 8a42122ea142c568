from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.db import now
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.prompts import drafts, services
from controlplane.prompts.documents import digest, entry_document
from controlplane.prompts.models import Prompt, PromptDraft
from controlplane.prompts.services import BodyRefused
from controlplane.registry.models import Interaction
from controlplane.runtime.entries import Parameter
from controlplane.runtime.renderer import compile_prompt, render

CODE = "coaching_response"
BODY = "Answer {{ user_message }}\nafter {{ conversation_context }}\n"

Person = Callable[..., Actor]


@pytest.fixture
def editor(person: Person) -> Actor:
    return person("editor")


@pytest.fixture
def prompt(first_data: Session) -> Prompt:
    return services.get_prompt(first_data, CODE)


def events(session: Session, code: str = CODE) -> list[AuditEvent]:
    query = select(AuditEvent).where(AuditEvent.object_kind == "prompt", AuditEvent.object_key == code)
    return list(session.scalars(query.order_by(AuditEvent.sequence)))


def test_every_prompt_of_the_first_data_renders_with_its_examples_as_in_production(
    first_data: Session,
) -> None:
    for prompt in services.list_prompts(first_data):
        version = services.latest_version(first_data, prompt.code)
        declared = services.declared_parameters(first_data, prompt.interaction)
        assert version is not None
        assert render(compile_prompt(version.body), {p.name: p.example for p in declared}, declared)


def test_a_saved_version_has_the_next_number_and_its_bytes_hash(
    first_data: Session, prompt: Prompt, editor: Actor
) -> None:
    version = services.save_version(
        first_data, prompt, body=BODY, base_version=1, reason="Shorter", actor=editor
    )
    assert (version.number, version.body, version.sha256) == (2, BODY, digest(BODY))
    assert services.latest_version(first_data, CODE) is version
    assert entry_document(prompt, version) == {
        "interaction": "COACHING_RESPONSE",
        "version": 2,
        "sha256": digest(BODY),
        "size": len(BODY.encode()),
    }


def test_a_saved_version_is_one_event_in_words(first_data: Session, prompt: Prompt, editor: Actor) -> None:
    before = len(events(first_data))
    services.save_version(first_data, prompt, body=BODY, base_version=1, reason="Shorter", actor=editor)
    *earlier, event = events(first_data)
    assert len(earlier) == before
    assert event.action == "prompt.version_saved"
    assert event.sentence.startswith(f"saved version 2 of template {CODE}: 2 lines added, ")
    assert (event.actor_id, event.reason) == (editor.id, "Shorter")
    assert event.before is not None
    assert event.after == {"version": 2, "sha256": digest(BODY)}


def test_line_ends_of_a_browser_are_saved_as_line_feeds(
    first_data: Session, prompt: Prompt, editor: Actor
) -> None:
    body = BODY.replace("\n", "\r\n")
    version = services.save_version(
        first_data, prompt, body=body, base_version=1, reason="Test", actor=editor
    )
    assert version.body == BODY


def test_a_version_on_an_old_base_is_a_conflict_and_changes_nothing(
    first_data: Session, prompt: Prompt, person: Person
) -> None:
    ada, ben = person("editor", name="Ada"), person("editor", name="Ben")
    services.save_version(first_data, prompt, body=BODY, base_version=1, reason="First", actor=ada)
    with pytest.raises(Conflict, match="Ada saved version 2 of coaching_response while you were editing"):
        services.save_version(first_data, prompt, body="Other", base_version=1, reason="Late", actor=ben)
    latest = services.latest_version(first_data, CODE)
    assert latest is not None
    assert (latest.number, latest.author_name) == (2, "Ada")


def test_the_same_text_again_is_refused(first_data: Session, prompt: Prompt, editor: Actor) -> None:
    same = services.get_version(first_data, CODE, 1).body
    with pytest.raises(Refused, match="Nothing changed: this is the text of version 1"):
        services.save_version(first_data, prompt, body=same, base_version=1, reason="Test", actor=editor)


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("Hello\n{{ user_mesage }}", 2, "did you mean 'user_message'?"),
        ("Hello\n\n{% if %}", 3, ""),
        ("{% include 'x' %}", 1, "there is no 'x' to include"),
        ("   ", None, "empty"),
        ("Topic: {{ topic }} {{ user_message }}", 1, "topic is optional, and without it this fails"),
        ("fine\nnot\x00 fine", 2, "NUL"),
    ],
)
def test_a_text_that_cannot_be_rendered_is_refused_with_its_line(
    first_data: Session, prompt: Prompt, editor: Actor, body: str, line: int | None, words: str
) -> None:
    with pytest.raises(BodyRefused) as refusal:
        services.save_version(first_data, prompt, body=body, base_version=1, reason="Test", actor=editor)
    assert refusal.value.line == line
    assert words in refusal.value.errors["body"]
    assert len(services.get_prompt(first_data, CODE).versions) == 1


def test_a_viewer_may_not_write(first_data: Session, prompt: Prompt, person: Person) -> None:
    viewer = person("viewer")
    with pytest.raises(Forbidden):
        services.save_version(first_data, prompt, body=BODY, base_version=1, reason="Test", actor=viewer)
    with pytest.raises(Forbidden):
        drafts.save_draft(first_data, prompt, body=BODY, parameters={}, base_version=1, actor=viewer)
    with pytest.raises(Forbidden):
        services.archive_prompt(first_data, prompt, reason="Test", actor=viewer)


def test_a_new_prompt_has_version_one_and_no_use(first_data: Session, editor: Actor) -> None:
    services.create_prompt(
        first_data,
        code="brief_coach",
        interaction="COACHING_RESPONSE",
        body=BODY,
        reason="A try",
        actor=editor,
    )
    found = services.get_prompt(first_data, "brief_coach")
    assert [version.number for version in found.versions] == [1]
    (event,) = events(first_data, "brief_coach")
    assert event.sentence == "created template brief_coach for COACHING_RESPONSE, 2 lines"


@pytest.mark.parametrize(
    ("code", "interaction", "field", "words"),
    [
        (CODE, "COACHING_RESPONSE", "code", "There is a template coaching_response already."),
        ("Coaching", "COACHING_RESPONSE", "code", "Use small letters"),
        ("new", "COACHING_RESPONSE", "code", "the address of another page"),
        ("fine", "NO_SUCH", "interaction", "There is no interaction NO_SUCH."),
    ],
)
def test_a_place_that_is_taken_or_does_not_exist_is_refused(
    first_data: Session, editor: Actor, code: str, interaction: str, field: str, words: str
) -> None:
    with pytest.raises(Refused) as refusal:
        services.create_prompt(
            first_data, code=code, interaction=interaction, body=BODY, reason="Test", actor=editor
        )
    assert words in refusal.value.errors[field]


def test_a_draft_is_private_and_replaced_by_the_next(
    first_data: Session, prompt: Prompt, person: Person
) -> None:
    ada, ben = person("editor", name="Ada"), person("editor", name="Ben")
    before = len(events(first_data))
    for body in ("{% half", "{% half done"):
        drafts.save_draft(
            first_data, prompt, body=body, parameters={"value-topic": "x"}, base_version=1, actor=ada
        )
    draft = drafts.get_draft(first_data, CODE, actor=ada)
    assert draft is not None
    assert (draft.body, draft.parameters) == ("{% half done", {"value-topic": "x"})
    assert drafts.get_draft(first_data, CODE, actor=ben) is None
    assert drafts.draft_codes(first_data, actor=ada) == {CODE}
    assert drafts.draft_codes(first_data, actor=ben) == set()
    assert len(events(first_data)) == before


def test_saving_a_version_ends_the_savers_draft_alone(
    first_data: Session, prompt: Prompt, person: Person
) -> None:
    ada, ben = person("editor", name="Ada"), person("editor", name="Ben")
    for actor in (ada, ben):
        drafts.save_draft(first_data, prompt, body="x", parameters={}, base_version=1, actor=actor)
    services.save_version(first_data, prompt, body=BODY, base_version=1, reason="Test", actor=ada)
    assert [str(each.person_id) for each in first_data.scalars(select(PromptDraft))] == [ben.id]


def test_a_draft_can_be_discarded(first_data: Session, prompt: Prompt, editor: Actor) -> None:
    drafts.save_draft(first_data, prompt, body="x", parameters={}, base_version=1, actor=editor)
    drafts.discard_draft(first_data, prompt, actor=editor)
    first_data.expire_all()
    assert drafts.get_draft(first_data, CODE, actor=editor) is None


def test_archiving_a_prompt_in_use_is_refused_with_every_place(
    first_data: Session, prompt: Prompt, editor: Actor
) -> None:
    with pytest.raises(Refused) as refusal:
        services.archive_prompt(first_data, prompt, reason="Old", actor=editor)
    words = refusal.value.errors[""]
    assert "COACHING_RESPONSE · default, as saved" in words
    assert "COACHING_RESPONSE · premium, live in production" in words
    assert "COACHING_RESPONSE · premium, live in staging" in words
    assert prompt.archived_at is None


def test_an_unused_prompt_can_be_archived_and_restored(first_data: Session, editor: Actor) -> None:
    prompt = services.create_prompt(
        first_data, code="spare", interaction="COACHING_RESPONSE", body=BODY, reason="A try", actor=editor
    )
    services.archive_prompt(first_data, prompt, reason="Not needed", actor=editor)
    assert prompt not in services.list_prompts(first_data)
    assert prompt in services.list_prompts(first_data, archived=True)
    with pytest.raises(Refused, match="archived"):
        services.save_version(first_data, prompt, body="x", base_version=1, reason="Test", actor=editor)
    services.restore_prompt(first_data, prompt, reason="Needed after all", actor=editor)
    assert prompt in services.list_prompts(first_data)
    assert [event.action for event in events(first_data, "spare")] == [
        "prompt.created",
        "prompt.archived",
        "prompt.restored",
    ]


def test_a_template_does_not_come_back_before_its_interaction(
    first_data: Session, prompt: Prompt, editor: Actor
) -> None:
    interaction = first_data.get_one(Interaction, prompt.interaction)
    prompt.archived_at = interaction.archived_at = now()
    first_data.flush()
    with pytest.raises(Refused, match=r"interaction COACHING_RESPONSE is archived"):
        services.restore_prompt(first_data, prompt, reason="Needed", actor=editor)


def test_what_does_not_exist_is_not_found(first_data: Session) -> None:
    with pytest.raises(NotFound):
        services.get_prompt(first_data, "no_such")
    with pytest.raises(NotFound):
        services.get_version(first_data, CODE, 99)
    with pytest.raises(NotFound):
        services.declared_parameters(first_data, "NO_SUCH")


def test_declared_parameters_are_those_of_the_interaction(first_data: Session) -> None:
    declared = services.declared_parameters(first_data, "COACHING_RESPONSE")
    assert [parameter.name for parameter in declared] == [
        "conversation_context",
        "user_message",
        "topic",
        "phase",
    ]
    assert all(isinstance(parameter, Parameter) for parameter in declared)


def test_a_part_of_the_system_has_no_drafts(first_data: Session) -> None:
    nobody = Actor.system("worker", via="worker")
    assert drafts.get_draft(first_data, CODE, actor=nobody) is None
    assert drafts.draft_codes(first_data, actor=nobody) == set()
    assert Role.ADMIN is nobody.role
