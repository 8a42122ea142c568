"""Views of the list of changes that people keep: a query under a name, for oneself or for everybody."""

import uuid
from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import SavedView
from controlplane.audit.services import record
from controlplane.db import now
from controlplane.errors import Forbidden, NotFound, Refused

MOST = 50


def views_for(session: Session, actor: Actor) -> Sequence[SavedView]:
    """Return the views of a person and those shared with everybody, by name."""
    query = select(SavedView).where(or_(SavedView.owner_id == actor.id, SavedView.shared))
    return session.scalars(query.order_by(SavedView.name, SavedView.owner_name, SavedView.id)).all()


def save_view(session: Session, *, name: str, query: str, shared: bool, actor: Actor) -> SavedView:
    """Keep a query under a name; what its owner kept under that name before is replaced.

    A view of one's own changes nothing for anybody else and is not recorded; sharing one is.
    """
    if shared:
        actor.require(Role.PUBLISHER)
    name = " ".join(name.split())
    kept = session.scalars(select(SavedView).where(SavedView.owner_id == actor.id)).all()
    before = next((each for each in kept if each.name == name), None)
    if before is None and len(kept) >= MOST:
        raise Refused({"name": f"You have {MOST} views: remove one first."})
    was_shared = before is not None and before.shared
    values = {"query": query, "shared": shared, "owner_name": actor.name}
    session.execute(
        insert(SavedView)
        .values(id=uuid.uuid4(), owner_id=actor.id, name=name, created_at=now(), **values)
        .on_conflict_do_update(index_elements=["owner_id", "name"], set_=values)
    )
    view = session.scalars(
        select(SavedView)
        .where(SavedView.owner_id == actor.id, SavedView.name == name)
        .execution_options(populate_existing=True)
    ).one()
    if shared:
        _told(
            session,
            view,
            "view.shared",
            f"shared the view “{name}” of the changes: {query or 'all of them'}",
            actor,
        )
    elif was_shared:
        _told(
            session,
            view,
            "view.unshared",
            f"stopped sharing the view “{name}” of the changes",
            actor,
        )
    return view


def remove_view(session: Session, identifier: uuid.UUID, *, actor: Actor) -> SavedView:
    """Remove a view: its owner may, and administrators may remove what is shared."""
    view = session.get(SavedView, identifier)
    if view is None or not (view.shared or view.owner_id == actor.id):
        raise NotFound("view", identifier)
    if view.owner_id != actor.id and not actor.role.includes(Role.ADMIN):
        raise Forbidden(Role.ADMIN.label)
    session.delete(view)
    session.flush()
    if view.shared:
        _told(
            session,
            view,
            "view.removed",
            f"removed the view “{view.name}” of the changes, which all had",
            actor,
        )
    return view


def _told(session: Session, view: SavedView, action: str, sentence: str, actor: Actor) -> None:
    record(
        session,
        actor=actor,
        action=action,
        object_kind="view",
        object_key=view.name,
        sentence=sentence,
        after={"query": view.query} if action == "view.shared" else None,
    )
