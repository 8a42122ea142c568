"""Templates that are stored and would be refused today are listed, and go on as they are."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.db import now
from controlplane.prompts import standing
from controlplane.prompts.documents import digest
from controlplane.prompts.models import PromptVersion
from controlplane.prompts.render_pool import RenderBusy, RenderPool
from tests.page import PageClient

CODE = "kpi_analysis"


def stored(session: Session, body: str) -> None:
    """Put a version where the editor would not let it through, as one of long ago."""
    found = PromptVersion(
        prompt_code=CODE,
        number=2,
        body=body,
        sha256=digest(body),
        reason="Long ago",
        author_id="1",
        author_name="Ana",
        created_at=now(),
    )
    session.add(found)
    session.flush()


def test_what_is_wrong_with_a_stored_template_stands_in_the_list_and_on_its_page(
    first_data: Session, client_as: Callable[[Role | str], PageClient]
) -> None:
    stored(
        first_data, "{% for kpi in current_kpis %}{{ kpi.nam }}{% endfor %}{{ goals }}{{ strategies|upcase }}"
    )
    viewer = client_as("viewer")
    listed = viewer.get("/production/templates")
    assert listed.status == 200
    assert listed.body.count("error") == 1
    assert listed.link("3 errors") == f"/production/templates/{CODE}#contract"
    page = viewer.get(f"/production/templates/{CODE}")
    assert "Line 1, column 37: kpi has no field 'nam'; did you mean 'name'?" in page.body
    assert "there is no filter upcase; did you mean 'upper'?" in page.body
    assert "error" not in viewer.get("/production/templates?q=coaching").body


def test_while_no_worker_is_free_nothing_is_said(first_data: Session) -> None:
    class Full(RenderPool):
        def hold(self, *_: object, **__: object) -> list[None]:  # type: ignore[override]
            raise RenderBusy

    stored(first_data, "{{ current_kpi }}")
    assert standing.verdicts_of(first_data, Full(), [CODE]) == {}
