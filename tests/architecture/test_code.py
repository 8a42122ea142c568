"""Rules about the code itself that no type checker knows."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted((ROOT / "controlplane").rglob("*.py"))
FIRST_DATA = ROOT / "controlplane" / "first_data"
MODELS: list[dict[str, object]] = json.loads((FIRST_DATA / "models.json").read_text("utf-8"))["models"]


def words_of(field: str) -> set[str]:
    return {str(model[field]) for model in MODELS if model["provider"] != "echo"}


def test_the_data_names_models_to_look_for() -> None:
    assert len(words_of("code")) > 5
    assert len(words_of("provider_model_id")) > 5


def test_no_provider_s_name_for_a_model_stands_in_code() -> None:
    known = words_of("provider_model_id")
    named = {
        f"{path.relative_to(ROOT)}: {word}"
        for path in CODE
        for word in known
        if re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", path.read_text("utf-8"))
    }
    assert named == set()


def test_no_code_of_a_model_is_part_of_what_runs() -> None:
    pattern = re.compile("|".join(rf"\b{re.escape(word)}\b" for word in sorted(words_of("code"))))
    named = {
        f"{path.relative_to(ROOT)}:{number}: {text}"
        for path in CODE
        for number, text in strings_of(ast.parse(path.read_text("utf-8")))
        if pattern.search(text)
    }
    assert named == set()


def strings_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every string and name of a module but its docstrings, whose examples may name what they like."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id


def test_the_import_contracts_hold() -> None:
    found = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert " 0 broken." in found.stdout


def test_the_runtime_loads_without_the_stack_of_the_site() -> None:
    forbidden = ("flask", "sqlalchemy", "pydantic", "psycopg", "boto3", "fastapi", "controlplane.web")
    program = f"import sys, controlplane.runtime;print([name for name in {forbidden} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == "[]"
