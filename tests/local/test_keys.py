from pathlib import Path

from controlplane.config import Settings
from controlplane.local import keys
from controlplane.local.plan import plan_for
from controlplane.runtime.signing import Signer, Verifier
from tests.runtime.faults import pointer_to


def told(home: Path, **environment: str) -> dict[str, str]:
    settings = Settings.from_environment({"CONTROLPLANE_HOME": str(home), **environment})
    plan = plan_for(settings, environment).environment
    return {name: value for name, value in plan.items() if name in keys.VARIABLES and value is not None}


def test_a_first_run_signs_with_a_key_of_its_own_that_stays(tmp_path: Path) -> None:
    environment = told(tmp_path)
    keys.ensure(tmp_path, environment)
    signer = Signer.from_environment(environment)
    assert signer is not None
    Verifier.from_environment(environment).verify(signer.sign(pointer_to(b"x", 1)))
    keys.ensure(tmp_path, environment)
    again = Signer.from_environment(environment)
    assert again is not None
    assert again.public == signer.public


def test_the_key_is_its_owner_s_alone(tmp_path: Path) -> None:
    keys.ensure(tmp_path, told(tmp_path))
    (secret,) = (tmp_path / "keys").glob("*.key")
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.parent.stat().st_mode & 0o777 == 0o700


def test_who_brings_a_key_or_a_store_of_their_own_is_not_given_one(tmp_path: Path) -> None:
    for name in (*keys.VARIABLES, "CONTROLPLANE_STORE_DIRECTORY", "AWS_ENDPOINT_URL"):
        assert told(tmp_path, **{name: "http://127.0.0.1:4566"}) == {}
    keys.ensure(tmp_path, {"CONTROLPLANE_SIGNING_KEY_FILE": str(tmp_path / "mine")})
    assert list(tmp_path.iterdir()) == []
