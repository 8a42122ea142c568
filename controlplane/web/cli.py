"""The command line: what an operator does without a browser. `./run cli --help` lists it."""

import json
import os
import sys
from pathlib import Path

import click
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from controlplane.accounts import services as accounts
from controlplane.accounts.actor import Actor, Role
from controlplane.audit.verify import verify
from controlplane.db import make_engine, transaction
from controlplane.errors import ControlPlaneError
from controlplane.first_data import load as first_data

ROOT = Path(__file__).resolve().parents[2]


def migrate(database_url: str) -> None:
    """Bring the schema of `database_url` up to date; safe to run at once from several places."""
    config = Config(toml_file=ROOT / "pyproject.toml")
    config.set_main_option("script_location", str(ROOT / "migrations"))
    engine = make_engine(database_url)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    engine.dispose()


def load_first_data(engine: Engine) -> bool:
    """Load the first data if the database is empty; True if it was."""
    with transaction(engine) as session:
        if not first_data.is_empty(session):
            return False
        first_data.load(session)
        return True


def _engine() -> Engine:
    url = os.environ.get("DATABASE_URL")
    if not url:
        raise click.ClickException("DATABASE_URL is not set: start this through ./run cli, or set it.")
    return make_engine(url)


def _operator() -> Actor:
    """Whoever sits at the machine; they can read the database anyway, so the role is the highest."""
    name = os.environ.get("USER") or "operator"
    return Actor(kind="system", id=name, name=name, role=Role.ADMIN, via="command line")


@click.group()
def cli() -> None:
    """Operate the control plane from the command line."""


@cli.command("migrate")
def migrate_command() -> None:
    """Bring the database schema up to date."""
    migrate(_engine().url.render_as_string(hide_password=False))


@cli.command("first-data")
def first_data_command() -> None:
    """Load the first data into an empty database, and make the first administrator if there is none.

    The administrator comes from ADMIN_EMAIL and ADMIN_PASSWORD. Prints one line of JSON.
    """
    engine = _engine()
    loaded = load_first_data(engine)
    with transaction(engine) as session:
        email = os.environ.get("ADMIN_EMAIL", "admin@example.com")
        created = accounts.ensure_first_administrator(
            session, email=email, password=os.environ.get("ADMIN_PASSWORD", ""), actor=first_data.ACTOR
        )
    click.echo(json.dumps({"loaded": loaded, "created_admin": created is not None, "email": email}))


@cli.command("add-person")
@click.argument("email")
@click.option("--name", required=True, help="As shown in the audit.")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.VIEWER.value)
def add_person(email: str, name: str, role: str) -> None:
    """Add a person; the one-time password is printed once."""
    with transaction(_engine()) as session:
        _, password = accounts.add_person(session, email=email, name=name, role=Role(role), actor=_operator())
    click.echo(f"{email} may sign in with the password {password}")


@cli.group()
def audit() -> None:
    """The record of changes."""


@audit.command("verify")
def audit_verify() -> None:
    """Recompute the chain of events and say where it is broken; exit code 1 if it is."""
    with transaction(_engine()) as session:
        report = verify(session)
    click.echo(report.sentence)
    sys.exit(0 if report.intact else 1)


def main() -> None:
    """Run the command line; a refusal is one clear line, not a traceback."""
    try:
        cli(standalone_mode=True)
    except ControlPlaneError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
