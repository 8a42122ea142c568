"""The pages of objects show what happened to them last, and lead to all of it."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from tests.page import PageClient
from tests.site import add_person

ClientAs = Callable[[Role | str], PageClient]


@pytest.mark.parametrize(
    ("path", "label", "query"),
    [
        ("/production/releases/1", "All changes of this", "env:production release:1"),
        ("/settings/people/{person}", "All changes of this", "object:person/viewer@example.com"),
        ("/settings/people/{person}", "What Viewer One did", "actor:{person}"),
        ("/tiers", "Changes", "kind:tier"),
        ("/environments", "Changes", "kind:environment"),
    ],
)
def test_the_page_of_an_object_leads_to_its_changes(
    client_as: ClientAs, first_data: Session, path: str, label: str, query: str
) -> None:
    person = str(add_person(first_data, "viewer").id)
    client = client_as("admin")
    page = client.get(path.format(person=person))
    (link,) = [a for a in page.all("a") if "q=" in a.get("href", "") and "".join(a.itertext()) == label]
    listed = client.get(link.get("href", ""))
    assert listed.by_id("f-q").get("value") == query.format(person=person)
    assert listed.all("li", class_="change") or label.startswith("What")


def test_a_change_stands_among_those_of_its_release_and_its_object(client_as: ClientAs) -> None:
    client = client_as("viewer")
    listed = client.get("/changes?q=action:release.published+env:staging")
    (sentence,) = [a for a in listed.all("a") if "published release 1 of staging" in "".join(a.itertext())]
    model = client.get(
        client.get("/changes?q=action:model.added+gpt_5+-gpt_5_mini").link("added model GPT_5")
    )
    assert model.link("All of the same object") == "/changes?q=object:model/GPT_5"
    assert [a for a in model.all("a") if "published release 1 of staging" in "".join(a.itertext())]
    assert client.get(sentence.get("href", "")).status == 200
