"""From what an event is about to the page where it lives."""

from collections.abc import Callable
from typing import Any

from flask import url_for

from controlplane.audit.models import AuditEvent
from controlplane.runtime.entries import ANY


def object_url(event: AuditEvent, *, environment: str | None) -> str | None:
    """The address of the event's object, or None when it has no page.

    `environment` is the one to look at an object in that belongs to none.
    """
    return link_to(event.object_kind, event.object_key, environment=event.environment or environment)


def link_to(object_kind: str, object_key: str, *, environment: str | None) -> str | None:
    """The address of an object by its kind and key, as the audit names it; None when it has no page."""
    maker = _MAKERS.get(object_kind)
    return maker(object_key, environment) if maker else None


def entry_url(key: str, environment: str) -> str | None:
    """The address of what an entry of a release is about; None for what has no page: the environment's default."""
    kind, _, rest = key.partition("/")
    if kind != "configuration":
        return link_to(kind, rest, environment=environment)
    interaction, tier, tenant = rest.split("/")
    path = f"{interaction}/{tier}" if tenant == ANY else rest
    return None if interaction == ANY else link_to(kind, path, environment=environment)


def release_url(event: AuditEvent) -> str | None:
    """The address of the release that the event made."""
    if event.release is None or event.environment is None:
        return None
    return _url("releases.show", environment=event.environment, number=event.release)


def _url(endpoint: str, **values: Any) -> str | None:
    return None if None in values.values() else url_for(endpoint, **values)


def _configuration(key: str, environment: str | None) -> str | None:
    interaction, tier, *tenant = key.split("/")
    more = {"tenant": tenant[0]} if tenant else {}
    return _url("configurations.show", environment=environment, interaction=interaction, tier=tier, **more)


def _release(key: str, environment: str | None) -> str | None:
    number = key.rpartition("/")[2]
    return _url("releases.show", environment=environment, number=int(number)) if number.isdigit() else None


def _proposal(key: str, environment: str | None) -> str | None:
    number = key.rpartition("/")[2]
    return _url("proposals.show", environment=environment, number=int(number)) if number.isdigit() else None


def _rollout(key: str, environment: str | None) -> str | None:
    return _url("rollouts.show", environment=environment, number=int(key)) if key.isdigit() else None


def _sample(key: str, _environment: str | None) -> str | None:
    interaction, _, slug = key.partition("/")
    return _url("samples.show", code=interaction, slug=slug)


_MAKERS: dict[str, Callable[[str, str | None], str | None]] = {
    "configuration": _configuration,
    "release": _release,
    "rollout": _rollout,
    "proposal": _proposal,
    "gate": lambda key, environment: _url("rollouts.gate", environment=environment, interaction=key),
    "replay": lambda _key, environment: _url("recorded.index", environment=environment),
    "switch": lambda _key, environment: _url("switches.index", environment=environment),
    "prompt": lambda key, environment: _url("prompts.show", environment=environment, code=key),
    "snippet": lambda key, environment: _url("snippets.show", environment=environment, code=key),
    "interaction": lambda key, _: _url("registry.interaction", code=key),
    "sample": _sample,
    "model": lambda key, _: _url("registry.model", code=key),
    "tier": lambda _key, _: _url("registry.tiers"),
    "environment": lambda _key, _: _url("registry.environments"),
    # The record names people by their address for signing in; their own page goes by another id.
    "person": lambda _key, _: _url("accounts.people"),
    "token": lambda key, _: _url("tokens.show", key=key),
    "people": lambda _key, _: _url("access.index"),
    "sign-off": lambda key, _: _url("reviews.signed_off", number=int(key)) if key.isdigit() else None,
    "view": lambda _key, _: _url("audit.index"),
    "changes": lambda _key, _: _url("audit.index"),
    "review rules": lambda _key, _: _url("reviews.rules"),
}

KINDS = frozenset(_MAKERS)
"""The kinds of object that have a page."""
