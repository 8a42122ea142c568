"""That the documents speak of what is there."""

import re

import pytest

from tests.architecture.test_code import ROOT

DOCUMENTS = ("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
FOLDERS = ("bench", "controlplane", "docs", "migrations", "static", "templates", "tests")
THERE = [
    *FOLDERS,
    *(path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob("*")),
]
# What a reader is told to make.
MADE_BY_OTHERS = {"codes.py"}


@pytest.mark.parametrize("document", sorted(DOCUMENTS))
def test_every_file_that_a_document_names_is_there(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    named = set(re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:py|json|jinja)|(?:[\w-]+/)+)`", text)) - MADE_BY_OTHERS
    gone = [
        name
        for name in sorted(named)
        if not any(f"/{path}".endswith(f"/{name.rstrip('/')}") for path in THERE)
    ]
    assert gone == []
