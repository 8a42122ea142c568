"""docs/api.md: every example is run, in order, and every address stands in its table."""

import json
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.api.conftest import ProgramOf
from tests.architecture.addresses import routes_of
from tests.tokens.stage import Program

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text("utf-8")


class Example(NamedTuple):
    """One call as the document has it, and what it says will be answered."""

    status: int
    answer: dict[str, Any]
    command: str


def examples() -> list[Example]:
    block = re.compile(r"^    # (\d{3})(?: (\{.*\}))?\n((?:    .*\n)+?)(?=\n|$)", re.MULTILINE)
    return [
        Example(
            int(found[1]),
            json.loads(found[2] or "{}"),
            re.sub(r"\\\n|^    ", "", found[3], flags=re.MULTILINE),
        )
        for found in block.finditer(TEXT)
    ]


def run(program: Program, command: str) -> Any:
    words = shlex.split(command)
    assert words.pop(0) == "api"
    method, path, data = "GET", "", None
    while words:
        match word := words.pop(0):
            case "-X":
                method = words.pop(0)
            case "-d":
                data = json.loads(words.pop(0))
            case _:
                assert word.startswith("$SITE/"), word
                path = word.removeprefix("$SITE")
    return program.call(method, path, **({} if data is None else {"json": data}))


def test_every_example_comes_out_as_the_document_says(first_data: Session, program: ProgramOf) -> None:
    caller = program("publisher")
    found = examples()
    assert len(found) == len(re.findall(r"^    api ", TEXT, re.MULTILINE)) > 15
    for example in found:
        answer = run(caller, example.command)
        assert answer.status == example.status, f"{example.command}\n{answer.response.get_data(as_text=True)}"
        told = {name: answer.json[name] for name in example.answer}
        assert told == example.answer, example.command


def test_every_address_stands_in_the_table_with_its_scope(app: Flask) -> None:
    table = dict(re.findall(r"^\| `((?:GET|PUT|POST) /\S+)` \| (\w+) \|", TEXT, re.MULTILINE))
    routes = {
        re.sub(
            r"<target>", "<interaction>", route.name.replace("<int:number>", "<n>").replace("/api/v1", "")
        ): (route.access or "").removeprefix("token: ")
        for route in routes_of(app)
        if route.is_api and "<tenant>" not in route.rule
    }
    assert table == routes


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422, 429, 503])
def test_what_goes_wrong_is_explained(status: int) -> None:
    assert re.search(rf"^\| (?:.*\b)?{status}\b", TEXT, re.MULTILINE)
