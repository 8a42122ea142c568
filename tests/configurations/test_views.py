from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.configurations import services
from controlplane.configurations.models import ConfigurationVersion
from controlplane.registry.models import Model
from controlplane.releases import services as releases
from controlplane.releases.saved import live_entries, saved_entries
from tests.configurations.values import premium, save, values
from tests.page import Page, PageClient

ActorAs = Callable[[Role | str], Actor]
ClientAs = Callable[[Role | str], PageClient]

LIST = "/production/configurations"
PREMIUM = f"{LIST}/COACHING_RESPONSE/premium"
EDIT = f"{PREMIUM}/edit"
EFFECT = f"/_{PREMIUM}/effect"
NEW = f"{LIST}/new"


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


def typed(client: PageClient, path: str = EDIT, action: str | None = None, **changes: Any) -> Page:
    return client.submit(client.get(path), action or path, {"reason": "a test", **changes})


def newest(session: Session) -> ConfigurationVersion:
    session.expire_all()
    return services.latest_version(session, premium(session))


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


def test_saving_leads_back_to_the_page_and_makes_a_version(first_data: Session, client_as: ClientAs) -> None:
    client = client_as("editor")
    answer = typed(
        client, model="CLAUDE_3_HAIKU", max_tokens="1000", temperature="0.25", fallbacks=["GPT_4O", "", ""]
    )
    page = client.follow(answer)
    assert answer.location == PREMIUM
    assert "Saved version 2 of COACHING_RESPONSE · premium. Not live until published." in page.text
    version = newest(first_data)
    assert (version.number, version.model, version.max_tokens, version.fallbacks) == (
        2,
        "CLAUDE_3_HAIKU",
        1000,
        ["GPT_4O"],
    )
    assert (version.reason, version.author_name) == ("a test", "Editor One")


BAD = [
    ({"model": "GPT_99"}, "model", "There is no model"),
    ({"model": "GPT_5"}, "temperature", "does not take"),
    ({"max_tokens": "8193"}, "max_tokens", "at most 8,192"),
    ({"top_p": "2"}, "top_p", "from 0 to 1"),
    ({"frequency_penalty": "0.5"}, "frequency_penalty", "does not take"),
    (
        {"effective_from": "2026-12-02T00:00", "effective_until": "2026-12-01T00:00"},
        "effective_until",
        "later",
    ),
    ({"effective_from": "2026-12-02T00:00", "zone": ""}, "effective_from", "time zone"),
    ({"template": "website_scan"}, "template", "belongs to WEBSITE_SCAN"),
    ({"template": "coaching_response@7"}, "template", "has no version 7"),
    ({"fallbacks": ["NOPE", "", ""]}, "fallbacks", "There is no model"),
    ({"fallbacks": ["CLAUDE_3_5_SONNET", "", ""]}, "fallbacks", "itself"),
    ({"reason": ""}, "reason", "Say why"),
]


@pytest.mark.parametrize(
    ("changes", "field", "words"), BAD, ids=[f"{field}-{index}" for index, (_, field, _) in enumerate(BAD)]
)
def test_a_bad_value_is_told_beside_its_field_and_the_form_stays_as_typed(
    first_data: Session, client_as: ClientAs, changes: dict[str, Any], field: str, words: str
) -> None:
    page = typed(client_as("editor"), **{"presence_penalty": "", "reason": "my words", **changes})
    assert page.status == 422
    assert words in (page.error_of(field) or "")
    assert page.one("title").text is not None
    assert "".join(page.one("title").itertext()).startswith("Error: ")
    sent = page.form(EDIT)
    for name, value in changes.items():
        if name != "zone":
            assert sent[name] == value
    assert sent["reason"] == changes.get("reason", "my words")
    assert newest(first_data).number == 1


def test_an_inactive_model_is_refused_beside_the_field(first_data: Session, client_as: ClientAs) -> None:
    first_data.get_one(Model, "GPT_4O").active = False
    first_data.commit()
    page = typed(client_as("editor"), model="GPT_4O", fallbacks=["", "", ""])
    assert "not active" in (page.error_of("model") or "")


def test_everything_wrong_is_told_at_once(client_as: ClientAs) -> None:
    page = typed(client_as("editor"), temperature="hot", model="GPT_99", template="website_scan", reason="")
    assert all(page.error_of(name) for name in ("temperature", "model", "template", "reason"))


def test_the_same_values_again_are_refused_above_the_form(client_as: ClientAs) -> None:
    page = typed(client_as("editor"))
    assert page.status == 422
    assert "Nothing changed: version 1 has exactly these values." in page.body


def test_the_effect_is_shown_without_saving_and_without_script(
    first_data: Session, client_as: ClientAs
) -> None:
    page = typed(client_as("editor"), model="CLAUDE_3_HAIKU", max_tokens="9999", step="check", reason="")
    assert page.status == 200
    assert "Model: CLAUDE_3_5_SONNET → CLAUDE_3_HAIKU" in page.body
    assert "gives at most 4,096 tokens" in page.body
    assert "−92 %" in page.body
    assert page.form(EDIT)["max_tokens"] == "9999"
    assert page.error_of("reason") is None
    assert newest(first_data).number == 1


def test_the_effect_fragment_is_the_panel_of_the_page(client_as: ClientAs) -> None:
    client = client_as("editor")
    form = client.get(EDIT).form(EDIT)
    fragment = client.post(EFFECT, {**form, "temperature": "0.1"}, htmx=True)
    assert fragment.status == 200
    assert fragment.by_id("effect") is not None
    assert "Temperature: 0.7 → 0.1" in fragment.text.replace('<span class="muted">', "").replace(
        "</span>", ""
    ).replace("<strong>", "").replace("</strong>", "")
    assert (
        client.post(
            EFFECT, {"temperature": "\x00", "model": "\x00", "template": "\x00@\x00"}, htmx=True
        ).status
        == 200
    )


def test_a_viewer_sees_values_and_no_form(client_as: ClientAs) -> None:
    client = client_as("viewer")
    assert client.get(EDIT).status == 403
    assert client.post(EDIT, {"model": "GPT_4O"}).status == 403
    assert client.post(EFFECT, {}).status == 403
    assert client.get(NEW).status == 403
    assert client.get(f"{PREMIUM}/versions/1").status == 200


def test_a_conflict_shows_all_sides_and_saves_what_was_chosen(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    client = client_as("editor")
    mine = client.get(EDIT).form(EDIT)
    theirs = services.save_version(
        first_data,
        premium(first_data),
        values(
            model="CLAUDE_3_5_SONNET",
            temperature="0.2",
            max_tokens="2000",
            fallbacks=["CLAUDE_3_SONNET", "GPT_4O"],
        ),
        base_version=1,
        actor=actor_as("admin"),
    )
    first_data.commit()
    page = client.post(EDIT, {**mine, "temperature": "0.9", "top_p": "0.5", "reason": "my words"})
    assert page.status == 409
    assert page.heading == "Somebody saved COACHING_RESPONSE · premium meanwhile"
    assert [text for text in page.texts("tr") if text.startswith("Temperature")] == [
        "Temperature 0.7 Temperature, theirs: 0.2 Temperature, yours: 0.9"
    ]
    assert newest(first_data).id == theirs.id

    answer = client.post(EDIT, {**page.form(EDIT), "choose.temperature": "theirs"})
    assert answer.status == 303
    saved = newest(first_data)
    assert (saved.number, str(saved.temperature), saved.max_tokens, str(saved.top_p)) == (
        3,
        "0.200",
        2000,
        "0.500",
    )
    assert saved.reason == "my words"


def test_from_a_conflict_one_may_go_on_editing_with_nothing_lost(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    client = client_as("editor")
    mine = client.get(EDIT).form(EDIT)
    save(first_data, actor_as("admin"), temperature="0.2")
    first_data.commit()
    page = client.post(EDIT, {**mine, "temperature": "0.9", "reason": "my words"})
    form = client.post(EDIT, {**page.form(EDIT), "step": "edit"}).form(EDIT)
    assert (form["temperature"], form["reason"], form["base_version"], form["model"]) == (
        "0.9",
        "my words",
        "2",
        "CLAUDE_3_HAIKU",
    )


def test_an_older_version_is_restored_as_a_new_one(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    save(first_data, actor_as("editor"))
    first_data.commit()
    client = client_as("editor")
    restore = client.get(f"{PREMIUM}/versions/1").link("Restore as a new version")
    page = client.get(restore)
    assert client.submit(page, EDIT).status == 303
    version = newest(first_data)
    assert (version.number, version.model, version.reason) == (3, "CLAUDE_3_5_SONNET", "Back to version 1:")


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


def test_a_new_configuration_begins_with_what_its_calls_get_now(
    first_data: Session, client_as: ClientAs
) -> None:
    client = client_as("editor")
    where = client.get(NEW)
    assert "enterprise" in where.text
    page = client.get(f"{NEW}?interaction=COACHING_RESPONSE&tier=enterprise&tenant=acme")
    assert page.form(NEW)["model"] == "CLAUDE_3_SONNET"
    answer = client.submit(page, NEW, {"reason": "a large customer"})
    assert answer.location == f"{LIST}/COACHING_RESPONSE/enterprise/acme"
    shown = client.follow(answer)
    assert "Calls get COACHING_RESPONSE · default meanwhile" not in shown.body
    assert "Nothing of this is live here." in shown.body
    assert client.get(f"{answer.location}/edit").status == 200
    event = first_data.scalars(select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)).one()
    assert event.sentence.startswith("created COACHING_RESPONSE · enterprise · tenant acme with version 1")


def test_a_copy_begins_with_the_values_it_is_copied_from(client_as: ClientAs) -> None:
    client = client_as("editor")
    page = client.get(f"{NEW}?interaction=COACHING_RESPONSE&tier=free&from=COACHING_RESPONSE/premium")
    assert page.form(NEW)["model"] == "CLAUDE_3_5_SONNET"
    assert client.get(f"{NEW}?interaction=COACHING_RESPONSE&tier=free&from=../../x").status == 200


@pytest.mark.parametrize(
    "query",
    [
        "interaction=NOWHERE",
        "interaction=COACHING_RESPONSE&tier=gold",
        "interaction=COACHING_RESPONSE&tenant=a%20b",
        "interaction=COACHING_RESPONSE&tenant=edit",
    ],
)
def test_a_place_that_cannot_be_is_told_before_the_form(client_as: ClientAs, query: str) -> None:
    page = client_as("editor").get(f"{NEW}?{query}")
    assert page.status == 200
    assert "There is a problem" in page.body


def test_asking_for_a_new_one_where_one_stands_leads_to_it(client_as: ClientAs) -> None:
    assert client_as("editor").get(f"{NEW}?interaction=COACHING_RESPONSE&tier=premium").location == PREMIUM


def test_a_new_one_with_bad_values_comes_back_as_typed(client_as: ClientAs) -> None:
    client = client_as("editor")
    page = client.get(f"{NEW}?interaction=COACHING_RESPONSE&tier=free")
    answer = client.submit(page, NEW, {"temperature": "hot", "reason": ""})
    assert answer.status == 422
    assert answer.form(NEW)["temperature"] == "hot"
    assert answer.form(NEW)["tier"] == "free"
    assert client.post(NEW, {}).status == 422


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
