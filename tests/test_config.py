from collections.abc import Callable
from pathlib import Path

import pytest

from controlplane.accounts import inputs
from controlplane.config import Settings, SettingsError
from controlplane.runtime.service.settings import ServiceSettings


def test_an_empty_environment_gives_the_first_run_on_one_machine() -> None:
    settings = Settings.from_environment({})

    assert settings.home == Path(__file__).resolve().parents[1] / ".local"
    assert (settings.port, settings.runtime_port) == (8000, 8001)
    assert (settings.database_url, settings.aws_endpoint_url) == (None, None)
    assert (settings.admin_email, settings.admin_password) == (None, None)
    assert (settings.table, settings.bucket) == ("llm-controlplane", "llm-controlplane")
    assert settings.secure_cookies is True
    assert settings.poll_seconds == 5.0


def test_every_variable_is_read(tmp_path: Path) -> None:
    settings = Settings.from_environment(
        {
            "CONTROLPLANE_HOME": str(tmp_path / "home"),
            "PORT": "9000",
            "RUNTIME_PORT": "9001",
            "DATABASE_URL": "postgresql://me:secret@db:5432/app",
            "DATABASE_OWNER_URL": "postgres://owner:secret@db/app",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:4566/",
            "AWS_REGION": "eu-central-1",
            "CONTROLPLANE_TABLE": "Releases_1",
            "CONTROLPLANE_BUCKET": "our-releases",
            "ADMIN_EMAIL": "ada@example.com",
            "ADMIN_PASSWORD": "correct horse",
            "CONTROLPLANE_SECURE_COOKIES": "No",
            "CONTROLPLANE_POLL_SECONDS": "0.5",
            "CONTROLPLANE_PROXIES": "2",
            "CONTROLPLANE_TICKET_URL": "https://tickets.example.com/browse/{ticket}",
        }
    )

    assert settings == Settings(
        home=tmp_path / "home",
        port=9000,
        runtime_port=9001,
        database_url="postgresql://me:secret@db:5432/app",
        database_owner_url="postgresql://owner:secret@db/app",
        aws_endpoint_url="http://127.0.0.1:4566",
        aws_region="eu-central-1",
        table="Releases_1",
        bucket="our-releases",
        admin_email="ada@example.com",
        admin_password="correct horse",
        secure_cookies=False,
        poll_seconds=0.5,
        proxies=2,
        ticket_url="https://tickets.example.com/browse/{ticket}",
    )


@pytest.mark.parametrize(
    "url", ["postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d", "postgresql://u:p@h/d"]
)
def test_every_usual_spelling_of_a_database_address_becomes_one(url: str) -> None:
    assert Settings.from_environment({"DATABASE_URL": url}).database_url == "postgresql://u:p@h/d"


def test_empty_and_blank_count_as_not_set() -> None:
    assert Settings.from_environment({"PORT": "", "DATABASE_URL": "  "}) == Settings.from_environment({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "८०००"),
        ("RUNTIME_PORT", "8001.0"),
        ("RUNTIME_PORT", "8000"),
        ("CONTROLPLANE_HOME", "/dev/null"),
        ("AWS_ENDPOINT_URL", "127.0.0.1:4566"),
        ("AWS_ENDPOINT_URL", "http://"),
        ("AWS_ENDPOINT_URL", "http://host:port"),
        ("AWS_REGION", "Frankfurt am Main"),
        ("CONTROLPLANE_TABLE", "a b"),
        ("CONTROLPLANE_BUCKET", "Upper"),
        ("ADMIN_EMAIL", "ada"),
        ("CONTROLPLANE_SECURE_COOKIES", "perhaps"),
        ("CONTROLPLANE_POLL_SECONDS", "nan"),
        ("CONTROLPLANE_POLL_SECONDS", "soon"),
        ("CONTROLPLANE_ENVIRONMENTS", ",,"),
        ("CONTROLPLANE_ENVIRONMENTS", "production,production"),
        ("CONTROLPLANE_ENVIRONMENTS", "../x"),
        ("CONTROLPLANE_PROVIDERS", "ecoh"),
        ("CONTROLPLANE_RECORD_RATE", "1.5"),
        ("CONTROLPLANE_RECORDED_DAYS", "0"),
        ("CONTROLPLANE_RECORDED_CALLS", "many"),
        ("PG_BIN", "/nowhere"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_with_name_value_and_what_is_wanted(
    name: str, value: str
) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment({name: value})

    message = str(refusal.value)
    assert message.startswith(f"{name} is {value!r}, but must be ")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "secret"), [("DATABASE_URL", "mysql://u:hunter2@h/d"), ("ADMIN_PASSWORD", "hunter2")]
)
def test_a_wrong_secret_is_refused_without_being_repeated(name: str, secret: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is ") as refusal:
        Settings.from_environment({name: secret})

    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(("length", "good"), [(11, False), (12, True), (128, True), (129, False)])
def test_the_administrators_password_is_as_long_as_one_chosen_on_the_site(length: int, good: bool) -> None:
    assert (
        _taken(inputs.PasswordInput.model_validate, dict.fromkeys(("current", "new", "again"), "x" * length))
        is good
    )
    if good:
        assert Settings.from_environment({"ADMIN_PASSWORD": "x" * length}).admin_password == "x" * length
        return
    with pytest.raises(SettingsError, match="must be 12 to 128 characters long"):
        Settings.from_environment({"ADMIN_PASSWORD": "x" * length})


def test_every_list_of_environments_that_is_taken_is_one_that_the_service_takes() -> None:
    for said in ("production", "production, staging", "qa-1,qa_2", "Qa", "1", "a" * 70, "é", "a b", "a,"):
        environment = {"CONTROLPLANE_ENVIRONMENTS": said}
        assert _taken(Settings.from_environment, environment) == _taken(
            ServiceSettings.from_environment, environment
        ), said


def test_a_directory_without_one_of_the_programs_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("")
    (tmp_path / "postgres").chmod(0o755)

    with pytest.raises(SettingsError, match="there is no initdb in it that can be run"):
        Settings.from_environment({"PG_BIN": str(tmp_path)})


def _taken(read: Callable[[dict[str, str]], object], environment: dict[str, str]) -> bool:
    try:
        read(environment)
    except ValueError:
        return False
    return True


def test_secrets_stay_out_of_the_representation() -> None:
    settings = Settings.from_environment(
        {"DATABASE_URL": "postgresql://u:hunter2@h/d", "ADMIN_PASSWORD": "hunter2hunter2"}
    )

    assert "hunter2" not in repr(settings)
