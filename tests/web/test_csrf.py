import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from tests.page import PageClient
from tests.site import PASSWORD, add_person

FORM = {"email": "editor@example.com", "password": PASSWORD}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
)
def test_our_own_pages_may_post(client: PageClient, session: Session, headers: dict[str, str]) -> None:
    add_person(session, Role.EDITOR)
    assert client.flask.post("/sign-in", data=FORM, headers=headers).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": ""},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:8000"},
        {"Referer": "http://localhost/sign-in"},
    ],
)
def test_other_sites_may_not(client: PageClient, session: Session, headers: dict[str, str]) -> None:
    add_person(session, Role.EDITOR)
    answer = client.flask.post("/sign-in", data=FORM, headers=headers)
    assert answer.status_code == 403
    assert "did not come from a page of this site" in answer.get_data(as_text=True)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_every_unsafe_method_is_checked(client: PageClient, method: str) -> None:
    answer = client.flask.open("/sign-in", method=method, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_reading_is_free(client: PageClient) -> None:
    assert client.flask.get("/sign-in", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
