from collections.abc import Callable

from tests.page import PageClient

ClientAs = Callable[[str], PageClient]

PAGE = "/production/explain"


def test_the_page_asks_before_it_answers(client_as: ClientAs) -> None:
    page = client_as("viewer").get(PAGE)
    assert page.status == 200
    assert "Nothing asked yet" in page.body


def test_an_address_holds_the_question_and_its_answer(client_as: ClientAs) -> None:
    page = client_as("viewer").get(
        f"{PAGE}?interaction=COACHING_RESPONSE&tier=premium&unit=u-17&other=u-18&values=%7B%7D"
    )
    assert page.status == 200
    assert "What happens for u-17" in page.body
    assert "What happens for u-18" in page.body
    assert "configuration/COACHING_RESPONSE/premium/*" in page.body
    assert "is required and was not given" in page.body
    assert "Release 1" in page.body


def test_what_cannot_be_asked_comes_back_as_typed(client_as: ClientAs) -> None:
    client = client_as("viewer")
    page = client.get(f"{PAGE}?interaction=COACHING_RESPONSE&unit=u-17&values=%7Bgoal")
    assert page.status == 422
    assert "This is not JSON: line 1, column 2" in page.body
    assert 'value="u-17"' in page.text
    early = client.get(f"{PAGE}?interaction=COACHING_RESPONSE&at=2001-01-01T00:00")
    assert early.status == 422
    assert "Nothing was live in production at that moment." in early.body


def test_strange_ids_are_shown_as_text(client_as: ClientAs) -> None:
    page = client_as("viewer").get(
        f"{PAGE}?interaction=COACHING_RESPONSE&unit=%3Cb%3Ex&tenant=a%2Fb&tier=%22gold"
    )
    assert page.status == 200
    assert "<b>x" not in page.text
