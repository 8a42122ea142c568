"""Every way to change something, with valid data made from the pages themselves, for the test that each is recorded.

The cases are in `ways/`, by subject; SPOILT says how to make the data of one unacceptable.
"""

from collections.abc import Mapping

from tests.architecture.proposing import ACTIONS, SPOILT_ACTIONS
from tests.architecture.ways.admin import (
    BASIC,
    NEW_PROMPT,
    ONLY_REQUIRED,
    PROMPT,
    REASON,
    TENANT,
    Case,
    at,
)
from tests.architecture.ways.people import (
    add_somebody,
    change_password,
    change_role,
    disable,
    enable,
    make_a_reviewer,
    make_a_token,
    reset_password,
    revoke_a_token,
    sign_in,
    sign_out,
)
from tests.architecture.ways.publishing import (
    choose,
    decide_a_conflict,
    lift_a_switch,
    propose_rollout,
    propose_saved,
    publish,
    roll_back,
    upload_a_bundle,
)
from tests.architecture.ways.record import (
    change_the_rules,
    look_at_an_emergency,
    remove_a_shared_view,
    share_a_view,
    sign_off,
    talk_about_an_emergency,
)
from tests.architecture.ways.registry import CHANGES_OF, NEW_OF, added, sample, with_one_more
from tests.architecture.ways.rollouts import (
    abort_all_rollouts,
    choose_guards,
    plan,
    plan_of_a_gate,
    plan_of_a_rollout,
    resume_a_rollout,
    rollout,
    start_rollout,
)
from tests.architecture.ways.writing import (
    archive_prompt,
    archive_snippet,
    draft_thrown_away,
    draft_wanted_back,
    edited_prompt,
    edited_snippet,
    effect_for_a_tenant,
    first_text,
    first_text_thrown_away,
    form_thrown_away,
    form_wanted_back,
    kept_values,
    make_configuration,
    make_prompt,
    make_snippet,
    of_a_tenant,
    preview_new,
    snippet_draft_thrown_away,
    snippet_draft_wanted_back,
    try_it,
    typed_at,
)

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
    "POST /<environment>/rollouts/<int:number>/guards": choose_guards,
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
    "POST /<environment>/rollouts/<int:number>/guards": {"least_calls": "few"},
    "POST /<environment>/proposals/<int:number>/conflict": {"revision": "none"},
    "POST /<environment>/templates/<code>/try/send": {"configuration": "configuration/NO_SUCH/default/*"},
}
NOT_REFUSED = {name for name, spoilt in SPOILT.items() if spoilt is None}
