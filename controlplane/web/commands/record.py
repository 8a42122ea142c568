"""Commands on the record of changes: who may write it, whether it is whole, what of it moves to the archive."""

import datetime as dt
import os
import sys

import click

from controlplane.audit import archive, checks, roles
from controlplane.audit.verify import verify, verify_all
from controlplane.db import transaction
from controlplane.runtime.errors import StoreError
from controlplane.runtime.stores import EvidenceStore
from controlplane.runtime.stores.build import store_from_environment
from controlplane.web.commands.common import (
    connected,
    operator,
    owner_url,
    signer_of_process,
    verifier_of_process,
)


@click.group()
def audit() -> None:
    """The record of changes."""


@audit.command("grant")
@click.argument("role")
def audit_grant(role: str) -> None:
    """Give ROLE, which exists, all that the site and the worker need, and no way to alter the record.

    Run as the owner of the tables (DATABASE_OWNER_URL, else DATABASE_URL); then have the site and the worker connect as ROLE.
    May be done again; migrations do so themselves.
    """
    with connected(owner_url()) as engine, engine.begin() as connection:
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
    with connected() as engine, transaction(engine) as session:
        try:
            report = (
                verify(session)
                if database_alone
                else verify_all(session, _evidence_store(), verifier=verifier_of_process())
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
    with connected(owner_url()) as engine:
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
                    signer=signer_of_process(),
                    actor=operator(),
                    told=click.echo,
                )
            except archive.NotArchivedError as problem:
                raise click.ClickException(str(problem)) from None
    click.echo(f"{'would be moved' if dry_run else 'moved'}: {len(found)} months")


def _evidence_store() -> EvidenceStore:
    store = store_from_environment(os.environ)
    if not isinstance(store, EvidenceStore):
        raise click.ClickException("This store keeps no evidence.")
    return store
