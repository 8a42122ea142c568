"""Private drafts: unsaved work of one person on one thing, kept as typed. Nobody else sees it, no audit event tells of it.

A feature's table takes its columns from `Draft` and adds the thing it is about and what was typed; its services keep and
drop its rows through one `Drafts`:

DRAFTS = Drafts(ConfigurationDraft, ConfigurationDraft.place)

What is a text of versions with a number and a body has `TextDrafts`.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from sqlalchemy import ColumnElement, ForeignKey, ScalarResult, Text, cast, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from controlplane.accounts.actor import Actor
from controlplane.db import Json, now
from controlplane.runtime.profile import normalise

# How long a draft that was thrown away can be had back; the page offers it for some seconds.
UNDO: Final = dt.timedelta(minutes=10)


class Draft:
    """The columns of every draft. `base_version` is the version it was begun from, 0 where there was none."""

    person_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("people.id", ondelete="CASCADE"), primary_key=True
    )
    base_version: Mapped[int]
    updated_at: Mapped[dt.datetime]
    discarded_at: Mapped[dt.datetime | None]


D = TypeVar("D", bound=Draft)


@dataclass(frozen=True)
class Drafts(Generic[D]):
    """The drafts of one feature: its table, and the column that says what a draft is about."""

    table: type[D]
    subject: InstrumentedAttribute[str]

    def find(self, session: Session, subject: str, *, actor: Actor) -> D | None:
        """The person's draft of `subject`, if there is one that was not thrown away."""
        return self._mine(session, actor, self.subject == subject).one_or_none()

    def all_of(self, session: Session, *, actor: Actor) -> list[D]:
        """All drafts of this person, by what they are about."""
        return list(self._mine(session, actor))

    def keep(
        self, session: Session, subject: str, *, base_version: int, typed: dict[str, Any], actor: Actor
    ) -> D:
        """Keep what was typed in place of what this person's draft held before."""
        values = {**typed, "base_version": base_version, "updated_at": now(), "discarded_at": None}
        name = self.subject.key
        # Two tabs keep at once: the later one wins, neither fails.
        statement = insert(self.table).values({name: subject, "person_id": uuid.UUID(actor.id), **values})
        statement = statement.on_conflict_do_update(index_elements=[name, "person_id"], set_=values)
        return session.scalars(
            statement.returning(self.table), execution_options={"populate_existing": True}
        ).one()

    def drop(self, session: Session, subject: str, *, actor: Actor) -> None:
        """The draft became a version, or says nothing that is not saved: it is gone for good.

        What a program saves in somebody's name is not what they were writing: their draft stays.
        """
        if actor.kind == "token":
            return
        self.hold(session, subject, actor=actor)
        session.execute(delete(self.table).where(self.subject == subject, self._of(actor)))

    def discard(self, session: Session, subject: str, *, actor: Actor) -> None:
        """Throw the draft away; for `UNDO` it can be had back."""
        self.hold(session, subject, actor=actor)
        session.execute(delete(self.table).where(self._of(actor), self.table.discarded_at < now() - UNDO))
        mine = (self.subject == subject, self._of(actor), self.table.discarded_at.is_(None))
        session.execute(update(self.table).where(*mine).values(discarded_at=now()))

    def bring_back(self, session: Session, subject: str, *, actor: Actor) -> bool:
        """Undo `discard`; False when there is nothing to be had back any more."""
        thrown_away = (
            self.subject == subject,
            self._of(actor),
            self.table.discarded_at > now() - UNDO,
        )
        statement = update(self.table).where(*thrown_away).values(discarded_at=None)
        return session.scalar(statement.returning(self.subject)) is not None

    def hold(self, session: Session, subject: str, *, actor: Actor) -> None:
        """Keep others from writing this draft until the transaction ends.

        The browser keeps a draft as somebody leaves a field for the button that saves it as a version: without this, the
        draft could be written just after the version that ended it.
        """
        name = f"{self.subject}:{subject}:{actor.id}"
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))

    def _mine(self, session: Session, actor: Actor, *conditions: ColumnElement[bool]) -> ScalarResult[D]:
        conditions = (self._of(actor), self.table.discarded_at.is_(None), *conditions)
        query = select(self.table).where(*conditions).order_by(self.subject)
        return session.scalars(query, execution_options={"populate_existing": True})

    def _of(self, actor: Actor) -> ColumnElement[bool]:
        # Compared as text: parts of the system act too, and their ids are no people's.
        return cast(self.table.person_id, Text) == actor.id


@dataclass(frozen=True)
class TextDrafts(Drafts[D]):
    """The drafts of texts: the column of their versions' table that says which text a version is of."""

    versions_of: InstrumentedAttribute[str]

    def keep_text(
        self,
        session: Session,
        subject: str,
        *,
        body: str,
        beside: Json,
        base_version: int,
        actor: Actor,
    ) -> D | None:
        """Keep a text as it is, right or wrong, with what was typed `beside` it, storable already.

        None when there is nothing to keep: somebody saved this very text since, most often the same person a moment ago.
        """
        body = normalise(body)
        self.hold(session, subject, actor=actor)
        table = self.versions_of.class_
        versions = select(table.number, table.body).where(self.versions_of == subject)
        newest = session.execute(versions.order_by(table.number.desc()).limit(1)).one()
        if base_version < newest.number and body == newest.body:
            self.drop(session, subject, actor=actor)
            return None
        typed = {**beside, **storable({"body": body})}
        base = min(base_version, newest.number)
        return self.keep(session, subject, base_version=base, typed=typed, actor=actor)


class Version(Protocol):
    """What is told of a saved version beside a draft."""

    @property
    def number(self) -> int:
        """Its number; they only rise."""

    @property
    def author_name(self) -> str:
        """Who saved it."""

    @property
    def created_at(self) -> dt.datetime:
        """When."""


@dataclass(frozen=True)
class Note:
    """What a page says of somebody's draft; `is_open` when the form on the page holds it."""

    draft: Draft
    newest: Version | None
    is_open: bool

    @property
    def is_behind(self) -> bool:
        """Whether a version was saved after the draft was begun."""
        return self.newest is not None and self.newest.number != self.draft.base_version


def storable(typed: Json) -> Json:
    """What was typed as jsonb can hold it, which knows no NUL character."""
    return {name: _without_nul(value) for name, value in typed.items()}


def _without_nul(value: Any) -> Any:
    return [_without_nul(each) for each in value] if isinstance(value, list) else value.replace("\x00", "�")
