"""The command line: what an operator does without a browser. `./run cli --help` lists it."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
from alembic import command
from alembic.config import Config
from pydantic import ValidationError
from sqlalchemy import Engine, make_url

from controlplane.accounts import services as accounts
from controlplane.accounts.actor import Role
from controlplane.accounts.inputs import PersonInput
from controlplane.accounts.passwords import one_time_password
from controlplane.audit import roles
from controlplane.db import make_engine, transaction
from controlplane.errors import ControlPlaneError
from controlplane.explain.answering import answer
from controlplane.explain.asked import ExplainInput
from controlplane.first_data import load as first_data
from controlplane.guards.rehearsal import Rehearsal
from controlplane.prompts.render_pool import shared
from controlplane.registry import interaction_codes
from controlplane.registry.services import list_interactions
from controlplane.runtime.errors import StoreError
from controlplane.runtime.providers.rehearsing import FAILS_FILE
from controlplane.web.commands import keys, record, store
from controlplane.web.commands.common import (
    connected,
    database_url,
    known_environments,
    operator,
    owner_url,
    settings_of_process,
)

ROOT = Path(__file__).resolve().parents[2]


def migrate(database_url: str) -> None:
    """Bring the schema of `database_url` up to date; safe to run at once from several places."""
    config = Config(toml_file=ROOT / "pyproject.toml")
    config.set_main_option("script_location", str(ROOT / "migrations"))
    engine = make_engine(database_url)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        roles.grant_again(connection)
        connection.commit()
    engine.dispose()


def load_first_data(engine: Engine) -> bool:
    """Load the first data if the database is empty; True if it was."""
    with transaction(engine) as session:
        if not first_data.is_empty(session):
            return False
        first_data.load(session)
        return True


@click.group()
def cli() -> None:
    """Operate the control plane from the command line."""


@cli.command("migrate")
def migrate_command() -> None:
    """Bring the database schema up to date, as DATABASE_OWNER_URL where that is set.

    An application's role, DATABASE_URL's then, is given what it needs and nothing more.
    """
    migrate(owner_url())
    owner, application = make_url(owner_url()).username, make_url(database_url()).username
    if application is not None and application != owner:
        with connected(owner_url()) as engine, engine.begin() as connection:
            roles.grant(connection, application)


@cli.command("first-data")
def first_data_command() -> None:
    """Load the first data into an empty database, and make the first administrator if there is none.

    The administrator comes from ADMIN_EMAIL and ADMIN_PASSWORD. Prints one line of JSON; a password that had to be
    made up stands in it, this once.
    """
    settings = settings_of_process()
    email = settings.admin_email or "admin@example.com"
    password = settings.admin_password or one_time_password()
    with connected() as engine:
        loaded = load_first_data(engine)
        with transaction(engine) as session:
            created = accounts.ensure_first_administrator(
                session, email=email, password=password, actor=first_data.ACTOR
            )
    said: dict[str, object] = {"loaded": loaded, "created_admin": created is not None, "email": email}
    if created is not None and settings.admin_password is None:
        said["password"] = password
    click.echo(json.dumps(said))


@cli.command("add-person")
@click.argument("email")
@click.option("--name", required=True, help="As shown in the audit.")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.VIEWER.value)
def add_person(email: str, name: str, role: str) -> None:
    """Add a person; the one-time password is printed once."""
    try:
        given = PersonInput(email=email, name=name, role=Role(role))
    except ValidationError as wrong:
        raise click.UsageError(" ".join(error["msg"] for error in wrong.errors())) from None
    with connected() as engine, transaction(engine) as session:
        person, password = accounts.add_person(
            session, email=given.email, name=given.name, role=given.role, actor=operator()
        )
    click.echo(f"{person.email} may sign in with the password {password}")


@cli.command("interaction-codes")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of the screen."
)
def interaction_codes_command(output: Path | None) -> None:
    """Print the registry's interactions as a Python module of constants, for applications to call by."""
    with connected() as engine, transaction(engine) as session:
        found = [(one.code, one.description) for one in list_interactions(session)]
    text = interaction_codes.as_python(found)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, "utf-8")


@cli.command("explain")
@click.argument("environment")
@click.argument("interaction")
@click.option("--tier", help="The subscription level of whoever asks.")
@click.option("--tenant", help="Their organisation.")
@click.option("--unit", help="The id that is bucketed: the user's, most often.")
@click.option("--conversation", help="The conversation, where conversations are bucketed.")
@click.option("--at", help="A moment such as 2026-11-24T09:00; UTC unless it says otherwise. Left out: now.")
@click.option("--values", help="Values of the template as JSON: then its text is rendered.")
@click.option(
    "--json", "as_json", is_flag=True, help="The whole answer as JSON, as GET /v1/explain gives it."
)
def explain_command(environment: str, interaction: str, *, as_json: bool, **given: str | None) -> None:
    """Say why a call of INTERACTION in ENVIRONMENT gets what it gets, now or at a moment of the past."""
    try:
        asked = ExplainInput.model_validate({"interaction": interaction, **given}).asked()
    except ValidationError as wrong:
        raise click.UsageError(" ".join(_said(error) for error in wrong.errors())) from None
    with connected() as engine:
        known_environments(engine, [environment])
        with transaction(engine) as session:
            found = answer(session, environment, asked, shared())
    if as_json:
        click.echo(json.dumps(found.document, ensure_ascii=False, indent=2))
        return
    explained = found.explained
    click.echo(f"{environment}, release {explained.release}, {explained.at:%Y-%m-%d %H:%M:%S} UTC")
    for number, step in enumerate(explained.steps, start=1):
        click.echo(f"{number:3}  {step.verdict.value:11}  {step.sentence}")
    click.echo(explained.sentence)
    if found.text is not None or found.problem is not None:
        click.echo(f"\n{found.text or found.problem}")


def _said(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


@cli.command("rehearse-bad-rollout")
@click.option("--environment", default="staging", show_default=True, help="Where.")
@click.option("--good-seconds", default=130.0, show_default=True, help="For how long all goes well first.")
def rehearse_bad_rollout(environment: str, good_seconds: float) -> None:
    """Start a rollout, have its model fail, and see the guard take it back; exit code 1 if it does not. Takes five minutes.

    For what ./run runs: calls its runtime some four times a second, ten minutes at most, where the echo answers. What it saves
    and starts stays, in the record too.
    """
    fails, port = os.environ.get(FAILS_FILE), settings_of_process().runtime_port
    if not fails:
        raise click.ClickException(f"{FAILS_FILE} is not set: this is for what ./run runs, without models.")
    with connected() as engine:
        known_environments(engine, [environment])
        rehearsal = Rehearsal(
            engine, environment, port, Path(fails), operator(), click.echo, good_seconds=good_seconds
        )
        sys.exit(0 if rehearsal.run() else 1)


for each in (
    record.audit,
    store.prune_command,
    store.verify_store,
    store.catch_up_command,
    store.bundle,
    keys.keys,
):
    cli.add_command(each)


def main() -> None:
    """Run the command line; a refusal is one clear line, not a traceback."""
    try:
        cli(standalone_mode=True)
    except (ControlPlaneError, StoreError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
