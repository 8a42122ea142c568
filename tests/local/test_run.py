"""The command itself, as far as it goes without setting anything up."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "run"


def _run(*arguments: object, cwd: Path = ROOT, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(part) for part in arguments],
        cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_help_explains_every_command_that_there_is() -> None:
    told = _run(RUN, "--help").stdout
    commands = re.findall(r"^([a-z |]+)\)$", RUN.read_text(), re.MULTILINE)

    assert {word for line in commands for word in line.split(" | ")} == {
        "test", "lint", "bench", "web", "worker", "service", "cli",
    }  # fmt: skip
    for line in commands:
        for word in line.split(" | "):
            assert f"./run {word} " in told


def test_help_explains_every_variable_of_the_settings() -> None:
    told = _run(RUN, "--help").stdout
    variables = re.findall(r'read\("([A-Z_]+)"', (ROOT / "controlplane" / "config.py").read_text())

    assert "CONTROLPLANE_PROXIES" in variables
    assert [name for name in variables if name not in told] == []


def test_help_explains_every_variable_of_the_readme() -> None:
    told = _run(RUN, "--help").stdout
    table = re.findall(r"^\| (`[A-Z_`, ]+`) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    variables = re.findall(r"[A-Z_]{4,}", " ".join(table))

    assert "CONTROLPLANE_STORE_DIRECTORY" in variables
    assert [name for name in variables if name not in told] == []


def test_the_readme_explains_every_variable_that_the_code_reads() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "controlplane").rglob("*.py"))
    named = re.findall(r'"((?:CONTROLPLANE|RUNTIME|OPENAI|ANTHROPIC|BEDROCK)_[A-Z_]+)"', sources)
    variables = set(named) - {"CONTROLPLANE_SUPERVISED"}  # what the supervisor marks its own children with

    assert {"CONTROLPLANE_SIGNING_KEY_FILE", "OPENAI_BASE_URL", "RUNTIME_HOST"} <= variables
    readme = (ROOT / "README.md").read_text()
    assert sorted(name for name in variables if f"`{name}`" not in readme) == []


def test_help_works_from_anywhere(tmp_path: Path) -> None:
    assert _run(RUN, "--help", cwd=tmp_path).returncode == 0


def test_an_unknown_command_is_refused_with_the_list() -> None:
    result = _run(RUN, "strat")

    assert result.returncode == 2
    assert "has no command 'strat'" in result.stderr
    assert "./run test" in result.stderr


@pytest.mark.parametrize("program", [["app.py"], ["-m", "controlplane.local.alone", "web"]])
def test_a_wrong_value_stops_the_start_with_one_line(program: list[str], tmp_path: Path) -> None:
    result = _run(sys.executable, *program, PORT="http", CONTROLPLANE_HOME=str(tmp_path))

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "PORT is 'http', but must be a whole number from 1 to 65535." in result.stderr
    assert list(tmp_path.iterdir()) == []
