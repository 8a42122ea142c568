import json
import re
from pathlib import Path

import pytest

from controlplane.runtime.providers import ProviderError, ProviderManager
from controlplane.runtime.service.http import create_app
from controlplane.runtime.stores.file import FileStore
from tests.runtime import coaching
from tests.runtime.faults import pointer_to

GUIDE = Path(__file__).parents[2] / "docs" / "runtime.md"


def test_the_examples_of_the_guide_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = coaching.release()
    pointer = pointer_to(data, 12)
    store = FileStore(tmp_path / "releases")
    store.write_snapshot("production", pointer.sha256, data)
    store.move_pointer(pointer)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTROLPLANE_STORE_DIRECTORY", str(tmp_path / "releases"))

    examples = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    for example in examples:
        exec(compile(example, str(GUIDE), "exec"), names)

    assert len(examples) >= 5
    printed = capsys.readouterr().out
    assert "12 store" in printed
    assert "large-1 0.7 premium has its own configuration" in printed
    assert "LARGE 12 configuration ()" in printed
    text = names["text"]
    assert isinstance(text, str)
    assert "User: " not in json.loads(text)["messages"][0]["content"]
    assert "Coach: What matters most to you?" in json.loads(text)["messages"][0]["content"]
    assert isinstance(names["pieces"], list)
    assert json.loads("".join(names["pieces"]))["model_id"] == "small-1"
    client = names["client"]
    client.close()  # type: ignore[attr-defined]


def test_the_guide_names_every_endpoint_and_no_variable_that_nobody_reads() -> None:
    guide = GUIDE.read_text()
    app = create_app([], ProviderManager.echoing())
    for path in app.openapi()["paths"]:
        assert f"{path}" in guide, path
    runtime = GUIDE.parents[1] / "controlplane" / "runtime"
    sources = "".join(path.read_text() for path in runtime.rglob("*.py"))
    for variable in re.findall(r"\b(?:CONTROLPLANE|RUNTIME|OPENAI|ANTHROPIC|BEDROCK|AWS)_[A-Z_]+", guide):
        assert variable in sources, variable


def test_the_guide_names_the_kind_of_every_error_of_a_provider() -> None:
    guide = GUIDE.read_text()
    kinds = {kind.kind for kind in ProviderError.__subclasses__()}
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in guide] == []
