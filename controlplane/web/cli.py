"""The command line: what an operator does without a browser. `./run cli --help` lists it."""

import datetime as dt
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from alembic import command
from alembic.config import Config
from pydantic import ValidationError
from sqlalchemy import Engine, make_url

from controlplane.accounts import services as accounts
from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.inputs import PersonInput
from controlplane.accounts.passwords import one_time_password
from controlplane.audit import archive, checks, roles
from controlplane.audit.verify import verify, verify_all
from controlplane.config import Settings, SettingsError
from controlplane.db import make_engine, transaction
from controlplane.errors import ControlPlaneError
from controlplane.explain.answering import answer
from controlplane.explain.asked import ExplainInput
from controlplane.first_data import load as first_data
from controlplane.guards.rehearsal import Rehearsal
from controlplane.prompts.render_pool import shared
from controlplane.registry import interaction_codes
from controlplane.registry.services import list_environments, list_interactions
from controlplane.releases import store_check
from controlplane.releases.catching_up import catch_up
from controlplane.releases.export import NotReadableError, Outcome, write_again
from controlplane.releases.prune import prune
from controlplane.runtime import bootstrap
from controlplane.runtime.errors import StoreError
from controlplane.runtime.providers.rehearsing import FAILS_FILE
from controlplane.runtime.signing import (
    PUBLIC_KEYS,
    SIGNING_KEY,
    Signer,
    SigningKeyError,
    Verifier,
    new_key_pair,
)
from controlplane.runtime.stores import EvidenceStore, PrunableStore, ReleaseStore
from controlplane.runtime.stores.build import store_from_environment

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


def _settings() -> Settings:
    try:
        return Settings.from_environment(os.environ)
    except SettingsError as wrong:
        raise click.ClickException(str(wrong)) from None


def _database_url() -> str:
    url = _settings().database_url
    if url is None:
        raise click.ClickException("DATABASE_URL is not set: start this through ./run cli, or set it.")
    return url


def _owner_url() -> str:
    return _settings().database_owner_url or _database_url()


@contextmanager
def _engine(url: str | None = None) -> Iterator[Engine]:
    engine = make_engine(url or _database_url())
    try:
        yield engine
    finally:
        engine.dispose()


def _operator() -> Actor:
    """Whoever sits at the machine; they can read the database anyway, so the role is the highest."""
    name = os.environ.get("USER") or "operator"
    return Actor(kind="system", id=name, name=name, role=Role.ADMIN, via="command line")


@click.group()
def cli() -> None:
    """Operate the control plane from the command line."""


@cli.command("migrate")
def migrate_command() -> None:
    """Bring the database schema up to date, as DATABASE_OWNER_URL where that is set.

    An application's role, DATABASE_URL's then, is given what it needs and nothing more.
    """
    migrate(_owner_url())
    owner, application = make_url(_owner_url()).username, make_url(_database_url()).username
    if application is not None and application != owner:
        with _engine(_owner_url()) as engine, engine.begin() as connection:
            roles.grant(connection, application)


@cli.command("first-data")
def first_data_command() -> None:
    """Load the first data into an empty database, and make the first administrator if there is none.

    The administrator comes from ADMIN_EMAIL and ADMIN_PASSWORD. Prints one line of JSON; a password that had to be
    made up stands in it, this once.
    """
    settings = _settings()
    email = settings.admin_email or "admin@example.com"
    password = settings.admin_password or one_time_password()
    with _engine() as engine:
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
    with _engine() as engine, transaction(engine) as session:
        person, password = accounts.add_person(
            session, email=given.email, name=given.name, role=given.role, actor=_operator()
        )
    click.echo(f"{person.email} may sign in with the password {password}")


@cli.command("interaction-codes")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of the screen."
)
def interaction_codes_command(output: Path | None) -> None:
    """Print the registry's interactions as a Python module of constants, for applications to call by."""
    with _engine() as engine, transaction(engine) as session:
        found = [(one.code, one.description) for one in list_interactions(session)]
    text = interaction_codes.as_python(found)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, "utf-8")


@cli.group()
def audit() -> None:
    """The record of changes."""


@audit.command("grant")
@click.argument("role")
def audit_grant(role: str) -> None:
    """Give ROLE, which exists, all that the site and the worker need, and no way to alter the record.

    Run as the owner of the tables (DATABASE_OWNER_URL, else DATABASE_URL); then have the site and the worker connect as ROLE.
    May be done again; migrations do so themselves.
    """
    with _engine(_owner_url()) as engine, engine.begin() as connection:
        roles.grant(connection, role)
    click.echo(f"{role} may run the site and the worker; of the record it can only add and read.")


@audit.command("verify")
@click.option(
    "--database-alone", is_flag=True, help="Without the anchors and the archive, which lie in the store."
)
def audit_verify(database_alone: bool) -> None:  # noqa: FBT001 - as click hands it over
    """Say whether the record is whole; exit code 1 if it is not, with everything that is wrong by name.

    Recomputes the chain of events, looks at what guards it, compares it with every anchor in the store and reads every
    archived month through. Signatures are checked where CONTROLPLANE_PUBLIC_KEYS is set.
    """
    with _engine() as engine, transaction(engine) as session:
        try:
            report = (
                verify(session)
                if database_alone
                else verify_all(session, _evidence_store(), verifier=_verifier())
            )
        except StoreError as problem:
            click.echo(verify(session).sentence)
            raise click.ClickException(f"What lies of it in the store cannot be read: {problem}") from None
        if not database_alone:
            checks.keep(session, report)
    click.echo(report.sentence)
    sys.exit(0 if report.intact else 1)


@audit.command("archive")
@click.option("--before", required=True, metavar="YEAR-MONTH", help="The first month that stays here.")
@click.option("--dry-run", is_flag=True, help="Only say which months would be moved.")
def audit_archive(before: str, dry_run: bool) -> None:  # noqa: FBT001 - as click hands it over
    """Move whole months of the record to the store, and drop them here once they were read back.

    Run as the owner of the tables (DATABASE_OWNER_URL, else DATABASE_URL). `audit verify` reads the archive too.
    """
    try:
        day = dt.datetime.strptime(before, "%Y-%m").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise click.UsageError(f"{before} is not a month such as 2026-01.") from None
    with _engine(_owner_url()) as engine:
        if dry_run:
            with transaction(engine) as session:
                found = archive.months(session, before=day)
                hindered = archive.hindrance(session, before=day) if found else None
            for month in found:
                click.echo(month.words)
            if hindered:
                click.echo(f"Nothing would be moved: {hindered}")
                return
        else:
            try:
                found = archive.archive(
                    engine,
                    _evidence_store(),
                    before=day,
                    signer=_signer(),
                    actor=_operator(),
                    told=click.echo,
                )
            except archive.NotArchivedError as problem:
                raise click.ClickException(str(problem)) from None
    click.echo(f"{'would be moved' if dry_run else 'moved'}: {len(found)} months")


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
    with _engine() as engine:
        _known(engine, [environment])
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
    fails, port = os.environ.get(FAILS_FILE), _settings().runtime_port
    if not fails:
        raise click.ClickException(f"{FAILS_FILE} is not set: this is for what ./run runs, without models.")
    with _engine() as engine:
        _known(engine, [environment])
        rehearsal = Rehearsal(
            engine, environment, port, Path(fails), _operator(), click.echo, good_seconds=good_seconds
        )
        sys.exit(0 if rehearsal.run() else 1)


@cli.command("prune")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
def prune_command(dry_run: bool) -> None:  # noqa: FBT001 - as click hands it over
    """Delete from the store what nothing needs any more: snapshots, template texts, items of entries and cards.

    Never what a pointer names, what the last 50 releases of an environment or those of the last 30 days hold, or what was
    written within 30 days. Workers may go on meanwhile.
    """
    with _engine() as engine:
        pruned = prune(engine, _prunable_store(), actor=_operator(), dry_run=dry_run)
    for line in pruned.lines:
        click.echo(line)
    click.echo(f"in all: {pruned.words}")


@cli.command("verify-store")
@click.argument("environments", nargs=-1)
@click.option("--heal", is_flag=True, help="Write everything again where something differs, and look again.")
def verify_store(environments: tuple[str, ...], heal: bool) -> None:  # noqa: FBT001 - as click hands it over
    """Compare the store with the database, in all ENVIRONMENTS or in these; exit code 1 if something differs.

    Looks at the pointer and its signature, the snapshot, every template text, every entry and card, and whether the
    kill switches can be read. Signatures are checked where CONTROLPLANE_PUBLIC_KEYS is set.
    """
    store, verifier = store_from_environment(os.environ), _verifier()
    different = False
    with _engine() as engine:
        for environment in _known(engine, environments):
            found = store_check.look(engine, store, environment, verifier=verifier)
            _tell_drifts(environment, found)
            if found and heal:
                click.echo(f"{environment}: {_healed(engine, store, environment)}")
                found = store_check.look(engine, store, environment, verifier=verifier)
                _tell_drifts(environment, found)
            different |= bool(found)
    sys.exit(1 if different else 0)


@cli.command("catch-up")
@click.argument("environment")
@click.option("--reason", default="", help="Why, for the record; protected environments ask for one.")
def catch_up_command(environment: str, reason: str) -> None:
    """Go on in ENVIRONMENT from what this database has, although the store is ahead of it or has another history.

    For after a restore of an older database, when there is no newer copy. What is live here becomes a new release, with a
    number above all that the store has seen, and services follow to it. Refused while the store is not ahead.
    """
    pointer = store_from_environment(os.environ).read_pointer(environment)
    if pointer is None:
        raise click.ClickException(
            f"The store has no pointer of {environment}: there is nothing to catch up with."
        )
    with _engine() as engine, transaction(engine) as session:
        release = catch_up(session, environment, pointer=pointer, reason=reason, actor=_operator())
    click.echo(
        f"{environment}: release {release.number} goes out over the store's release {pointer.release}: {release.summary}."
        " The worker brings it to the store; its page says how far it is."
    )


def _prunable_store() -> PrunableStore:
    store = store_from_environment(os.environ)
    if not isinstance(store, PrunableStore):
        raise click.ClickException("This store cannot be listed.")
    return store


def _evidence_store() -> EvidenceStore:
    store = store_from_environment(os.environ)
    if not isinstance(store, EvidenceStore):
        raise click.ClickException("This store keeps no evidence.")
    return store


def _signer() -> Signer | None:
    try:
        return Signer.from_environment(os.environ)
    except SigningKeyError as wrong:
        raise click.ClickException(str(wrong)) from None


def _verifier() -> Verifier:
    try:
        return Verifier.from_environment(os.environ)
    except SigningKeyError as wrong:
        raise click.ClickException(str(wrong)) from None


def _known(engine: Engine, asked: Sequence[str]) -> list[str]:
    with transaction(engine) as session:
        known = [environment.code for environment in list_environments(session)]
    if unknown := [code for code in asked if code not in known]:
        raise click.UsageError(f"There is no environment {', '.join(unknown)}; there are {', '.join(known)}.")
    return list(asked) or known


def _tell_drifts(environment: str, found: Sequence[str]) -> None:
    for line in found or ["as it should be"]:
        click.echo(f"{environment}: {line}")


def _healed(engine: Engine, store: ReleaseStore, environment: str) -> str:
    """Write everything again, and say what came of it."""
    signer = _signer()
    try:
        pointer = store.read_pointer(environment)
        if signer is None and pointer is not None and pointer.key_id is not None:
            return f"not healed: what is there is signed with {pointer.key_id}, and {SIGNING_KEY} is not set"
        outcome = write_again(engine, store, environment, signer=signer)
    except (StoreError, NotReadableError) as problem:
        return f"not healed: {problem}"
    return _OUTCOMES.get(outcome, "everything was written again")


_OUTCOMES = {
    Outcome.AHEAD: "not healed: the store holds what this database does not know",
    Outcome.NOTHING: "not healed: there is no release to write",
    Outcome.SUPERSEDED: "a newer release came meanwhile",
}


@cli.group()
def keys() -> None:
    """The keys that releases are signed with."""


@keys.command("new")
@click.argument("key_id")
def keys_new(key_id: str) -> None:
    """Make a key and print both halves, each as the variable that holds it. Nothing is kept.

    KEY_ID is how releases name the key; the year and a word will do: 2026-blue.
    """
    try:
        pair = new_key_pair(key_id)
    except SigningKeyError as wrong:
        raise click.UsageError(str(wrong)) from None
    click.echo("# For the worker alone; a secret.")
    click.echo(f"{SIGNING_KEY}={pair.signing}")
    click.echo("# For whatever reads releases; several with commas between them.")
    click.echo(f"{PUBLIC_KEYS}={pair.public}")


@cli.command("bundle")
@click.argument("environment")
def bundle(environment: str) -> None:
    """Write the live release of ENVIRONMENT to the standard output, as a file to ship with an application.

    What is read is the store that services read; see `bootstrap` in the guide to the runtime.
    """
    click.echo(bootstrap.main([environment], os.environ), nl=False)


def main() -> None:
    """Run the command line; a refusal is one clear line, not a traceback."""
    try:
        cli(standalone_mode=True)
    except (ControlPlaneError, StoreError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
