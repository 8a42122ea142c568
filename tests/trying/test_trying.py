"""Trying a template out: what is sent, what comes back, who may how often, and what is kept of it."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.errors import Forbidden, NotFound
from controlplane.runtime.entries import Model
from controlplane.runtime.providers import (
    ContentFilteredError,
    ProviderError,
    ProviderManager,
    ProviderRateLimitedError,
    ProviderRequest,
    ProviderResponse,
    StreamPart,
)
from controlplane.snippets.services import create_snippet
from controlplane.trying import services
from controlplane.trying.calling import ANSWERED, Result, Settings, call, providers_of
from controlplane.trying.models import Try
from tests.page import PageClient
from tests.releases.changing import EDITOR

ClientAs = Callable[[Role | str], PageClient]
ActorAs = Callable[[Role | str], Actor]

PAGE = "/production/templates/coaching_response/try"
MODEL = Model(
    provider="house",
    provider_model_id="house-1",
    context_window=10_000,
    max_output_tokens=500,
    parameters=("top_p",),
)


TYPED = {
    "body": "Be brief: {{ topic }}",
    "value-topic": "growth",
    "value-user_message": "Hello",
    "value-conversation_context": "Coach: Hi",
}


class House:
    """A provider of somebody's own: it answers, or fails as it was told to."""

    name = "house"

    def __init__(self, problem: ProviderError | None = None) -> None:
        self.problem, self.asked = problem, list[ProviderRequest]()

    async def generate(self, request: ProviderRequest) -> ProviderResponse:
        self.asked.append(request)
        if self.problem:
            raise self.problem
        return ProviderResponse(
            text="Hello.",
            provider=self.name,
            model_id=request.model_id,
            input_tokens=12,
            output_tokens=3,
            finish_reason="stop",
        )

    async def stream(self, request: ProviderRequest) -> Any:
        yield StreamPart(response=await self.generate(request))


def tried(house: House, **settings: Any) -> Result:
    return call(ProviderManager({"house": house}), "HOUSE", MODEL, Settings(**settings), "Hi!", seconds=5)


def test_the_text_goes_as_production_would_send_it_and_what_the_model_does_not_take_is_left_out() -> None:
    house = House()
    found = tried(house, temperature=0.4, top_p=0.9, max_tokens=900)
    (request,) = house.asked
    assert [(each.role, each.content) for each in request.messages] == [("user", "Hi!")]
    assert (request.model_id, request.top_p, request.temperature, request.max_tokens) == (
        "house-1",
        0.9,
        None,
        500,
    )
    assert (found.outcome, found.answer, found.input_tokens, found.output_tokens) == (
        ANSWERED,
        "Hello.",
        12,
        3,
    )
    assert found.dropped == ("temperature",)
    assert not found.is_echo


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (ContentFilteredError("no", provider="house"), "on grounds of what the text is about"),
        (ProviderRateLimitedError("slow down", provider="house"), "too many calls come in just now"),
    ],
)
def test_what_a_provider_fails_with_is_told_in_words(problem: ProviderError, words: str) -> None:
    found = tried(House(problem))
    assert (found.outcome, found.answer) == (problem.kind, None)
    assert found.problem
    assert words in found.problem
    assert str(problem) in found.problem


def test_nobody_but_the_echo_is_called_unless_the_site_was_told_to() -> None:
    assert providers_of({}).mode == "echo"
    assert providers_of({"CONTROLPLANE_PROVIDERS": "live"}).mode == "live"
    found = call(providers_of({}), "HOUSE", MODEL, Settings(), "Hi!", seconds=5)
    assert (found.outcome, found.is_echo) == (ANSWERED, True)


def begin(session: Session, actor: Actor) -> Try:
    return services.begin(
        session,
        prompt_code="coaching_response",
        configuration="COACHING_RESPONSE · premium",
        model="GPT_5",
        provider="openai",
        sent={"body": "a\x00b"},
        text="Secret words\x00",
        estimated_tokens=3,
        actor=actor,
    )


def test_a_person_tries_only_so_often(session: Session, actor_as: ActorAs) -> None:
    editor = actor_as("editor")
    for _ in range(services.MOST_OF_A_PERSON):
        services.end(
            session,
            begin(session, editor).id,
            Result(ANSWERED),
            cost=None,
            environment="production",
            actor=editor,
        )
    with pytest.raises(services.TooManyTries) as refused:
        begin(session, editor)
    assert 0 < refused.value.retry_after <= services.WINDOW.total_seconds()
    begin(session, actor_as("publisher"))  # somebody else still may
    session.execute(update(Try).values(begun_at=Try.begun_at - services.WINDOW))
    begin(session, editor)


def test_all_together_try_only_so_often_and_only_so_many_at_once(session: Session, actor_as: ActorAs) -> None:
    for number in range(services.MOST_AT_ONCE):
        begin(session, Actor(kind="person", id=f"p-{number}", name="P", role=Role.EDITOR, via="browser"))
    with pytest.raises(services.TooManyTries, match="waiting for models"):
        begin(session, actor_as("editor"))


def test_a_day_later_nothing_is_left_of_it(session: Session, actor_as: ActorAs) -> None:
    editor = actor_as("editor")
    old = begin(session, editor).id
    session.execute(update(Try).values(begun_at=Try.begun_at - services.KEPT - dt.timedelta(minutes=1)))
    begin(session, editor)
    assert session.scalar(select(func.count()).select_from(Try)) == 1
    session.expire_all()
    with pytest.raises(NotFound):
        services.get_try(session, old, actor=editor)


def test_it_is_the_tryer_s_alone_and_an_editor_s_to_do(session: Session, actor_as: ActorAs) -> None:
    made = begin(session, actor_as("editor"))
    with pytest.raises(NotFound):
        services.get_try(session, made.id, actor=actor_as("admin"))
    with pytest.raises(Forbidden):
        begin(session, actor_as("viewer"))


def test_the_record_has_who_what_and_how_much_and_none_of_the_words(
    session: Session, actor_as: ActorAs
) -> None:
    editor = actor_as("editor")
    result = Result(ANSWERED, answer="An answer\x00", input_tokens=1_200, output_tokens=40)
    services.end(
        session,
        begin(session, editor).id,
        result,
        cost=Decimal("0.0042"),
        environment="production",
        actor=editor,
    )
    event = session.scalars(select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)).one()
    assert event.sentence == (
        "tried template coaching_response with GPT_5, as COACHING_RESPONSE · premium calls it: "
        "1,200 tokens in, 40 out, $0.0042"
    )
    told = str((event.sentence, event.reason, event.before, event.after))
    assert "Secret" not in told
    assert "An answer" not in told


def test_from_the_page_to_the_answer_and_back_to_it_without_paying_again(
    client_as: ClientAs, first_data: Session
) -> None:
    editor = client_as("editor")
    page = editor.get(f"{PAGE}?version=1")
    assert "Nobody is called" in page.body
    sent = editor.post(f"{PAGE}/send", page.form(f"{PAGE}/send"))
    assert sent.status == 303
    answer = editor.get(sent.location or "")
    assert "the echo answers with what bedrock would have been given" in answer.body
    assert "as one message of the user" in answer.body.lower()
    assert editor.get(sent.location or "").status == 200
    assert first_data.scalar(select(func.count()).select_from(Try)) == 1
    elsewhere = client_as("publisher").get(sent.location or "")
    assert (elsewhere.status, elsewhere.location) == (303, PAGE)


def test_what_is_being_typed_can_be_tried_and_what_does_not_render_is_not_sent(
    client_as: ClientAs, first_data: Session
) -> None:
    editor = client_as("editor")
    page = editor.post(PAGE, TYPED)
    assert "Be brief: growth" in page.body
    form = page.form(f"{PAGE}/send")
    refused = editor.post(f"{PAGE}/send", {**form, "body": "{{ nonsense }}"})
    assert refused.status == 422
    assert "Nothing was sent: the text does not render." in refused.body
    moved = editor.post(f"{PAGE}/send", {**form, "mode": "live"})
    assert moved.status == 422
    assert "whom this calls has changed" in moved.body
    assert first_data.scalar(select(func.count()).select_from(Try)) == 0


def test_a_snippet_is_put_into_what_is_typed(client_as: ClientAs, first_data: Session) -> None:
    editor = client_as("editor")
    create_snippet(first_data, code="tone", body="Be kind.", reason="A tone for all", actor=EDITOR)
    typed = {**TYPED, "body": '{% include "shared/tone" %} About {{ topic }}.'}
    page = editor.post(PAGE, typed)
    assert "Be kind. About growth." in page.body
    changed = editor.post("/production/templates/coaching_response/rendered", typed)
    assert "+ Be kind. About core_values." in " ".join(changed.texts("tr", class_="ins"))


def test_whoever_tried_too_often_is_told_when_to_go_on(
    client_as: ClientAs, first_data: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MOST_OF_A_PERSON", 1)
    editor = client_as("editor")
    form = editor.get(PAGE).form(f"{PAGE}/send")
    assert editor.post(f"{PAGE}/send", form).status == 303
    again = editor.post(f"{PAGE}/send", form)
    assert again.status == 429
    assert 0 < int(again.headers["Retry-After"]) <= 600
    assert "One person tries at most 1 times in 10 minutes." in again.body
