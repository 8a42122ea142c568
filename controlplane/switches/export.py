"""Bringing the kill switches to the store: what is there is compared with what should be, over and over.

Readers never go back, and the store takes no earlier version: where it has a later one than the database knows (an older
database was restored), or the same with other content, or nothing that can be read, the database's version jumps ahead of it
and the document is written again. So a switch can always be thrown, whatever happened to either side.
"""

import enum
from typing import NamedTuple

from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from controlplane.db import now, transaction
from controlplane.runtime.errors import StoreError
from controlplane.runtime.signing import Signer
from controlplane.runtime.stores import ReleaseStore
from controlplane.runtime.stores.base import SwitchesUnreadableError
from controlplane.runtime.switches import document
from controlplane.switches.documents import as_obeyed, next_version, version_in
from controlplane.switches.models import KillSwitch, SwitchDocument
from controlplane.switches.services import lock_document, thrown_in


class Outcome(enum.StrEnum):
    """What bringing up an environment came to."""

    NOTHING = "nothing"  # no switch was ever thrown, and the store knows of none
    CURRENT = "current"
    WRITTEN = "written"
    OVERTAKEN = "overtaken"  # somebody wrote a later one meanwhile; the next look settles it


class _Wanted(NamedTuple):
    version: int
    data: bytes


def bring_up(engine: Engine, store: ReleaseStore, environment: str, signer: Signer | None) -> Outcome:
    """Make the store's document of kill switches say what is thrown; nothing is written when it does already.

    Raises `StoreError` when the store cannot be asked or written, after noting it where the site shows it.
    """
    try:
        return _bring_up(engine, store, environment, signer)
    except StoreError as problem:
        _note(engine, environment, problem=str(problem))
        raise


def _bring_up(engine: Engine, store: ReleaseStore, environment: str, signer: Signer | None) -> Outcome:
    found = _read(store, environment)
    with transaction(engine) as session:
        wanted, noted = _as_known(session, environment, signer)
    if wanted is None and found is None:
        return Outcome.NOTHING
    if wanted is not None and wanted.data == found:
        if not noted:
            _note(engine, environment, exported=wanted.version)
        return Outcome.CURRENT
    wanted = _due(engine, environment, found, signer)
    if not store.write_switches(environment, wanted.data, version=wanted.version):
        return _overtaken(engine, store, environment, found)
    _note(engine, environment, exported=wanted.version)
    return Outcome.WRITTEN


def _read(store: ReleaseStore, environment: str) -> bytes | None:
    try:
        return store.read_switches(environment)
    except SwitchesUnreadableError:
        return b""  # there is something, and nobody can read it


def _as_known(session: Session, environment: str, signer: Signer | None) -> tuple[_Wanted | None, bool]:
    """Return the document as the database has it, None before there was one, and whether it is noted as exported."""
    # One statement, so that version and switches are of one moment without a lock.
    both = select(SwitchDocument, KillSwitch).outerjoin(
        KillSwitch, KillSwitch.environment == SwitchDocument.environment
    )
    rows = session.execute(both.where(SwitchDocument.environment == environment)).all()
    if not rows:
        return None, False
    row: SwitchDocument = rows[0][0]
    thrown = [switch for _, switch in rows if switch is not None]
    return _wanted(row, thrown, signer), row.is_exported and row.problem is None


def _wanted(row: SwitchDocument, thrown: "list[KillSwitch]", signer: Signer | None) -> _Wanted:
    obeyed = as_obeyed(thrown)
    data = document(obeyed, environment=row.environment, version=row.version, signer=signer)
    return _Wanted(row.version, data)


def _due(engine: Engine, environment: str, found: bytes | None, signer: Signer | None) -> _Wanted:
    """Return the document to write: under the version it has, or under a new one where the store would not take that."""
    with transaction(engine) as session:
        row = lock_document(session, environment)
        named = version_in(found)
        is_behind = row.version > named and (named > 0 or found is None)
        is_lost = found is None and row.is_exported
        if is_lost or not is_behind:
            row.version = next_version(max(row.version, named), now())
        return _wanted(row, list(thrown_in(session, environment)), signer)


def _overtaken(engine: Engine, store: ReleaseStore, environment: str, found: bytes | None) -> Outcome:
    # What cannot be read, and is still there, does not go away by looking again.
    if found is not None and not version_in(found) and _read(store, environment) == found:
        _note(
            engine,
            environment,
            problem="the store has a document that cannot be read, under a later version: delete it there",
        )
    return Outcome.OVERTAKEN


def _note(
    engine: Engine, environment: str, *, exported: int | None = None, problem: str | None = None
) -> None:
    """Keep how it went; where nothing changed, nothing is written."""
    of_it = SwitchDocument.environment == environment
    if exported is None:
        told = update(SwitchDocument).where(of_it, SwitchDocument.problem.is_distinct_from(problem))
        told = told.values(problem=problem)
    else:
        # Two workers may note in the other order than they wrote.
        latest = func.greatest(SwitchDocument.exported_version, exported)
        told = update(SwitchDocument).where(of_it)
        told = told.values(exported_version=latest, exported_at=now(), problem=None)
    with transaction(engine) as session:
        session.execute(told)
