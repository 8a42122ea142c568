"""Commands on the store that services read: what is in it, whether that is right, and what may go."""

import os
import sys
from collections.abc import Sequence

import click
from sqlalchemy import Engine

from controlplane.db import transaction
from controlplane.releases import store_check
from controlplane.releases.catching_up import catch_up
from controlplane.releases.export import NotReadableError, Outcome, write_again
from controlplane.releases.prune import prune
from controlplane.runtime import bootstrap
from controlplane.runtime.errors import StoreError
from controlplane.runtime.signing import SIGNING_KEY
from controlplane.runtime.stores import PrunableStore, ReleaseStore
from controlplane.runtime.stores.build import store_from_environment
from controlplane.web.commands.common import (
    connected,
    known_environments,
    operator,
    signer_of_process,
    verifier_of_process,
)


@click.command("prune")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
def prune_command(dry_run: bool) -> None:  # noqa: FBT001 - as click hands it over
    """Delete from the store what nothing needs any more: snapshots, template texts, items of entries and cards.

    Never what a pointer names, what the last 50 releases of an environment or those of the last 30 days hold, or what was
    written within 30 days. Workers may go on meanwhile.
    """
    with connected() as engine:
        pruned = prune(engine, _prunable_store(), actor=operator(), dry_run=dry_run)
    for line in pruned.lines:
        click.echo(line)
    click.echo(f"in all: {pruned.words}")


@click.command("verify-store")
@click.argument("environments", nargs=-1)
@click.option("--heal", is_flag=True, help="Write everything again where something differs, and look again.")
def verify_store(environments: tuple[str, ...], heal: bool) -> None:  # noqa: FBT001 - as click hands it over
    """Compare the store with the database, in all ENVIRONMENTS or in these; exit code 1 if something differs.

    Looks at the pointer and its signature, the snapshot, every template text, every entry and card, and whether the
    kill switches can be read. Signatures are checked where CONTROLPLANE_PUBLIC_KEYS is set.
    """
    store, verifier = store_from_environment(os.environ), verifier_of_process()
    different = False
    with connected() as engine:
        for environment in known_environments(engine, environments):
            found = store_check.look(engine, store, environment, verifier=verifier)
            _tell_drifts(environment, found)
            if found and heal:
                click.echo(f"{environment}: {_healed(engine, store, environment)}")
                found = store_check.look(engine, store, environment, verifier=verifier)
                _tell_drifts(environment, found)
            different |= bool(found)
    sys.exit(1 if different else 0)


@click.command("catch-up")
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
    with connected() as engine, transaction(engine) as session:
        release = catch_up(session, environment, pointer=pointer, reason=reason, actor=operator())
    click.echo(
        f"{environment}: release {release.number} goes out over the store's release {pointer.release}: {release.summary}."
        " The worker brings it to the store; its page says how far it is."
    )


@click.command("bundle")
@click.argument("environment")
def bundle(environment: str) -> None:
    """Write the live release of ENVIRONMENT to the standard output, as a file to ship with an application.

    What is read is the store that services read; see `bootstrap` in the guide to the runtime.
    """
    click.echo(bootstrap.main([environment], os.environ), nl=False)


def _prunable_store() -> PrunableStore:
    store = store_from_environment(os.environ)
    if not isinstance(store, PrunableStore):
        raise click.ClickException("This store cannot be listed.")
    return store


def _tell_drifts(environment: str, found: Sequence[str]) -> None:
    for line in found or ["as it should be"]:
        click.echo(f"{environment}: {line}")


def _healed(engine: Engine, store: ReleaseStore, environment: str) -> str:
    """Write everything again, and say what came of it."""
    signer = signer_of_process()
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
