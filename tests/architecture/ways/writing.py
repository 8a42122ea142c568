"""Configurations, templates and snippets, with their drafts."""

from typing import Any

from tests.architecture.ways.admin import (
    BASIC,
    NEW_PROMPT,
    PROMPT,
    REASON,
    SNIPPETS,
    TENANT,
    Admin,
    Case,
    Sent,
)


def make_configuration(admin: Admin) -> Sent:
    page = "/production/configurations/new"
    asked = "?interaction=COACHING_RESPONSE&tier=basic&tenant=acme"
    return admin.filled(page + asked, page, **REASON)


def of_a_tenant(rest: str, **changes: Any) -> Case:
    def case(admin: Admin) -> Sent:
        admin.do(make_configuration(admin))
        return admin.filled(f"{TENANT}/{rest}", f"{TENANT}/{rest}", **REASON, **changes)

    return case


def effect_for_a_tenant(admin: Admin) -> Sent:
    _, data = of_a_tenant("edit")(admin)
    return f"/_{TENANT}/effect", data


def make_prompt(admin: Admin) -> Sent:
    page = f"{NEW_PROMPT}?interaction=COACHING_RESPONSE"
    _, data = admin.filled(page, f"{NEW_PROMPT}/preview", code="another_response", **REASON)
    return NEW_PROMPT, data


def preview_new(address: str) -> Case:
    return lambda admin: (address, make_prompt(admin)[1])


def archive_prompt(admin: Admin) -> Sent:
    admin.do(make_prompt(admin))
    page = "/production/templates/another_response/archive"
    return admin.filled(page, page, **REASON)


def edited_prompt(rest: str, prefix: str = "") -> Case:
    def case(admin: Admin) -> Sent:
        _, data = admin.filled(f"{PROMPT}/edit", f"{PROMPT}/edit", **REASON)
        return f"{prefix}{PROMPT}/{rest}", {**data, "body": f"{data['body']}\nBe kind.\n"}

    return case


def kept_values(admin: Admin) -> Sent:
    address, data = edited_prompt("samples")(admin)
    return address, {**data, "sample_name": "One more"}


def make_snippet(admin: Admin) -> Sent:
    page = f"{SNIPPETS}/new"
    return admin.filled(page, page, code="tone", body="Be brief.", **REASON)


def edited_snippet(rest: str, prefix: str = "") -> Case:
    def case(admin: Admin) -> Sent:
        admin.do(make_snippet(admin))
        page = f"{SNIPPETS}/tone/edit"
        _, data = admin.filled(page, page, body="Be kind.", **REASON)
        return f"{prefix}{SNIPPETS}/tone/{rest}", data

    return case


def snippet_draft_thrown_away(admin: Admin) -> Sent:
    admin.do(edited_snippet("draft")(admin))
    return f"{SNIPPETS}/tone/draft/discard", {}


def snippet_draft_wanted_back(admin: Admin) -> Sent:
    admin.do(snippet_draft_thrown_away(admin))
    return f"{SNIPPETS}/tone/draft/restore", {}


def archive_snippet(admin: Admin) -> Sent:
    admin.do(make_snippet(admin))
    page = f"{SNIPPETS}/tone/archive"
    return admin.filled(page, page, **REASON)


def draft_thrown_away(admin: Admin) -> Sent:
    admin.do(edited_prompt("draft")(admin))
    return f"{PROMPT}/draft/discard", {}


def draft_wanted_back(admin: Admin) -> Sent:
    admin.do(draft_thrown_away(admin))
    return f"{PROMPT}/draft/restore", {}


def first_text(rest: str, prefix: str = "") -> Case:
    return lambda admin: (f"{prefix}{NEW_PROMPT}/COACHING_RESPONSE/{rest}", make_prompt(admin)[1])


def first_text_thrown_away(admin: Admin) -> Sent:
    admin.do(first_text("draft")(admin))
    return f"{NEW_PROMPT}/COACHING_RESPONSE/draft/restore", {}


def typed_at(place: str, prefix: str = "") -> Case:
    """A configuration's form; that of a tenant has none yet, and its draft needs none."""

    def case(admin: Admin) -> Sent:
        _, data = admin.filled(f"{BASIC}/edit", f"{BASIC}/edit", temperature="half done")
        return f"{prefix}{place}/draft", data

    return case


def form_thrown_away(place: str) -> Case:
    def case(admin: Admin) -> Sent:
        admin.do(typed_at(place)(admin))
        return f"{place}/draft/discard", {}

    return case


def form_wanted_back(place: str) -> Case:
    def case(admin: Admin) -> Sent:
        admin.do(form_thrown_away(place)(admin))
        return f"{place}/draft/restore", {}

    return case


def try_it(admin: Admin) -> Sent:
    return admin.filled(f"{PROMPT}/try", f"{PROMPT}/try/send")
