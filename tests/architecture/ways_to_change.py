"""Every way to change something, with valid data made from the pages themselves, for the test that each is recorded.

A case makes ready what it needs and returns the address and the data to send; SPOILT says how to make its data
unacceptable.
"""

import io
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import func, select

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.audit.services import record
from controlplane.plans.models import Plan
from controlplane.releases.saved import bodies_of, live_entries
from tests.architecture.conftest import Site
from tests.architecture.proposing import ACTIONS, SPOILT_ACTIONS
from tests.page import Page, PageClient
from tests.proposals.bundles import file_of
from tests.proposals.stage import make, warmer
from tests.releases.changing import move
from tests.site import PASSWORD, add_person

Sent = tuple[str, Mapping[str, Any]]
Case = Callable[["Admin"], Sent]

REASON = {"reason": "a test of what is recorded"}
PREMIUM = "/production/configurations/COACHING_RESPONSE/premium"
BASIC = "/production/configurations/COACHING_RESPONSE/basic"
TENANT = f"{BASIC}/acme"
PROMPT = "/production/templates/coaching_response"
ONLY_REQUIRED = "/interactions/KPI_ANALYSIS/samples/only-what-is-required"
NEW_PROMPT = "/production/templates/new"
SNIPPETS = "/production/templates/snippets"


class Admin:
    """An administrator's browser, with short ways to fill in forms."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.client: PageClient = site.client_as("admin")

    def filled(self, page: str, action: str, **changes: Any) -> Sent:
        """The form of a page as it stands, with some values changed."""
        return action, {**self.client.get(page).form(action), **changes}

    def do(self, sent: Sent) -> Page:
        answer = self.client.post(*sent)
        assert answer.status in {201, 303}, answer.body
        return answer

    def person(self, rest: str) -> str:
        return f"/settings/people/{add_person(self.site.session, 'viewer').id}/{rest}"

    @property
    def events(self) -> int:
        return self.site.session.scalar(select(func.count()).select_from(AuditEvent)) or 0


def sign_in(_: Admin) -> Sent:
    return "/sign-in", {"email": "admin@example.com", "password": PASSWORD}


def sign_out(_: Admin) -> Sent:
    return "/sign-out", {}


def add_somebody(admin: Admin) -> Sent:
    page = "/settings/people/new"
    return admin.filled(page, page, name="Grace Hopper", email="grace@example.com")


def change_password(admin: Admin) -> Sent:
    page = "/settings/profile"
    new = "another-horse-battery"
    return admin.filled(page, page, current=PASSWORD, new=new, again=new)


def change_role(admin: Admin) -> Sent:
    return admin.person("role"), {"role": "editor"}


def make_a_reviewer(admin: Admin) -> Sent:
    return admin.person("reviewer"), {"may_review": "true"}


def disable(admin: Admin) -> Sent:
    return admin.person("disable"), {}


def enable(admin: Admin) -> Sent:
    admin.do(disable(admin))
    return admin.person("enable"), {}


def reset_password(admin: Admin) -> Sent:
    return admin.person("password"), {}


def make_a_token(admin: Admin) -> Sent:
    page = "/settings/tokens/new"
    return admin.filled(page, page, name="pipeline", scopes=["read", "edit"])


def revoke_a_token(admin: Admin) -> Sent:
    page = admin.do(make_a_token(admin))
    return f"{page.link('I have copied it')}/revoke", {"confirm": "pipeline"}


NEW_OF = {
    "interactions": {"code": "NEW_ONE", "category": "coaching", "description": "A new one"},
    "models": {
        "code": "NEW_MODEL", "provider": "echo", "provider_model_id": "echo-2", "context_window": "1000",
        "max_output_tokens": "100",
    },
    "tiers": {"code": "gold", "name": "Gold", "rank": "9"},
    "environments": {"code": "canary", "name": "Canary", "position": "5"},
}  # fmt: skip
CHANGES_OF = {
    "interactions": {"description": "Said otherwise"},
    "models": {"max_output_tokens": "90"},
    "tiers": {"name": "Golden"},
    "environments": {"name": "Canaries"},
}


def added(kind: str) -> Case:
    return lambda admin: admin.filled(f"/{kind}/new", f"/{kind}/new", **NEW_OF[kind])


def with_one_more(kind: str, rest: str, changes: Mapping[str, Any]) -> Case:
    def case(admin: Admin) -> Sent:
        admin.do(added(kind)(admin))
        page = f"/{kind}/{NEW_OF[kind]['code']}/{rest}"
        return admin.filled(page, page, **changes)

    return case


def at(page: str, action: str | None = None, **changes: Any) -> Case:
    return lambda admin: admin.filled(page, action or page, **changes)


def sample(rest: str, **changes: Any) -> Case:
    return at(f"/interactions/KPI_ANALYSIS/samples/{rest}", **changes)


def make_configuration(admin: Admin) -> Sent:
    page = "/production/configurations/new"
    asked = "?interaction=COACHING_RESPONSE&tier=basic&tenant=acme"
    return admin.filled(page + asked, page, **REASON)


def of_a_tenant(rest: str, **changes: Any) -> Case:
    def case(admin: Admin) -> Sent:
        admin.do(make_configuration(admin))
        return admin.filled(f"{TENANT}/{rest}", f"{TENANT}/{rest}", **REASON, **changes)

    return case


def effect_for_a_tenant(admin: Admin) -> Sent:
    _, data = of_a_tenant("edit")(admin)
    return f"/_{TENANT}/effect", data


def make_prompt(admin: Admin) -> Sent:
    page = f"{NEW_PROMPT}?interaction=COACHING_RESPONSE"
    _, data = admin.filled(page, f"{NEW_PROMPT}/preview", code="another_response", **REASON)
    return NEW_PROMPT, data


def preview_new(address: str) -> Case:
    return lambda admin: (address, make_prompt(admin)[1])


def archive_prompt(admin: Admin) -> Sent:
    admin.do(make_prompt(admin))
    page = "/production/templates/another_response/archive"
    return admin.filled(page, page, **REASON)


def edited_prompt(rest: str, prefix: str = "") -> Case:
    def case(admin: Admin) -> Sent:
        _, data = admin.filled(f"{PROMPT}/edit", f"{PROMPT}/edit", **REASON)
        return f"{prefix}{PROMPT}/{rest}", {**data, "body": f"{data['body']}\nBe kind.\n"}

    return case


def kept_values(admin: Admin) -> Sent:
    address, data = edited_prompt("samples")(admin)
    return address, {**data, "sample_name": "One more"}


def make_snippet(admin: Admin) -> Sent:
    page = f"{SNIPPETS}/new"
    return admin.filled(page, page, code="tone", body="Be brief.", **REASON)


def edited_snippet(rest: str, prefix: str = "") -> Case:
    def case(admin: Admin) -> Sent:
        admin.do(make_snippet(admin))
        page = f"{SNIPPETS}/tone/edit"
        _, data = admin.filled(page, page, body="Be kind.", **REASON)
        return f"{prefix}{SNIPPETS}/tone/{rest}", data

    return case


def snippet_draft_thrown_away(admin: Admin) -> Sent:
    admin.do(edited_snippet("draft")(admin))
    return f"{SNIPPETS}/tone/draft/discard", {}


def snippet_draft_wanted_back(admin: Admin) -> Sent:
    admin.do(snippet_draft_thrown_away(admin))
    return f"{SNIPPETS}/tone/draft/restore", {}


def archive_snippet(admin: Admin) -> Sent:
    admin.do(make_snippet(admin))
    page = f"{SNIPPETS}/tone/archive"
    return admin.filled(page, page, **REASON)


def draft_thrown_away(admin: Admin) -> Sent:
    admin.do(edited_prompt("draft")(admin))
    return f"{PROMPT}/draft/discard", {}


def draft_wanted_back(admin: Admin) -> Sent:
    admin.do(draft_thrown_away(admin))
    return f"{PROMPT}/draft/restore", {}


def first_text(rest: str, prefix: str = "") -> Case:
    return lambda admin: (f"{prefix}{NEW_PROMPT}/COACHING_RESPONSE/{rest}", make_prompt(admin)[1])


def first_text_thrown_away(admin: Admin) -> Sent:
    admin.do(first_text("draft")(admin))
    return f"{NEW_PROMPT}/COACHING_RESPONSE/draft/restore", {}


def typed_at(place: str, prefix: str = "") -> Case:
    """A configuration's form; that of a tenant has none yet, and its draft needs none."""

    def case(admin: Admin) -> Sent:
        _, data = admin.filled(f"{BASIC}/edit", f"{BASIC}/edit", temperature="half done")
        return f"{prefix}{place}/draft", data

    return case


def form_thrown_away(place: str) -> Case:
    def case(admin: Admin) -> Sent:
        admin.do(typed_at(place)(admin))
        return f"{place}/draft/discard", {}

    return case


def form_wanted_back(place: str) -> Case:
    def case(admin: Admin) -> Sent:
        admin.do(form_thrown_away(place)(admin))
        return f"{place}/draft/restore", {}

    return case


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


def rollout(rest: str = "", **changes: Any) -> Case:
    def case(admin: Admin) -> Sent:
        one = f"/production/rollouts/{admin.site.rollout}"
        return admin.filled(one + rest, one + rest, **REASON, **changes)

    return case


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


def lift_a_switch(admin: Admin) -> Sent:
    admin.do(at("/production/switches/KPI_ANALYSIS/throw", **REASON)(admin))
    return at("/production/switches/KPI_ANALYSIS/lift", **REASON)(admin)


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
    # One of one's own is private, and not recorded: tests/audit/test_views.py.
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


def try_it(admin: Admin) -> Sent:
    return admin.filled(f"{PROMPT}/try", f"{PROMPT}/try/send")


def propose_rollout(admin: Admin) -> Sent:
    _, data = start_rollout(admin)
    return "/production/proposals/rollout", data


RECORDED: dict[str, Case] = {
    "POST /sign-in": sign_in,
    "POST /sign-out": sign_out,
    "POST /settings/profile": change_password,
    "POST /settings/people/new": add_somebody,
    "POST /settings/people/<uuid:person_id>/role": change_role,
    "POST /settings/people/<uuid:person_id>/reviewer": make_a_reviewer,
    "POST /settings/people/<uuid:person_id>/disable": disable,
    "POST /settings/people/<uuid:person_id>/enable": enable,
    "POST /settings/people/<uuid:person_id>/password": reset_password,
    "POST /settings/tokens/new": make_a_token,
    "POST /settings/tokens/<key>/revoke": revoke_a_token,
    **{f"POST /{kind}/new": added(kind) for kind in NEW_OF},
    **{f"POST /{kind}/<code>/edit": with_one_more(kind, "edit", CHANGES_OF[kind]) for kind in NEW_OF},
    **{f"POST /{kind}/<code>/archive": with_one_more(kind, "archive", REASON) for kind in NEW_OF},
    "POST /interactions/<code>/samples/new": sample("new", name="One more"),
    "POST /interactions/<code>/samples/<slug>/edit": sample("only-what-is-required/edit", name="Otherwise"),
    "POST /interactions/<code>/samples/<slug>/default": lambda _: (f"{ONLY_REQUIRED}/default", {}),
    "POST /interactions/<code>/samples/<slug>/remove": lambda _: (f"{ONLY_REQUIRED}/remove", {}),
    "POST /<environment>/configurations/new": make_configuration,
    "POST /<environment>/configurations/<interaction>/<tier>/edit": at(
        f"{BASIC}/edit", temperature="0.1", **REASON
    ),
    "POST /<environment>/configurations/<interaction>/<tier>/archive": at(f"{BASIC}/archive", **REASON),
    "POST /<environment>/configurations/<interaction>/<tier>/<tenant>/edit": of_a_tenant(
        "edit", temperature="0.1"
    ),
    "POST /<environment>/configurations/<interaction>/<tier>/<tenant>/archive": of_a_tenant("archive"),
    "POST /<environment>/templates/new": make_prompt,
    "POST /<environment>/templates/<code>/versions": edited_prompt("versions"),
    "POST /<environment>/templates/<code>/archive": archive_prompt,
    "POST /<environment>/templates/<code>/try/send": try_it,
    "POST /<environment>/templates/<code>/samples": kept_values,
    "POST /<environment>/templates/snippets/new": make_snippet,
    "POST /<environment>/templates/snippets/<code>/versions": edited_snippet("versions"),
    "POST /<environment>/templates/snippets/<code>/archive": archive_snippet,
    "POST /<environment>/unpublished": publish,
    "POST /<environment>/releases/<int:number>/roll-back": roll_back,
    "POST /<environment>/rollouts": start_rollout,
    "POST /<environment>/rollouts/<int:number>": rollout(share="50"),
    "POST /<environment>/rollouts/<int:number>/abort": rollout("/abort"),
    "POST /<environment>/rollouts/<int:number>/abort-all": abort_all_rollouts,
    "POST /<environment>/rollouts/<int:number>/finish": rollout("/finish"),
    "POST /<environment>/rollouts/<int:number>/pause": rollout("/pause"),
    "POST /<environment>/rollouts/<int:number>/resume": resume_a_rollout,
    "POST /<environment>/rollouts/<int:number>/plan": plan_of_a_rollout,
    "POST /<environment>/gates/<interaction>/plan": plan_of_a_gate,
    "POST /<environment>/plans/<int:number>/next": plan("next"),
    "POST /<environment>/plans/<int:number>/stop": plan("stop"),
    "POST /<environment>/plans/<int:number>/go-on": plan("go-on", first="stop"),
    "POST /<environment>/plans/<int:number>/cancel": plan("cancel"),
    "POST /<environment>/proposals": propose_saved,
    "POST /<environment>/proposals/rollout": propose_rollout,
    "POST /<environment>/proposals/new": choose,
    "POST /<environment>/proposals/<int:number>/conflict": decide_a_conflict,
    **ACTIONS,
    "POST /changes/views": share_a_view,
    "POST /changes/views/<uuid:view_id>/remove": remove_a_shared_view,
    "POST /changes/<id>/review": look_at_an_emergency,
    "POST /changes/<id>/review/reply": talk_about_an_emergency,
    "POST /changes/reviews/sign-off": sign_off,
    "POST /changes/reviews/rules": change_the_rules,
    "POST /<environment>/switches/<target>/throw": at("/production/switches/KPI_ANALYSIS/throw", **REASON),
    "POST /<environment>/switches/<target>/lift": lift_a_switch,
    "POST /<environment>/gates/<interaction>": at("/production/gates/KPI_ANALYSIS", share="40", **REASON),
}

PRIVATE = "nobody else sees a draft, and nothing depends on it"
CHOSEN_FROM = "the uploader's alone for a day; what is chosen from it becomes a proposal"
NOTHING_KEPT = "shows what was typed and keeps nothing"
FORGOTTEN = "says who is at a page just now, and is forgotten within minutes"
ONE_BROWSER = "a cookie of one browser"

UNRECORDED: dict[str, tuple[str, Case]] = {
    "POST /settings/theme": (ONE_BROWSER, lambda _: ("/settings/theme", {"theme": "dark"})),
    "POST /<environment>/first-steps": (ONE_BROWSER, lambda _: ("/production/first-steps", {})),
    "POST /<environment>/proposals/bundle": (CHOSEN_FROM, upload_a_bundle),
    "POST /<environment>/templates/<code>/draft": (PRIVATE, edited_prompt("draft")),
    "POST /_/<environment>/templates/<code>/draft": (PRIVATE, edited_prompt("draft", "/_")),
    "POST /<environment>/templates/new/<interaction>/draft": (PRIVATE, first_text("draft")),
    "POST /_/<environment>/templates/new/<interaction>/draft": (PRIVATE, first_text("draft", "/_")),
    "POST /<environment>/templates/new/<interaction>/draft/discard": (PRIVATE, first_text("draft/discard")),
    "POST /<environment>/templates/new/<interaction>/draft/restore": (PRIVATE, first_text_thrown_away),
    "POST /<environment>/templates/snippets/<code>/draft": (PRIVATE, edited_snippet("draft")),
    "POST /_/<environment>/templates/snippets/<code>/draft": (PRIVATE, edited_snippet("draft", "/_")),
    "POST /<environment>/templates/snippets/<code>/draft/discard": (PRIVATE, snippet_draft_thrown_away),
    "POST /<environment>/templates/snippets/<code>/draft/restore": (PRIVATE, snippet_draft_wanted_back),
    "POST /<environment>/templates/<code>/draft/discard": (PRIVATE, draft_thrown_away),
    "POST /<environment>/templates/<code>/draft/restore": (PRIVATE, draft_wanted_back),
    **{
        f"POST {prefix}/<environment>/configurations/<interaction>/<tier>{rule}": (PRIVATE, case)
        for place, tenant in ((BASIC, ""), (TENANT, "/<tenant>"))
        for prefix, rule, case in (
            ("", f"{tenant}/draft", typed_at(place)),
            ("/_", f"{tenant}/draft", typed_at(place, "/_")),
            ("", f"{tenant}/draft/discard", form_thrown_away(place)),
            ("", f"{tenant}/draft/restore", form_wanted_back(place)),
        )
    },
    "POST /<environment>/templates/<code>/edit": (NOTHING_KEPT, edited_prompt("edit")),
    "POST /_/<environment>/templates/<code>/others": (
        FORGOTTEN, lambda _: (f"/_{PROMPT}/others", {}),
    ),
    "POST /<environment>/templates/<code>/try": (NOTHING_KEPT, edited_prompt("try")),
    "POST /<environment>/templates/<code>/rendered": (NOTHING_KEPT, edited_prompt("rendered")),
    "POST /_/<environment>/templates/<code>/preview": (NOTHING_KEPT, edited_prompt("preview", "/_")),
    "POST /<environment>/templates/snippets/<code>/edit": (NOTHING_KEPT, edited_snippet("edit")),
    "POST /_/<environment>/templates/snippets/<code>/preview": (
        NOTHING_KEPT, edited_snippet("preview", "/_"),
    ),
    "POST /<environment>/templates/new/preview": (NOTHING_KEPT, preview_new(f"{NEW_PROMPT}/preview")),
    "POST /_/<environment>/templates/new/<interaction>/preview": (
        NOTHING_KEPT, preview_new(f"/_{NEW_PROMPT}/COACHING_RESPONSE/preview"),
    ),
    "POST /_/<environment>/configurations/<interaction>/<tier>/effect": (
        NOTHING_KEPT, lambda admin: (f"/_{BASIC}/effect", at(f"{BASIC}/edit")(admin)[1]),
    ),
    "POST /_/<environment>/configurations/<interaction>/<tier>/<tenant>/effect": (
        NOTHING_KEPT, effect_for_a_tenant,
    ),
}  # fmt: skip

# Made, and submitted: each of the two is an event of its own, and one may be had without the other.
IN_TWO_STEPS = {"POST /<environment>/proposals", "POST /<environment>/proposals/rollout"}

# What makes the data of a case unacceptable; most need a reason. None: there is nothing in it to be wrong.
SPOILT: dict[str, Mapping[str, str] | None] = {
    **SPOILT_ACTIONS,
    "POST /sign-out": None,
    "POST /interactions/<code>/samples/new": {"name": ""},
    "POST /<environment>/templates/<code>/samples": {"sample_name": ""},
    "POST /interactions/<code>/samples/<slug>/edit": {"name": ""},
    "POST /interactions/<code>/samples/<slug>/default": None,
    "POST /interactions/<code>/samples/<slug>/remove": None,
    "POST /settings/people/<uuid:person_id>/disable": None,
    "POST /settings/people/<uuid:person_id>/enable": None,
    "POST /settings/people/<uuid:person_id>/password": None,
    "POST /settings/profile": {"current": "not the password"},
    "POST /settings/people/new": {"email": "no address"},
    "POST /settings/tokens/new": {"name": ""},
    "POST /settings/tokens/<key>/revoke": {"confirm": "another"},
    "POST /settings/people/<uuid:person_id>/role": {"role": "emperor"},
    "POST /interactions/new": {"code": "not a code"},
    "POST /models/new": {"code": "not a code"},
    "POST /tiers/new": {"code": "not a code"},
    "POST /environments/new": {"code": "not a code"},
    "POST /interactions/<code>/edit": {"category": ""},
    "POST /models/<code>/edit": {"max_output_tokens": "many"},
    "POST /tiers/<code>/edit": {"rank": "high"},
    "POST /environments/<code>/edit": {"name": ""},
    "POST /changes/views": {"name": ""},
    "POST /changes/views/<uuid:view_id>/remove": None,
    "POST /changes/<id>/review": {"answer": "disputed", "comment": ""},
    "POST /changes/<id>/review/reply": {"reply": ""},
    "POST /changes/reviews/sign-off": {"statement": ""},
    "POST /changes/reviews/rules": {"days_high": "none"},
    "POST /settings/people/<uuid:person_id>/reviewer": {"may_review": "perhaps"},
    "POST /<environment>/proposals/<int:number>/conflict": {"revision": "none"},
    "POST /<environment>/templates/<code>/try/send": {"configuration": "configuration/NO_SUCH/default/*"},
}
NOT_REFUSED = {name for name, spoilt in SPOILT.items() if spoilt is None}
