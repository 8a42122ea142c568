import ast
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from controlplane.first_data.read import read_interactions
from controlplane.registry.interaction_codes import as_python
from controlplane.registry.services import list_interactions
from controlplane.runtime import interaction_codes
from controlplane.runtime.interaction_codes import InteractionCode
from controlplane.web.cli import cli

FILE = Path(interaction_codes.__file__)


def test_the_constants_are_those_of_the_registry(first_data: Session) -> None:
    registry = [(one.code, one.description) for one in list_interactions(first_data)]
    assert FILE.read_text("utf-8") == as_python(registry), (
        "run ./run cli interaction-codes --output <the file>"
    )
    assert [str(code) for code in InteractionCode] == sorted(row["code"] for row in read_interactions())


def test_the_command_prints_the_file(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    printed = CliRunner().invoke(cli, ["interaction-codes"])
    assert printed.exit_code == 0, printed.output
    assert printed.output == FILE.read_text("utf-8")
    written = tmp_path / "codes.py"
    assert CliRunner().invoke(cli, ["interaction-codes", "--output", str(written)]).exit_code == 0
    assert written.read_text("utf-8") == printed.output


def test_the_file_is_formatted_and_says_that_it_is_generated() -> None:
    subprocess.run(
        [Path(sys.executable).with_name("ruff"), "format", "--check", FILE], check=True, timeout=60
    )
    assert "Generated" in FILE.read_text("utf-8").partition("\n")[0]


@given(
    st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,9}", fullmatch=True), st.text(max_size=30), max_size=4)
)
def test_whatever_a_description_says_the_module_is_one(interactions: dict[str, str]) -> None:
    tree = ast.parse(as_python(interactions.items()))
    (constants,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    named = [
        node.value.value
        for node in constants.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    ]
    assert named == sorted(interactions)
