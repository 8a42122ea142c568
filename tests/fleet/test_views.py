import datetime as dt
from collections.abc import Callable

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.db import now
from tests.fleet.told import Told
from tests.page import PageClient, words

ClientAs = Callable[[Role | str], PageClient]
PROCESSES = "/production/processes"


def test_before_anybody_looked_the_page_says_so(client_as: ClientAs) -> None:
    page = client_as("viewer").get(PROCESSES)
    assert "No process tells of itself" in page.body
    assert "Nobody has looked yet" in page.body


def test_each_process_is_told_with_what_it_serves_and_how_it_does(
    client_as: ClientAs, first_data: Session
) -> None:
    told = Told(first_data)
    told.point_to(1)
    calls = {"call": {"counts": [150, 45]}, "errors": {"timeout": 5}}
    old = (now() - dt.timedelta(hours=5)).isoformat()
    told.tell("api-1:10:a", 1, metrics=calls, started=old, source="disk", versions={"python": "3.11.9"})
    told.tell("api-2:10:a", None, last_error="the store <hides>")
    told.tell("api-3:10:a", 1, held_back={"prompt/x": "because", "prompt/y": "because"})
    told.tell("api-4:10:a", 1, thrown=["everything"])
    told.tell("api-5:10:a", 1, sha256="f" * 64)
    told.look()

    page = client_as("viewer").get(PROCESSES)

    rows = [words(row) for row in page.all("tr")[1:]]
    assert [row.split()[0] for row in rows] == [f"api-{number}:10:a" for number in range(1, 6)]
    for part in ("Confirmed", "Release 1", "from its disk", "5 h ago", "5 of 200 (2.5 %)", "Python 3.11.9"):
        assert part in rows[0]
    assert "Serves nothing the store <hides>" in rows[1]
    assert "But for 2 entries" in rows[2]
    assert "Switched off: everything" in rows[3]
    assert "Behind" in rows[4]
    assert "5 processes run; 2 of 5 serve release 1." in page.body


def test_those_that_are_gone_are_told_for_a_while(client_as: ClientAs, first_data: Session) -> None:
    told = Told(first_data)
    told.point_to(1)
    told.tell("api-1:10:a", 1)
    told.look()
    told.tell("api-1:10:a", 1, seconds=0)
    told.look()

    page = client_as("viewer").get(PROCESSES)

    assert "Ended" in words(page.all("tr")[1])
    assert "No process tells of itself" in page.body
