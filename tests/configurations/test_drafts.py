"""The private draft of a configuration's form: kept, found again, compared, brought to a version, thrown away."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.configurations import drafts, services
from controlplane.configurations.models import ConfigurationDraft
from controlplane.configurations.places import Place
from controlplane.db import transaction
from controlplane.errors import Forbidden, NotFound
from tests.configurations.pages import EDIT, LIST, NEW, PREMIUM, newest, typed
from tests.configurations.values import GOOD, premium, save, values
from tests.page import Page, PageClient
from tests.site import add_person

ActorAs = Callable[[Role | str], Actor]
ClientAs = Callable[[Role | str], PageClient]

DRAFT = f"{PREMIUM}/draft"
FREE = "interaction=COACHING_RESPONSE&tier=free&tenant=acme"
FREE_DRAFT = f"{LIST}/COACHING_RESPONSE/free/acme/draft"
PLACE = Place("COACHING_RESPONSE", "premium")


@pytest.fixture
def editor(client_as: ClientAs) -> PageClient:
    return client_as("editor")


def keep(client: PageClient, **changes: Any) -> Page:
    """What the script does some seconds after a change."""
    answer = client.post(f"/_{DRAFT}", {**client.get(EDIT).form(EDIT), **changes}, htmx=True)
    assert (answer.status, answer.headers["HX-Trigger"]) == (200, "saved")
    return answer


def kept(session: Session) -> list[ConfigurationDraft]:
    session.expire_all()
    return list(session.scalars(select(ConfigurationDraft)))


def test_the_button_keeps_what_is_typed_right_or_wrong(first_data: Session, editor: PageClient) -> None:
    wrong = {
        "temperature": "hot",
        "model": "NO_SUCH",
        "fallbacks": ["", "GPT_4O", ""],
        "effective_from": "2026-12-02T00:00",
        "reason": "x",
    }
    page = editor.follow(editor.post(DRAFT, {**editor.get(EDIT).form(EDIT), **wrong}))
    assert "Saved your draft. Only you see it." in page.body
    assert "This is your draft" in page.body
    found = page.form(EDIT)
    assert {name: found[name] for name in wrong} == wrong
    assert "Go on with your draft" in editor.get(PREMIUM).body
    assert "your draft" in next(text for text in editor.get(LIST).texts("tr") if "premium" in text)
    assert newest(first_data).number == 1


def test_an_unticked_box_stays_unticked(editor: PageClient) -> None:
    form = editor.get(EDIT).form(EDIT)
    del form["active"]
    editor.post(DRAFT, form)
    assert "active" not in editor.get(EDIT).form(EDIT)


def test_what_is_kept_while_one_types_says_since_when(editor: PageClient) -> None:
    assert "Draft saved just now; only you see it" in keep(editor, temperature="0.1").body
    assert editor.get(EDIT).form(EDIT)["temperature"] == "0.1"


def test_nobody_else_sees_it(editor: PageClient, client_as: ClientAs) -> None:
    keep(editor, reason="my secret plan")
    for role in ("viewer", "admin"):
        other = client_as(role)
        pages = [other.get(PREMIUM), other.get(LIST)]
        pages += [other.get(EDIT), other.follow(other.get(DRAFT))] if role == "admin" else []
        for page in pages:
            assert "my secret plan" not in page.text
            assert "your draft" not in page.body.replace("You have no draft", "")


def test_saving_a_version_ends_the_draft_of_who_saved_it_alone(
    first_data: Session, editor: PageClient, client_as: ClientAs
) -> None:
    other = client_as("admin")
    keep(other, temperature="0.2")
    keep(editor, temperature="0.1")
    assert typed(editor).status == 303
    assert [str(draft.person_id) for draft in kept(first_data)] == [other.actor_id]


def test_what_was_being_kept_while_it_became_a_version_is_no_draft(
    first_data: Session, editor: PageClient
) -> None:
    sent = {**editor.get(EDIT).form(EDIT), "temperature": "0.10", "reason": "Calmer"}
    assert editor.post(EDIT, sent).status == 303
    assert "No draft" in editor.post(f"/_{DRAFT}", sent, htmx=True).body
    assert kept(first_data) == []
    keep_older = {**sent, "temperature": "0.9"}
    assert "Draft saved" in editor.post(f"/_{DRAFT}", keep_older, htmx=True).body


def test_a_draft_on_an_older_version_says_so_compares_and_leads_to_the_three_sides(
    first_data: Session, editor: PageClient, actor_as: ActorAs
) -> None:
    keep(editor, temperature="0.9", max_tokens="many", top_p="0.50", reason="my words")
    save(first_data, actor_as("admin"), temperature="0.2")
    first_data.commit()
    page = editor.get(EDIT)
    assert "begun from version 1. Version 2 was saved since by Admin One" in page.body
    compared = editor.get(page.link("Compare"))
    rows = compared.texts("tr")
    assert rows[0] == "Setting Version 1, where it began Version 2, the newest Your draft"
    assert "Temperature 0.7 0.2 0.9" in rows
    assert "Max tokens 4096 1024 many" in rows
    assert "Top p not set not set 0.5" in rows
    assert "my words" in compared.body
    page = editor.get(compared.link("Continue"))
    conflict = editor.submit(page, EDIT, {"max_tokens": "1000"})
    assert conflict.status == 409
    assert editor.post(EDIT, {**conflict.form(EDIT), "choose.temperature": "theirs"}).status == 303
    saved = newest(first_data)
    assert (saved.number, str(saved.temperature), saved.max_tokens, str(saved.top_p)) == (
        3,
        "0.200",
        1000,
        "0.500",
    )
    assert kept(first_data) == []


def test_whoever_came_second_has_what_they_wrote_as_a_draft_and_may_discard_it(
    first_data: Session, editor: PageClient, actor_as: ActorAs
) -> None:
    mine = editor.get(EDIT).form(EDIT)
    save(first_data, actor_as("admin"), temperature="0.2")
    first_data.commit()
    page = editor.post(EDIT, {**mine, "temperature": "0.9", "reason": "my words"})
    assert page.status == 409
    (draft,) = kept(first_data)
    assert (draft.base_version, draft.fields["temperature"], draft.fields["reason"]) == (
        1,
        ["0.9"],
        ["my words"],
    )
    shown = editor.follow(editor.post(f"{DRAFT}/discard", page.form(EDIT)))
    assert "Go on with your draft" not in shown.body


def test_a_discarded_draft_can_be_had_back(editor: PageClient) -> None:
    keep(editor, temperature="0.1")
    shown = editor.follow(editor.post(f"{DRAFT}/discard", {}))
    assert editor.get(EDIT).form(EDIT)["temperature"] == "0.7"
    back = editor.follow(editor.submit(shown, f"{DRAFT}/restore"))
    assert back.form(EDIT)["temperature"] == "0.1"
    assert "You have no draft" in editor.follow(editor.post(f"{DRAFT}/restore", {})).body


def test_an_older_version_is_offered_beside_the_draft_and_does_not_replace_it_unasked(
    first_data: Session, editor: PageClient, actor_as: ActorAs
) -> None:
    save(first_data, actor_as("admin"))
    first_data.commit()
    keep(editor, temperature="0.1")
    page = editor.get(f"{EDIT}?from=1")
    assert page.form(EDIT)["model"] == "CLAUDE_3_5_SONNET"
    assert "You have a draft" in page.body
    assert editor.get(page.link("Continue")).form(EDIT)["temperature"] == "0.1"


# Where there is no configuration yet


def begin(client: PageClient, **changes: Any) -> Page:
    form = client.get(f"{NEW}?{FREE}").form(NEW)
    return client.follow(client.post(FREE_DRAFT, {**form, "reason": "for acme", **changes}))


def test_a_draft_of_a_new_configuration_is_found_again_and_made(
    first_data: Session, editor: PageClient
) -> None:
    page = begin(editor, temperature="0.1")
    assert page.heading.startswith("New configuration")
    assert page.form(NEW)["temperature"] == "0.1"
    listed = editor.get(LIST)
    page = editor.get(listed.link("COACHING_RESPONSE · free · tenant acme"))
    compared = editor.get(page.link("Compare"))
    assert "Temperature 0.1" in compared.texts("tr")
    assert editor.submit(editor.get(compared.link("Continue")), NEW).status == 303
    assert kept(first_data) == []
    assert "that you have not saved yet" not in editor.get(LIST).body


def test_a_draft_of_a_new_configuration_can_be_thrown_away(first_data: Session, editor: PageClient) -> None:
    begin(editor)
    shown = editor.follow(editor.post(f"{FREE_DRAFT}/discard", {}))
    assert shown.heading == "Configurations"
    assert "that you have not saved yet" not in shown.body
    assert editor.follow(editor.submit(shown, f"{FREE_DRAFT}/restore")).form(NEW)["reason"] == "for acme"


@pytest.mark.parametrize("by", ["its form", "its draft"])
def test_of_two_who_make_the_same_one_the_second_sees_both(
    first_data: Session, editor: PageClient, actor_as: ActorAs, by: str
) -> None:
    form = editor.get(f"{NEW}?{FREE}").form(NEW) | {"temperature": "0.9", "reason": "for acme"}
    if by == "its draft":
        editor.post(FREE_DRAFT, form)
    services.create_configuration(
        first_data,
        interaction="COACHING_RESPONSE",
        tier="free",
        tenant="acme",
        values=values(temperature="0.2"),
        actor=actor_as("admin"),
    )
    first_data.commit()
    there = f"{LIST}/COACHING_RESPONSE/free/acme"
    if by == "its draft":
        page = editor.get(f"{there}/edit")
        assert "Version 1 was saved since by Admin One" in page.body
        page = editor.submit(page, f"{there}/edit")
    else:
        page = editor.post(NEW, form)
    assert page.status == 409
    assert "Temperature not set Temperature, theirs: 0.2 Temperature, yours: 0.9" in page.texts("tr")
    assert len(kept(first_data)) == 1
    assert editor.post(f"{there}/edit", page.form(f"{there}/edit")).status == 303
    standing = services.get_configuration(first_data, "COACHING_RESPONSE", tier="free", tenant="acme")
    assert [(each.number, str(each.temperature)) for each in standing.versions] == [
        (2, "0.900"),
        (1, "0.200"),
    ]


# The services


def test_a_viewer_keeps_nothing_and_no_place_is_made_up(first_data: Session, actor_as: ActorAs) -> None:
    with pytest.raises(Forbidden):
        drafts.save_draft(first_data, PLACE, fields={}, base_version=1, actor=actor_as("viewer"))
    for place in (Place("NOWHERE"), Place("COACHING_RESPONSE", "gold"), Place("COACHING_RESPONSE", "a\x00b")):
        with pytest.raises(NotFound):
            drafts.save_draft(first_data, place, fields={}, base_version=0, actor=actor_as("editor"))


def test_only_the_fields_of_the_form_are_kept(first_data: Session, editor: PageClient) -> None:
    keep(editor, temperature="a\x00b", base_version="999999999999", other="x" * 100)
    (draft,) = kept(first_data)
    assert draft.fields["temperature"] == ["a\N{REPLACEMENT CHARACTER}b"]
    assert "other" not in draft.fields
    assert draft.base_version == 1


def test_a_draft_waits_for_the_version_that_may_end_it(engine: Engine, cheap_passwords: None) -> None:
    """What the browser does when somebody leaves a field for the button: it keeps the draft and saves the version at once."""
    with transaction(engine) as session:
        person = add_person(session, "editor")
        actor = Actor(kind="person", id=str(person.id), name="Ada", role=Role.EDITOR, via="browser")
    form = {name: [str(value)] for name, value in GOOD.items() if name != "prompt"}
    form |= {"template": [GOOD["prompt"]], "active": ["true"]}
    with Session(engine) as saving:
        services.save_version(saving, premium(saving), values(), base_version=1, actor=actor)
        with transaction(engine) as session:
            session.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                drafts.save_draft(session, PLACE, fields=form, base_version=1, actor=actor)
            session.rollback()
        saving.commit()
    with transaction(engine) as session:
        assert drafts.save_draft(session, PLACE, fields=form, base_version=1, actor=actor) is None
        assert drafts.get_draft(session, PLACE, actor=actor) is None
