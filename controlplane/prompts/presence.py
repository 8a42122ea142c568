"""Who has the editor of a template open: said to others who have, so that they speak to one another. It locks nothing.

The browser says so every half minute while its tab is looked at; who was not heard of for longer than a minute is gone.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Text, case, cast, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.accounts.models import Person
from controlplane.db import now
from controlplane.prompts.models import PromptPresence

GONE: Final = dt.timedelta(seconds=75)


@dataclass(frozen=True)
class Other:
    """Somebody else at the same template."""

    name: str
    since: dt.datetime


def look_in(session: Session, code: str, *, actor: Actor) -> list[Other]:
    """Say that this person has the template open, and return who else has."""
    actor.require(Role.EDITOR)
    moment = now()
    session.execute(
        delete(PromptPresence).where(
            PromptPresence.prompt_code == code, PromptPresence.seen_at < moment - 10 * GONE
        )
    )
    mine = {"prompt_code": code, "person_id": uuid.UUID(actor.id), "since": moment, "seen_at": moment}
    was_gone = PromptPresence.seen_at < moment - GONE
    came_back = {"seen_at": moment, "since": case((was_gone, moment), else_=PromptPresence.since)}
    session.execute(
        insert(PromptPresence)
        .values(mine)
        .on_conflict_do_update(index_elements=["prompt_code", "person_id"], set_=came_back)
    )
    others = (
        select(Person.name, PromptPresence.since)
        .join(PromptPresence, PromptPresence.person_id == Person.id)
        .where(
            PromptPresence.prompt_code == code,
            PromptPresence.seen_at >= moment - GONE,
            cast(Person.id, Text) != actor.id,
        )
        .order_by(PromptPresence.since, Person.name)
    )
    return [Other(name, since) for name, since in session.execute(others)]
