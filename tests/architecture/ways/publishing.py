"""Going live and back, proposals, switches."""

import io

from controlplane.accounts.actor import Actor, Role
from controlplane.releases.saved import bodies_of, live_entries
from tests.architecture.ways.admin import (
    BASIC,
    REASON,
    Admin,
    Sent,
    at,
)
from tests.architecture.ways.rollouts import start_rollout
from tests.proposals.bundles import file_of
from tests.proposals.stage import make, warmer
from tests.releases.changing import move


def publish(admin: Admin) -> Sent:
    admin.do(at(f"{BASIC}/edit", temperature="0.1", **REASON)(admin))
    page = "/production/unpublished"
    return admin.filled(page, page, **REASON)


def roll_back(admin: Admin) -> Sent:
    admin.do(publish(admin))
    page = "/production/releases/1/roll-back"
    sent, data = admin.filled(page, page, **REASON)
    # The rollout that runs belongs to what came after release 1 and is no part of this.
    return sent, {**data, "entries": "configuration/COACHING_RESPONSE/basic/*"}


def lift_a_switch(admin: Admin) -> Sent:
    admin.do(at("/production/switches/KPI_ANALYSIS/throw", **REASON)(admin))
    return at("/production/switches/KPI_ANALYSIS/lift", **REASON)(admin)


def propose_saved(admin: Admin) -> Sent:
    _, data = publish(admin)
    return "/production/proposals", data


def choose(admin: Admin) -> Sent:
    publish(admin)
    page = "/production/proposals/new?source=saved"
    return admin.filled(page, page, step="draft", **REASON)


def decide_a_conflict(admin: Admin) -> Sent:
    session, key = admin.site.session, "configuration/COACHING_RESPONSE/basic/*"
    ada = Actor(kind="person", id="ada", name="Ada", role=Role.EDITOR, via="browser")
    made = make(session, ada, entries={key: warmer(session, 0.9, key)})
    move(session, "production", {key: warmer(session, 0.8, key)})
    page = f"/production/proposals/{made.number}/conflict"
    return admin.filled(page, page)


def upload_a_bundle(admin: Admin) -> Sent:
    documents = live_entries(admin.site.session, "production")
    data = file_of(documents, bodies_of(admin.site.session, documents))
    return "/production/proposals/bundle", {"bundle": (io.BytesIO(data), "live.release")}


def propose_rollout(admin: Admin) -> Sent:
    _, data = start_rollout(admin)
    return "/production/proposals/rollout", data
