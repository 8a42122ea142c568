"""What becomes of snippets once they are published: the runtime gets one text, and every way forward and back keeps its bytes."""

import asyncio

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.prompts import services as prompts
from controlplane.prompts.documents import digest
from controlplane.proposals import services as proposals
from controlplane.proposals import sources
from controlplane.proposals.participants import participants_of
from controlplane.releases import history
from controlplane.releases import services as releases
from controlplane.releases.export import Outcome, reconcile
from controlplane.releases.saved import bodies_of, live_entries
from controlplane.releases.words import sentence
from controlplane.runtime.client import Client
from controlplane.runtime.resolver import ResolvedPrompt
from controlplane.runtime.services import LLMConfigurationService, LLMTemplateService
from controlplane.runtime.stores.memory import MemoryStore
from controlplane.snippets import services
from tests.releases.changing import (
    EDITOR,
    PREMIUM,
    PROMPT,
    PUBLISHER,
    REASON,
    publish_saved,
    save_configuration,
)

COACHING = "coaching_response"
FOLLOWING = 'You coach.\n{% include "shared/tone" %}\nAnswer {{ user_message }}\n'
KIND = "You coach.\nBe kind.\nAnswer {{ user_message }}\n"
WARM = "You coach.\nBe warm.\nAnswer {{ user_message }}\n"


def make(session: Session) -> None:
    """A snippet, and a template that follows it."""
    services.create_snippet(session, code="tone", body="Be kind.\n", reason=REASON, actor=EDITOR)
    prompts.save_version(
        session,
        prompts.get_prompt(session, COACHING),
        body=FOLLOWING,
        base_version=1,
        reason=REASON,
        actor=EDITOR,
    )
    session.commit()


def save_snippet(session: Session, body: str = "Be warm.\n", actor: Actor = EDITOR) -> None:
    snippet = services.get_snippet(session, "tone")
    newest = snippet.versions[0].number
    services.save_version(session, snippet, body=body, base_version=newest, reason=REASON, actor=actor)
    session.commit()


def live_text(session: Session, environment: str = "production") -> str:
    live = live_entries(session, environment)
    return bodies_of(session, live)[live[PROMPT]["sha256"]]


def test_the_runtime_serves_the_text_that_a_snippet_makes_and_what_is_pinned_stays(engine: Engine) -> None:
    store = MemoryStore()
    with Session(engine) as session:
        make(session)
        save_configuration(session, tier="premium", prompt_version=2)
        publish_saved(session, "production")
        save_snippet(session)
        publish_saved(session, "production")
    assert reconcile(engine, store, "production") is Outcome.MOVED

    client = Client(store, "production")
    assert client.refresh()
    templates = LLMTemplateService(LLMConfigurationService(client))
    assert client.snapshot is not None
    premium = client.snapshot.configuration(PREMIUM)
    assert premium is not None
    pin = premium.baseline.prompt

    async def rendered(version: ResolvedPrompt | None) -> str:
        values = {"user_message": "Hello", "conversation_context": "None"}
        return (await templates.render_template(COACHING, values, version=version)).text

    assert asyncio.run(rendered(None)) == "You coach.\nBe warm.\nAnswer Hello\n"
    assert (pin.version, pin.sha256) == (2, digest(KIND))
    pinned = ResolvedPrompt(COACHING, 2, digest(KIND))
    assert asyncio.run(rendered(pinned)) == "You coach.\nBe kind.\nAnswer Hello\n"


def test_a_promotion_brings_the_text_along_and_going_back_restores_its_bytes(first_data: Session) -> None:
    make(first_data)
    publish_saved(first_data, "staging")
    first = history.snapshot_of(first_data, "staging", 2)
    save_snippet(first_data)
    publish_saved(first_data, "staging")
    assert live_text(first_data, "staging") == WARM

    offer = sources.from_environment(first_data, "production", "staging")
    brought = {each.key: each.after for each in offer.entries if each.ticked}
    releases.publish(
        first_data,
        "production",
        source={key: document for key, document in brought.items() if document is not None},
        keys=brought,
        reason=REASON,
        actor=PUBLISHER,
        source_name=offer.source,
    )
    assert live_text(first_data, "production") == WARM

    releases.roll_back(first_data, "staging", to=2, reason=REASON, actor=PUBLISHER)
    assert live_text(first_data, "staging") == KIND
    assert history.snapshot_of(first_data, "staging", 4) == first


def test_a_snippets_change_is_told_as_such_and_its_author_agrees_to_nothing(
    first_data: Session, editor: Actor
) -> None:
    make(first_data)
    publish_saved(first_data, "production")
    save_snippet(first_data, actor=editor)

    (change,) = releases.unpublished(first_data, "production")
    assert sentence(change) == f"Template {COACHING}: snippet shared/tone version 1 → version 2"
    proposer = Actor(kind="person", id=EDITOR.id, name="Ada", role=Role.EDITOR, via="browser")
    proposal = proposals.create(
        first_data,
        "production",
        entries={change.key: change.after},
        base=2,
        reason=REASON,
        source="saved",
        actor=proposer,
    )
    wrote = {each.name for each in participants_of(first_data, proposal) if each.contributed}
    assert wrote == {"Ada", "Ed"}
