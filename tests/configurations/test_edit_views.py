"""The form of a configuration in the browser: saved, refused, merged after a conflict, begun anew."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.configurations import services
from controlplane.registry.models import Model
from tests.configurations.pages import EDIT, EFFECT, LIST, NEW, PREMIUM, newest, typed
from tests.configurations.values import premium, save, values
from tests.page import PageClient

ActorAs = Callable[[Role | str], Actor]
ClientAs = Callable[[Role | str], PageClient]


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
