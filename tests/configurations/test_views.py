from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.configurations import services
from controlplane.releases import services as releases
from controlplane.releases.saved import live_entries, saved_entries
from tests.configurations.pages import EDIT, EFFECT, LIST, NEW, PREMIUM, typed
from tests.configurations.values import premium, save, values
from tests.page import Page, PageClient

ActorAs = Callable[[Role | str], Actor]
ClientAs = Callable[[Role | str], PageClient]


def publish(session: Session, actor: Actor) -> None:
    saved, _ = saved_entries(session, "production")
    releases.publish(
        session,
        "production",
        source=saved,
        keys=set(saved),
        reason="as planned",
        actor=actor,
        source_name="saved",
    )
    session.commit()


def test_the_list_shows_saved_live_and_state(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    save(first_data, actor_as("editor"))
    first_data.commit()
    page = client_as("viewer").get(LIST)
    row = next(text for text in page.texts("tr") if "premium" in text)
    assert row.startswith("COACHING_RESPONSE premium CLAUDE_3_HAIKU coaching_response 2 1 Version 2 not live")
    assert len(page.all("tr")) == 17


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("q=coaching", 3),
        ("tier=premium", 1),
        ("model=CLAUDE_3_HAIKU", 3),
        ("status=live", 16),
        ("interaction=KPI_ANALYSIS", 1),
        ("unknown=1&sort=changed", 16),
    ],
)
def test_filters_stand_in_the_address(client_as: ClientAs, query: str, count: int) -> None:
    assert len(client_as("viewer").get(f"{LIST}?{query}").all("tr")) == count + 1


def test_a_filter_that_finds_nothing_says_so_and_offers_to_clear(client_as: ClientAs) -> None:
    page = client_as("viewer").get(f"{LIST}?q=nothing<b>&tier=gold")
    assert "No configuration matches “nothing<b>”, tier gold" in page.body
    assert page.link("Clear filters") == LIST


def test_one_page_shows_what_people_get_and_what_waits(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    save(first_data, actor_as("editor"))
    first_data.commit()
    page = client_as("viewer").get(PREMIUM)
    assert page.heading == "COACHING_RESPONSE · premium"
    assert "Version 1 for everyone." in page.body
    assert "Saved, not live here" in page.body
    assert "Edit" not in list(page.texts("a"))
    assert "Needs Editor" in page.body
    assert not page.all("form", method="post") or PREMIUM not in [
        each.get("action") for each in page.all("form")
    ]


def test_after_publishing_nothing_waits_and_the_release_is_named(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    save(first_data, actor_as("editor"))
    publish(first_data, actor_as("publisher"))
    page = client_as("viewer").get(PREMIUM)
    assert "Version 2 for everyone." in page.body
    assert "Saved, not live" not in page.body
    assert page.link("release 2") == "/production/releases/2"
    assert "published release 2 of production" in page.body


@pytest.mark.parametrize(
    ("changes", "words", "why"),
    [
        ({"active": False}, "Live, switched off", "version 2 is switched off."),
        (
            {"effective_from": "2999-06-01T00:00:00Z"},
            "Live, counts from 1 Jun 2999, 00:00 UTC",
            "version 2 counts from 1 Jun 2999, 00:00 UTC.",
        ),
    ],
)
def test_what_is_live_and_nobody_gets_says_why_and_who_answers(
    first_data: Session,
    client_as: ClientAs,
    actor_as: ActorAs,
    changes: dict[str, Any],
    words: str,
    why: str,
) -> None:
    save(first_data, actor_as("editor"), **changes)
    publish(first_data, actor_as("publisher"))
    client = client_as("viewer")
    page = client.get(PREMIUM)
    assert f"{words} Nobody gets it: {why}" in page.body
    assert "Calls get COACHING_RESPONSE · default meanwhile." in page.body
    assert "What is live, for nobody now" in page.body
    assert "What people get" not in page.body
    (row,) = [text for text in client.get(f"{LIST}?status=idle").texts("tr") if "COACHING" in text]
    assert words in row
    assert "COACHING_RESPONSE premium" not in client.get(f"{LIST}?status=live").body
    assert f"{words.replace('Live', 'Live in production')}" in client.get(f"{PREMIUM}/versions/2").body


def test_codes_in_other_case_lead_to_the_right_address(client_as: ClientAs) -> None:
    answer = client_as("viewer").get(f"{LIST}/coaching_response/Premium/compare?from=1&_scheme=ftp")
    assert (answer.status, answer.location) == (302, f"{PREMIUM}/compare?from=1&_scheme=ftp")


@pytest.mark.parametrize(
    "path",
    [
        "NOWHERE/premium",
        "COACHING_RESPONSE/gold",
        "COACHING_RESPONSE/premium/acme",
        "COACHING_RESPONSE/pre%00mium",
        "COACHING_RESPONSE/premium/versions/9",
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(client_as: ClientAs, path: str) -> None:
    # The frame repeats the address as it was typed; a zero byte in it is no valid HTML anywhere.
    unchecked = {"html"} if "%00" in path else set()
    assert client_as("editor").get(f"{LIST}/{path}", unchecked=unchecked).status == 404


def test_a_viewer_sees_values_and_no_form(client_as: ClientAs) -> None:
    client = client_as("viewer")
    assert client.get(EDIT).status == 403
    assert client.post(EDIT, {"model": "GPT_4O"}).status == 403
    assert client.post(EFFECT, {}).status == 403
    assert client.get(NEW).status == 403
    assert client.get(f"{PREMIUM}/versions/1").status == 200


def test_versions_are_compared_by_address(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    save(first_data, actor_as("editor"))
    first_data.commit()
    client = client_as("viewer")
    page = client.get(f"{PREMIUM}/compare?from=1&to=2")
    assert "Model −removed: CLAUDE_3_5_SONNET +added: CLAUDE_3_HAIKU" in page.body
    assert client.get(f"{PREMIUM}/compare?from=2&to=2").body.endswith("say the same.")
    assert client.get(f"{PREMIUM}/compare?from=1&to=9").status == 404
    assert client.get(f"{PREMIUM}/compare?from=x").status == 200


def test_archiving_asks_why_and_says_what_stays_live(first_data: Session, client_as: ClientAs) -> None:
    client = client_as("editor")
    path = f"{PREMIUM}/archive"
    assert "stays so until its removal is published" in client.get(path).body
    assert typed(client, path, reason="").error_of("reason")
    page = client.follow(typed(client, path, reason="no longer sold"))
    assert "Archived, still live" in page.body
    assert client.get(f"{LIST}?status=differs").body.count("Archived, still live") == 1
    assert client.follow(typed(client, path, reason="sold again")).status == 200
    assert premium(first_data).archived_at is None


def test_hostile_words_are_only_words(first_data: Session, client_as: ClientAs) -> None:
    client = client_as("editor")
    hostile = "<script>alert(1)</script>\"'{{ 7*7 }}"
    page = client.follow(typed(client, temperature="0.1", reason=hostile))
    for path in (PREMIUM, LIST, f"{PREMIUM}/versions/2", f"{PREMIUM}/compare"):
        page = client.get(path)
        assert "<script>alert" not in page.text
        assert "{{ 7*7 }}" in page.text or path == LIST
    refused = typed(client, model=hostile, template=hostile, max_tokens=hostile, reason=hostile)
    assert refused.status == 422
    assert "<script>alert" not in refused.text


def test_the_page_of_a_configuration_asks_the_database_a_fixed_number_of_times(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    client = client_as("viewer")
    before = queries_of(first_data, lambda: client.get(LIST))
    for tier in ("free", "enterprise"):
        services.create_configuration(
            first_data,
            interaction="COACHING_RESPONSE",
            tier=tier,
            tenant=None,
            values=values(),
            actor=actor_as("editor"),
        )
    first_data.commit()
    assert queries_of(first_data, lambda: client.get(LIST)) == before
    assert set(live_entries(first_data, "production"))


def queries_of(session: Session, act: Callable[[], Page]) -> int:
    from sqlalchemy import event

    seen: list[str] = []
    connection = session.connection()

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            seen.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    assert act().status == 200
    event.remove(connection, "before_cursor_execute", note)
    return len(seen)
