"""Who may open what: the table in routes.json is the decision, the site has to agree with it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from controlplane.accounts.actor import Role
from controlplane.registry.inputs import RESERVED_ENVIRONMENTS
from tests.architecture.addresses import Route
from tests.architecture.conftest import Site

TABLE: dict[str, str] = json.loads(Path(__file__).with_name("routes.json").read_text("utf-8"))
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
HTMX = {**SAME_ORIGIN, "HX-Request": "true", "HX-Current-URL": "http://localhost/production/"}


def ask(site: Site, role: str | None, route: Route, method: str, headers: dict[str, str]) -> TestResponse:
    client = site.client_as(role).flask if role else site.app.test_client()
    # Not read to its end: one of them is a stream that goes on for as long as a release is being exported.
    response = client.open(site.path(route), method=method, headers=headers, buffered=False)
    response.close()
    return response


def attempts(routes: list[Route]) -> Iterator[tuple[Route, str, dict[str, str]]]:
    """Every way to ask for a route: by a browser and by HTMX, and of a page the head, which HTMX never asks for."""
    for route in routes:
        yield route, route.method, SAME_ORIGIN
        yield route, route.method, HTMX
        if route.method == "GET":
            yield route, "HEAD", SAME_ORIGIN


def label(route: Route, method: str, headers: dict[str, str]) -> str:
    return f"{route.name} as {method}{' by HTMX' if 'HX-Request' in headers else ''}"


def test_the_table_names_every_route_of_the_site_and_nothing_else(site: Site) -> None:
    assert {route.name: route.access for route in site.routes} == TABLE


def test_what_lies_under_api_is_opened_by_tokens_alone_and_nothing_else_is(site: Site) -> None:
    """No cookie is looked at there, and no origin: a page that came to lie there would be open to other sites."""
    assert {route.name for route in site.routes if route.is_api} == {
        name for name, access in TABLE.items() if access.startswith("token: ")
    }


def test_only_these_may_be_opened_without_signing_in() -> None:
    assert {name for name, access in TABLE.items() if access == "public"} == {
        "GET /healthz", "GET /sign-in", "GET /static/<path:filename>", "POST /settings/theme", "POST /sign-in",
    }  # fmt: skip


def test_nobody_changes_anything_as_a_viewer_but_what_is_their_own() -> None:
    posts = {name for name, access in TABLE.items() if name.startswith("POST") and access == "viewer"}
    assert posts == {
        "POST /sign-out", "POST /settings/profile", "POST /<environment>/first-steps", "POST /changes/views",
        "POST /changes/views/<uuid:view_id>/remove", "POST /settings/tokens/new", "POST /settings/tokens/<key>/revoke",
    }  # fmt: skip


def test_no_environment_can_have_a_code_that_hides_a_page_or_is_hidden_by_one(site: Site) -> None:
    first = {route.rule.split("/")[1] for route in site.routes}
    # A code has no full stop.
    assert {word for word in first if "." not in word} - {"", "<environment>"} <= RESERVED_ENVIRONMENTS


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR, Role.ON_CALL, Role.PUBLISHER])
def test_a_role_below_the_need_is_refused_everywhere(site: Site, role: Role) -> None:
    above = [
        route
        for route in site.pages
        if route.access != "public" and not role.includes(Role(TABLE[route.name]))
    ]
    assert len(above) > 20
    answers = {label(*each): ask(site, role.value, *each).status_code for each in attempts(above)}
    assert {each: status for each, status in answers.items() if status != 403} == {}


def test_whoever_has_not_signed_in_is_sent_to_the_sign_in_page(site: Site) -> None:
    closed = [route for route in site.pages if route.access != "public"]
    wrong = {}
    for each in attempts(closed):
        answer = ask(site, None, *each)
        by_htmx = "HX-Request" in each[2]
        leads_to = answer.headers.get("HX-Redirect" if by_htmx else "Location", "")
        if answer.status_code != (401 if by_htmx else 303) or not leads_to.startswith("/sign-in"):
            wrong[label(*each)] = (answer.status_code, leads_to)
    assert wrong == {}


def test_every_page_opens_for_those_who_may_see_it(site: Site) -> None:
    # No configuration of a tenant is part of the first data.
    pages = [
        route
        for route in site.pages
        if route.method == "GET" and route.access != "public" and "<tenant>" not in route.rule
    ]
    answers = {label(*each): ask(site, TABLE[each[0].name], *each).status_code for each in attempts(pages)}
    assert {each: status for each, status in answers.items() if status not in {200, 302, 303}} == {}
