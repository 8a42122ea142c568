from collections.abc import Callable

from tests.page import PageClient

ClientAs = Callable[[str], PageClient]


def test_the_first_data_are_covered_and_their_grid_is_shown(client_as: ClientAs) -> None:
    page = client_as("viewer").get("/production/coverage")
    assert page.status == 200
    assert "COACHING_RESPONSE" in page.body


def test_a_model_that_retires_is_named_with_what_uses_it(client_as: ClientAs) -> None:
    admin = client_as("admin")
    form = admin.get("/models/CLAUDE_3_5_SONNET/edit").form("/models/CLAUDE_3_5_SONNET/edit")
    assert admin.post("/models/CLAUDE_3_5_SONNET/edit", {**form, "retires_on": "2026-11-01"}).status == 303
    page = client_as("viewer").get("/production/coverage")
    assert "CLAUDE_3_5_SONNET went away on 1 Nov 2026" in page.body
    assert "2026-11-01" in admin.get("/models/CLAUDE_3_5_SONNET").body


def test_a_failure_is_rehearsed_without_calling_anybody(client_as: ClientAs) -> None:
    client = client_as("viewer")
    assert "Nothing fails yet" in client.get("/production/coverage/rehearsal").body
    page = client.get("/production/coverage/rehearsal?provider=bedrock")
    assert page.status == 200
    assert "COACHING_RESPONSE · premium" in page.body
    unknown = client.get("/production/coverage/rehearsal?model=UNKNOWN")
    assert "Nobody would notice" in unknown.body
