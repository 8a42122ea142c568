from pathlib import Path

import pytest
from click.testing import CliRunner

from controlplane.runtime import Client
from controlplane.runtime.signing import Signer, Verifier
from controlplane.runtime.stores.file import FileStore
from controlplane.web.cli import cli
from tests.runtime.faults import FaultyStore, pointer_to
from tests.runtime.serving import GOOD, gone, publish, temperature


def test_a_new_key_is_printed_as_the_two_variables(tmp_path: Path) -> None:
    said = CliRunner().invoke(cli, ["keys", "new", "2026-blue"])
    assert said.exit_code == 0
    environment = dict(
        line.split("=", 1) for line in said.output.splitlines() if line and not line.startswith("#")
    )
    signer = Signer.from_environment(environment)
    assert signer is not None
    assert signer.key_id == "2026-blue"
    Verifier.from_environment(environment).verify(signer.sign(pointer_to(GOOD, 1)))


def test_an_id_that_is_none_is_refused() -> None:
    said = CliRunner().invoke(cli, ["keys", "new", "a b"])
    assert said.exit_code == 2
    assert "not the id of a key" in said.output


def test_a_bundle_is_what_a_client_starts_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(FileStore(tmp_path / "store"), 5, GOOD)
    monkeypatch.setenv("CONTROLPLANE_STORE_DIRECTORY", str(tmp_path / "store"))
    said = CliRunner().invoke(cli, ["bundle", "production"])
    (tmp_path / "bundle").write_bytes(said.stdout_bytes)
    client = Client(gone(FaultyStore()), "production", bootstrap=tmp_path / "bundle")
    client.refresh()
    assert (temperature(client), client.state.source) == (0.5, "bootstrap")
    assert CliRunner().invoke(cli, ["bundle", "staging"]).exit_code == 1
