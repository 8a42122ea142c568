"""The record itself: emergencies, views, sign-off, rules of review."""

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.services import record
from tests.architecture.ways.admin import Admin, Sent


def look_at_an_emergency(admin: Admin) -> Sent:
    grace = Actor(kind="person", id="grace", name="Grace", role=Role.ON_CALL, via="browser")
    event = record(
        admin.site.session,
        actor=grace,
        action="rollout.aborted",
        object_kind="configuration",
        object_key="COACHING_RESPONSE/premium",
        sentence="aborted version 2 of COACHING_RESPONSE · premium",
        emergency=True,
    )
    admin.site.session.commit()
    return f"/changes/{event.id}/review", {"answer": "reviewed", "comment": "It was needed."}


def talk_about_an_emergency(admin: Admin) -> Sent:
    address, _ = look_at_an_emergency(admin)
    return f"{address}/reply", {"reply": "I saw it happen."}


def share_a_view(admin: Admin) -> Sent:
    # One of one's own is private, and not recorded: tests/audit/test_list_views.py.
    page = "/changes?q=env:staging"
    return admin.filled(page, "/changes/views", name="Try outs", shared="true")


def remove_a_shared_view(admin: Admin) -> Sent:
    page = admin.client.follow(admin.do(share_a_view(admin)))
    (action,) = [
        form.get("action", "") for form in page.all("form") if form.get("action", "").endswith("/remove")
    ]
    return action, {}


def sign_off(admin: Admin) -> Sent:
    ada = Actor(kind="person", id="ada", name="Ada", role=Role.ADMIN, via="browser")
    record(
        admin.site.session,
        actor=ada,
        action="environment.changed",
        object_kind="environment",
        object_key="production",
        sentence="changed environment production: one approval instead of two",
    )
    admin.site.session.commit()
    page = "/changes/reviews/sign-off"
    return admin.filled(page, page, statement="Each of these was planned.")


def change_the_rules(admin: Admin) -> Sent:
    page = "/changes/reviews/rules"
    return admin.filled(page, page, days_high="2")
