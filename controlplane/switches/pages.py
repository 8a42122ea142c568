"""What the pages of kill switches show: small frozen values, put together from what is thrown and who obeys it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from controlplane.audit.finding import newest
from controlplane.audit.language import Query, Term
from controlplane.audit.models import AuditEvent
from controlplane.fleet.models import Process
from controlplane.fleet.standing import processes
from controlplane.registry.models import Environment
from controlplane.registry.services import list_environments, list_interactions
from controlplane.switches.models import EVERYTHING, KillSwitch, SwitchDocument
from controlplane.switches.services import OBJECT_KIND, thrown_in

_LAST_CHANGES = 5
# A reader looks every 5 s and tells within 1 s; whoever listens to it looks every 2 s.
_TELLING = dt.timedelta(seconds=10)


@dataclass(frozen=True)
class Line:
    """One switch: of an interaction (`target`), thrown or not, and whether that of everything is."""

    target: str
    switch: KillSwitch | None
    everything: bool = False

    @property
    def off(self) -> bool:
        """Whether its calls take the built-in path."""
        return self.switch is not None or self.everything

    @property
    def words(self) -> str:
        """Its state in words."""
        if self.switch:
            return "Thrown"
        return "Off with everything" if self.everything else "Not thrown"


@dataclass(frozen=True)
class Own:
    """A process that obeys switches which nobody has thrown here: a file or a variable of its own has."""

    process: str
    names: str


@dataclass(frozen=True)
class Reach:
    """How far what is thrown, or lifted, has come: to the store, and from there to the processes.

    `obeying` of `running` processes have told that they do exactly what is said here; `own` do more than that, for good.
    """

    exported: bool
    exported_at: dt.datetime | None
    problem: str | None
    running: int
    obeying: int
    own: Sequence[Own]

    @property
    def moving(self) -> bool:
        """Whether there is something to wait for."""
        return not self.exported or self.problem is not None or self.obeying + len(self.own) < self.running


@dataclass(frozen=True)
class IndexPage:
    """Every switch of one environment, the thrown ones first; `reach` is None before there was one."""

    everything: Line
    lines: Sequence[Line]
    reach: Reach | None
    changes: Sequence[AuditEvent]
    guarded: bool


@dataclass(frozen=True)
class Place:
    """The switches that matter to one interaction in one environment."""

    environment: str
    line: Line


def index_page(session: Session, environment: str) -> IndexPage:
    """Return the page of an environment's switches."""
    thrown = {switch.target: switch for switch in thrown_in(session, environment)}
    codes = sorted(thrown.keys() - {EVERYTHING})
    codes += [row.code for row in list_interactions(session) if row.code not in thrown]
    all_off = EVERYTHING in thrown
    return IndexPage(
        everything=Line(EVERYTHING, thrown.get(EVERYTHING)),
        lines=[Line(code, thrown.get(code), all_off) for code in codes],
        reach=_reach(session, environment, set(thrown)),
        changes=newest(
            session, Query((Term(OBJECT_KIND, "kind"), Term(environment, "env"))), limit=_LAST_CHANGES
        ),
        guarded=is_guarded(session, environment),
    )


def line_of(session: Session, environment: str, target: str) -> Line:
    """Return one switch."""
    thrown = {switch.target: switch for switch in thrown_in(session, environment)}
    return Line(target, thrown.get(target), target != EVERYTHING and EVERYTHING in thrown)


def places_of(session: Session, interaction: str) -> list[Place]:
    """Return the switch of an interaction in every environment."""
    return [Place(row.code, line_of(session, row.code, interaction)) for row in list_environments(session)]


def is_guarded(session: Session, environment: str) -> bool:
    """Return whether turning a switch here is an emergency that somebody looks at afterwards."""
    return session.get_one(Environment, environment).is_guarded


def _reach(session: Session, environment: str, thrown: set[str]) -> Reach | None:
    row = session.get(SwitchDocument, environment)
    running = [each for each in processes(session, environment) if each.gone_at is None]
    settled = [each for each in running if _is_settled(each, row)]
    own = [Own(each.process, ", ".join(names)) for each in settled if (names := _own(each, thrown))]
    if row is None and not own:
        return None
    return Reach(
        exported=row is None or row.is_exported,
        exported_at=row.exported_at if row else None,
        problem=row.problem if row else None,
        running=len(running),
        obeying=sum(set(each.thrown) == thrown for each in running),
        own=own,
    )


def _is_settled(process: Process, row: SwitchDocument | None) -> bool:
    """Whether what a process tells of its switches is of after the last change, and not on its way to be told."""
    return row is None or row.exported_at is None or process.heard_at > row.exported_at + _TELLING


def _own(process: Process, thrown: set[str]) -> list[str]:
    return sorted(set(process.thrown) - thrown)
