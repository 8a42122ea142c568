"""Rollouts, guards, plans and gates."""

from typing import Any

from sqlalchemy import func, select

from controlplane.plans.models import Plan
from tests.architecture.ways.admin import (
    BASIC,
    PREMIUM,
    REASON,
    Admin,
    Case,
    Sent,
    at,
)


def rollout(rest: str = "", **changes: Any) -> Case:
    def case(admin: Admin) -> Sent:
        one = f"/production/rollouts/{admin.site.rollout}"
        return admin.filled(one + rest, one + rest, **REASON, **changes)

    return case


def choose_guards(admin: Admin) -> Sent:
    page = f"/production/rollouts/{admin.site.rollout}/guards"
    return admin.filled(page, page, on_breach="abort")


def abort_all_rollouts(admin: Admin) -> Sent:
    admin.do(at(f"{PREMIUM}/edit", temperature="0.1", **REASON)(admin))
    page = "/production/rollouts/new?configuration=COACHING_RESPONSE/premium"
    admin.do(admin.filled(page, "/production/rollouts", share="10", **REASON))
    return rollout("/abort-all")(admin)


def resume_a_rollout(admin: Admin) -> Sent:
    admin.do(rollout("/pause")(admin))
    return rollout("/resume")(admin)


GATE = "/production/gates/COACHING_RESPONSE"
SHORT_PLAN = {"steps.0.share": "10", "steps.0.hold": "1 h", "steps.1.share": "50", "steps.1.hold": "1 h"}


def plan_of_a_rollout(admin: Admin) -> Sent:
    # The steps replace those the form is filled with: what is not sent is not there.
    return f"/production/rollouts/{admin.site.rollout}/plan", {**SHORT_PLAN, **REASON}


def plan_of_a_gate(admin: Admin) -> Sent:  # begins where the gate is, so that nothing is moved with it
    return f"{GATE}/plan", {**SHORT_PLAN, "steps.0.share": "100", "steps.1.share": "100", **REASON}


def plan(verb: str, *, first: str | None = None) -> Case:
    def case(admin: Admin) -> Sent:
        admin.do(plan_of_a_rollout(admin))
        number = admin.site.session.scalar(select(func.max(Plan.number)))
        if first:
            admin.do((f"/production/plans/{number}/{first}", REASON))
        return f"/production/plans/{number}/{verb}", {"revision": "1", **REASON}

    return case


def start_rollout(admin: Admin) -> Sent:
    admin.do(at(f"{BASIC}/edit", temperature="0.1", **REASON)(admin))
    page = "/production/rollouts/new?configuration=COACHING_RESPONSE/basic"
    return admin.filled(page, "/production/rollouts", share="10", **REASON)
