"""What the API says of things, as plain data: one function for each kind of thing."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from controlplane.audit.models import AuditEvent
from controlplane.configurations.documents import settings_of
from controlplane.configurations.models import ConfigurationVersion
from controlplane.configurations.places import Place
from controlplane.fleet.standing import Confirmation
from controlplane.prompts.models import Prompt, PromptVersion
from controlplane.proposals.models import Proposal
from controlplane.proposals.participants import Agreement
from controlplane.proposals.sources import Offer, Offered
from controlplane.registry.models import Environment
from controlplane.releases.diff import ABSENT, EntryChange
from controlplane.releases.models import Release
from controlplane.releases.steps import Export
from controlplane.rollouts.standing import Standing
from controlplane.runtime.bucketing import BUCKETS
from controlplane.switches.models import KillSwitch

Document = dict[str, Any]


def moment(at: dt.datetime | None) -> str | None:
    """Return a moment in UTC, as everything of the record spells it."""
    return (
        None
        if at is None
        else at.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    )


def environment(row: Environment, live: Release | None) -> Document:
    """An environment with its rules, and the number of what is live there."""
    return {
        "code": row.code,
        "name": row.name,
        "protected": row.protected,
        "approvals": row.approvals,
        "publish_role": row.publish_role,
        "release": live.number if live else None,
    }


def release(row: Release) -> Document:
    """A release without its entries."""
    return {
        "environment": row.environment,
        "release": row.number,
        "published_at": moment(row.created_at),
        "author": row.author_name,
        "reason": row.reason,
        "summary": row.summary,
        "source": row.source,
        "proposal": row.proposal,
        "emergency": row.emergency,
        "sha256": row.snapshot_sha256,
        "size": row.snapshot_size,
        "entry_count": row.entry_count,
    }


def arrival(export: Export, found: Confirmation) -> Document:
    """How far a release has come: to the stores, and from there to the processes that run."""
    return {
        "export": export.state.value,
        "live_at": moment(export.live_at),
        "replaced_by": export.by,
        "processes": found.total,
        "confirmed": found.confirmed,
        "later": found.later,
        "behind": sorted(each.process for each in (*found.stragglers, *found.partly)),
    }


def change(each: EntryChange) -> Document:
    """An entry that a release changed, field by field."""
    return {
        "key": each.key,
        "kind": each.kind.value,
        "fields": [
            {
                "field": field.path,
                **({} if field.before is ABSENT else {"before": field.before}),
                **({} if field.after is ABSENT else {"after": field.after}),
            }
            for field in each.fields
        ],
        "before": each.before,
        "after": each.after,
    }


def offer(found: Offer) -> Document:
    """What is saved and not live."""
    return {"base": found.base, "entries": [_offered(each) for each in found.entries]}


def _offered(each: Offered) -> Document:
    kind = "added" if each.before is None else "removed" if each.after is None else "changed"
    return {
        "key": each.key,
        "name": each.name,
        "kind": kind,
        "in_all": each.ticked,
        "notes": list(each.notes),
    }


def proposal(row: Proposal, agreement: Agreement, *, page: str) -> Document:
    """A proposal, how it stands, and where people look at it."""
    return {
        "environment": row.environment,
        "proposal": row.number,
        "state": row.state,
        "summary": row.summary,
        "reason": row.reason,
        "source": row.source,
        "author": row.author_name,
        "created_at": moment(row.created_at),
        "approvals": len(agreement.given),
        "approvals_needed": agreement.needed,
        "content_sha256": row.content_sha256,
        "release": row.release,
        "note": row.note,
        "page": page,
    }


def rollout(standing: Standing) -> Document:
    """A rollout as it stands."""
    return {
        "rollout": standing.number,
        "configuration": standing.place.path,
        "state": standing.state.value,
        "from_version": standing.rollout.from_version,
        "to_version": standing.rollout.to_version,
        "share": standing.share * 100 / BUCKETS,
        "sentence": standing.sentence,
        "started_at": moment(standing.rollout.started_at),
        "started_by": standing.rollout.started_by,
    }


def switch(row: KillSwitch) -> Document:
    """A kill switch that is thrown."""
    return {
        "target": row.target,
        "thrown_at": moment(row.thrown_at),
        "thrown_by": row.thrown_by,
        "reason": row.reason,
    }


def template(row: Prompt, version: PromptVersion) -> Document:
    """A template with the version that is saved."""
    return {
        "code": row.code,
        "interaction": row.interaction,
        "archived": row.archived_at is not None,
        "version": version.number,
        "sha256": version.sha256,
        "body": version.body,
        "snippets": version.snippets or {},
        "author": version.author_name,
        "saved_at": moment(version.created_at),
        "reason": version.reason,
    }


def configuration(place: Place, version: ConfigurationVersion, *, archived: bool) -> Document:
    """A configuration with the version that is saved; its values are spelt as they are sent."""
    settings = settings_of(version)
    prompt = settings.pop("prompt")
    return {
        "configuration": place.path,
        "archived": archived,
        "version": version.number,
        "values": {**settings, "prompt": prompt["code"], "prompt_version": prompt.get("version")},
        "author": version.author_name,
        "saved_at": moment(version.created_at),
        "reason": version.reason,
    }


def event(row: AuditEvent, *, url: str) -> Document:
    """A change, with the same names as in the files that people export."""
    values = {column.name: getattr(row, column.name) for column in AuditEvent.__table__.columns}
    return {name: _plain(value) for name, value in values.items()} | {"url": url}


def events(rows: Sequence[Document], *, following: int) -> Document:
    """A page of the record: `next` is what to ask for `after` the next time, whether or not there is more by now."""
    return {"changes": list(rows), "next": following}


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return moment(value)
    return float(value) if isinstance(value, Decimal) else value
