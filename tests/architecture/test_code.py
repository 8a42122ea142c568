"""Rules about the code itself that no type checker knows."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from controlplane.runtime.services.prompts import built_in

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted((ROOT / "controlplane").rglob("*.py"))
FIRST_DATA = ROOT / "controlplane" / "first_data"
WRITTEN = [
    path
    for folder in ("controlplane", "tests", "bench", "docs", "migrations", "static", "templates")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".js", ".html", ".jinja", ".md"} and "node_modules" not in path.parts
]
MODELS: list[dict[str, object]] = json.loads((FIRST_DATA / "models.json").read_text("utf-8"))["models"]


def words_of(field: str) -> set[str]:
    return {str(model[field]) for model in MODELS if model["provider"] != "echo"}


def test_the_data_names_models_to_look_for() -> None:
    assert len(words_of("code")) > 5
    assert len(words_of("provider_model_id")) > 5


def test_no_provider_s_name_for_a_model_stands_outside_of_data() -> None:
    legacy = built_in()
    known = words_of("provider_model_id") | {legacy.default_model, *legacy.models_by_topic.values()}
    pattern = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, sorted(known)))})(?![\w-])")
    named = {
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in WRITTEN
        for found in pattern.finditer(path.read_text("utf-8"))
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


def test_the_base_of_the_runtime_loads_nothing_but_what_it_needs() -> None:
    program = "import sys, controlplane.runtime; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = found.stdout.split()
    of_the_site = [name for name in loaded if re.match(r"controlplane\.", name) and ".runtime" not in name]
    brought_along = {"markupsafe", "typing_extensions", "sitecustomize"}
    packages = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - brought_along
    assert of_the_site == []
    assert packages == {"__main__", "controlplane", "jinja2", "msgspec", "xxhash"}
