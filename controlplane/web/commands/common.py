"""What commands have in common: settings, the database, keys, and who gives the command."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click
from sqlalchemy import Engine

from controlplane.accounts.actor import Actor, Role
from controlplane.config import Settings, SettingsError
from controlplane.db import make_engine, transaction
from controlplane.registry.services import list_environments
from controlplane.runtime.signing import Signer, SigningKeyError, Verifier


def settings_of_process() -> Settings:
    """What the environment says; ends the command with one line where it is wrong."""
    try:
        return Settings.from_environment(os.environ)
    except SettingsError as wrong:
        raise click.ClickException(str(wrong)) from None


def database_url() -> str:
    """Where the database is; ends the command where nobody said."""
    url = settings_of_process().database_url
    if url is None:
        raise click.ClickException("DATABASE_URL is not set: start this through ./run cli, or set it.")
    return url


def owner_url() -> str:
    """The same as the role that owns the tables, where that is another."""
    return settings_of_process().database_owner_url or database_url()


@contextmanager
def connected(url: str | None = None) -> Iterator[Engine]:
    """An engine for one command."""
    engine = make_engine(url or database_url())
    try:
        yield engine
    finally:
        engine.dispose()


def operator() -> Actor:
    """Whoever sits at the machine; they can read the database anyway, so the role is the highest."""
    name = os.environ.get("USER") or "operator"
    return Actor(kind="system", id=name, name=name, role=Role.ADMIN, via="command line")


def signer_of_process() -> Signer | None:
    """The key to sign with, if there is one."""
    try:
        return Signer.from_environment(os.environ)
    except SigningKeyError as wrong:
        raise click.ClickException(str(wrong)) from None


def verifier_of_process() -> Verifier:
    """The public keys that are believed."""
    try:
        return Verifier.from_environment(os.environ)
    except SigningKeyError as wrong:
        raise click.ClickException(str(wrong)) from None


def known_environments(engine: Engine, asked: Sequence[str]) -> list[str]:
    """The environments asked for, all where none was; ends the command at one that is not there."""
    with transaction(engine) as session:
        known = [environment.code for environment in list_environments(session)]
    if unknown := [code for code in asked if code not in known]:
        raise click.UsageError(f"There is no environment {', '.join(unknown)}; there are {', '.join(known)}.")
    return list(asked) or known
