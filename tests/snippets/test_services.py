"""Snippets are saved, and with them the templates that follow; what others rely on cannot be broken or taken away."""

import dataclasses
from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.models import AuditEvent
from controlplane.errors import Conflict, Forbidden, NotFound, Refused
from controlplane.prompts import services as prompts
from controlplane.prompts.documents import digest, entry_document
from controlplane.prompts.models import PromptVersion
from controlplane.releases.saved import bodies_of, saved_entries
from controlplane.snippets import services, usage
from controlplane.snippets.models import Snippet

TONE = "Be kind.\nBe brief.\n"
COACHING = "coaching_response"
KPI = "kpi_analysis"
FOLLOWING = 'You coach.\n{% include "shared/tone" %}\nAnswer {{ user_message }}\n'

Including = Callable[..., PromptVersion]


@pytest.fixture
def tone(first_data: Session, editor: Actor) -> Snippet:
    return services.create_snippet(first_data, code="tone", body=TONE, reason="Said in several", actor=editor)


def save(session: Session, editor: Actor, body: str, code: str = "tone") -> services.Saved:
    snippet = services.get_snippet(session, code)
    newest = snippet.versions[0].number
    return services.save_version(
        session, snippet, body=body, base_version=newest, reason="Warmer", actor=editor
    )


def newest(session: Session, code: str) -> PromptVersion:
    found = prompts.latest_version(session, code)
    assert found is not None
    return found


def sentences(session: Session, action: str) -> list[str]:
    query = select(AuditEvent.sentence).where(AuditEvent.action == action).order_by(AuditEvent.sequence)
    return list(session.scalars(query))


@pytest.mark.usefixtures("tone")
def test_a_template_is_saved_with_its_snippets_put_in(first_data: Session, including: Including) -> None:
    version = including(COACHING, FOLLOWING)

    assert version.body == FOLLOWING
    assert version.text == "You coach.\nBe kind.\nBe brief.\nAnswer {{ user_message }}\n"
    assert version.sha256 == digest(version.text)
    assert version.snippets == {"tone": 1}
    prompt = prompts.get_prompt(first_data, COACHING)
    assert entry_document(prompt, version) == {
        "interaction": "COACHING_RESPONSE",
        "version": 2,
        "sha256": digest(version.text),
        "size": len(version.text.encode()),
        "snippets": {"tone": 1},
    }


@pytest.mark.usefixtures("tone")
def test_what_is_saved_names_the_whole_text_and_has_it(first_data: Session, including: Including) -> None:
    version = including(COACHING, FOLLOWING)

    saved, bodies = saved_entries(first_data, "production")

    assert saved[f"prompt/{COACHING}"]["sha256"] == version.sha256
    assert bodies[version.sha256] == version.text
    assert bodies_of(first_data, saved) == bodies
    # What includes nothing is as it always was, to the byte.
    assert "snippets" not in saved[f"prompt/{KPI}"]


@pytest.mark.usefixtures("tone")
def test_a_new_version_of_a_snippet_makes_one_of_each_template_that_follows(
    first_data: Session, editor: Actor, including: Including
) -> None:
    including(COACHING, FOLLOWING)
    pinned = including(KPI, 'Judge.\n{% include "shared/tone@1" %}\n{{ goals|tojson }}\n')

    saved = save(first_data, editor, "Be warm.\n")

    assert saved.version.number == 2
    assert list(saved.templates) == [COACHING]
    version = newest(first_data, COACHING)
    assert (version.number, version.body, version.snippets) == (3, FOLLOWING, {"tone": 2})
    assert version.text == "You coach.\nBe warm.\nAnswer {{ user_message }}\n"
    assert (version.reason, version.author_name) == ("shared/tone version 2: Warmer", "Ed")
    assert newest(first_data, KPI) is pinned
    assert sentences(first_data, "snippet.version_saved") == [
        (
            "saved version 2 of snippet shared/tone: 1 line added, 2 lines removed; "
            "a new version of 1 template, 3 configurations"
        )
    ]
    assert sentences(first_data, "prompt.version_saved")[-1] == (
        "saved version 3 of template coaching_response, with shared/tone version 2: 1 line added, 2 lines removed"
    )


@pytest.mark.usefixtures("tone")
def test_a_text_that_would_break_a_template_is_refused_with_its_name(
    first_data: Session, editor: Actor, including: Including
) -> None:
    including(COACHING, FOLLOWING)
    including(KPI, 'Judge.\n{% include "shared/tone" %}\n{{ goals|tojson }}\n')

    with pytest.raises(services.WouldBreak) as refused:
        save(first_data, editor, "Be warm.\nTo {{ user_message }}!\n")

    assert refused.value.errors["body"].startswith(
        "This would break 1 of the 2 templates that follow it. kpi_analysis, line 2: "
        "in shared/tone, line 2: the interaction has no parameter user_message"
    )
    assert [each.template for each in refused.value.broken] == [KPI]
    assert newest(first_data, COACHING).number == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            'a\n{% include "shared/ton" %}',
            "Line 2: there is no snippet shared/ton; did you mean 'shared/tone'?",
        ),
        ('{% include "shared/tone@7" %}', "Line 1: shared/tone has no version 7; the newest is 1"),
        ("{% include user_message %}", "Line 1: only the name of a snippet in quotes can be included: "),
        ('{% include "other/tone" %}', "Line 1: there is no 'other/tone' to include: "),
        ('{% include "shared/long" %}' * 2000, "with its snippets put in, the text has about "),
        (
            'a\n{% include "shared/tone" %}{{ nobody }}',
            "Line 2, column 31: the interaction has no parameter nobody",
        ),
        ('{% include "shared/tone" %}\n\n{% if x %}', "Line 3, column 4: {% if %} is never closed"),
    ],
)
@pytest.mark.usefixtures("tone")
def test_a_template_that_includes_wrongly_is_refused_at_its_own_line(
    first_data: Session, editor: Actor, including: Including, body: str, message: str
) -> None:
    services.create_snippet(first_data, code="long", body="x" * 65_000, reason="Long", actor=editor)
    with pytest.raises(Refused) as refused:
        including(COACHING, body)
    assert refused.value.errors["body"].startswith(message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{% if x %}never closed", "Line 1: {% if %} is never closed: add {% endif %}"),
        ('a\n{% include "shared/other" %}', "Line 2: a snippet cannot hold another snippet: "),
        ("{{ loop.index }}", "loop is there only between {% for %} and {% endfor %} of the snippet itself"),
        ("{% if false %}a{% endif %}", "the prompt came out empty"),
        (" \n", "there is nothing in it but white space"),
        ("a\nb\x00", "Line 2: there is a NUL character here"),
        ("x" * 70_000, "the text has 70,000 bytes, more than the 65,536 a prompt may have"),
        ("{{ name|shout }}", "Line 1: there is no filter shout"),
    ],
)
def test_what_could_stand_in_no_template_is_no_snippet(
    first_data: Session, editor: Actor, body: str, message: str
) -> None:
    with pytest.raises(Refused) as refused:
        services.create_snippet(first_data, code="bad", body=body, reason="Trying", actor=editor)
    assert refused.value.errors["body"].startswith(message)


@pytest.mark.parametrize("code", ["Tone", "new", "1st", "a b", "shared/x/y", ""])
def test_a_snippets_code_is_one_that_templates_can_write(
    first_data: Session, editor: Actor, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        services.create_snippet(first_data, code=code, body=TONE, reason="Trying", actor=editor)
    assert "code" in refused.value.errors


def test_a_code_may_be_given_as_templates_write_it(first_data: Session, editor: Actor, tone: Snippet) -> None:
    with pytest.raises(Refused, match="There is a snippet shared/tone already"):
        services.create_snippet(first_data, code="shared/tone", body=TONE, reason="Trying", actor=editor)


@pytest.mark.usefixtures("tone")
def test_a_snippet_that_is_used_is_not_archived(
    first_data: Session, editor: Actor, including: Including, tone: Snippet
) -> None:
    including(KPI, 'Judge.\n{% include "shared/tone@1" %}\n{{ goals|tojson }}\n')
    with pytest.raises(Refused, match="This snippet is used: kpi_analysis"):
        services.archive_snippet(first_data, tone, reason="Not wanted", actor=editor)

    including(KPI, "Judge.\n{{ goals|tojson }}\n")
    services.archive_snippet(first_data, tone, reason="Not wanted", actor=editor)

    with pytest.raises(Refused, match="the snippet shared/tone is archived"):
        including(COACHING, FOLLOWING)
    with pytest.raises(Refused, match="archived"):
        save(first_data, editor, "Be warm.\n")
    services.restore_snippet(first_data, tone, reason="Wanted", actor=editor)
    assert including(COACHING, FOLLOWING).snippets == {"tone": 1}


@pytest.mark.usefixtures("tone")
def test_a_template_that_was_archived_comes_back_with_the_snippets_of_today(
    first_data: Session, editor: Actor
) -> None:
    prompt = prompts.create_prompt(
        first_data, code="spare", interaction="COACHING_RESPONSE", body=FOLLOWING, reason="Try", actor=editor
    )
    prompts.archive_prompt(first_data, prompt, reason="Not now", actor=editor)
    assert save(first_data, editor, "Be warm.\n").templates == {}

    prompts.restore_prompt(first_data, prompt, reason="Now", actor=editor)

    assert newest(first_data, "spare").snippets == {"tone": 2}
    assert sentences(first_data, "prompt.restored") == [
        "restored template spare: configurations may take it again, as version 2 with the snippets of today"
    ]


@pytest.mark.usefixtures("tone")
def test_a_newer_snippet_is_in_nobodys_way_who_writes_the_template(
    first_data: Session, editor: Actor, including: Including
) -> None:
    including(COACHING, FOLLOWING)
    save(first_data, editor, "Be warm.\n")
    prompt = prompts.get_prompt(first_data, COACHING)

    version = prompts.save_version(
        first_data, prompt, body=FOLLOWING + "Now.\n", base_version=2, reason="Begun before", actor=editor
    )

    assert (version.number, version.snippets) == (4, {"tone": 2})
    with pytest.raises(Conflict):
        prompts.save_version(
            first_data, prompt, body=FOLLOWING, base_version=3, reason="Too late", actor=editor
        )


@pytest.mark.usefixtures("tone")
def test_where_used_tells_templates_versions_and_configurations(
    first_data: Session, editor: Actor, including: Including
) -> None:
    including(COACHING, FOLLOWING)
    including(KPI, 'Judge.\n{% include "shared/tone" %}{% include "shared/tone@1" %}\n{{ goals|tojson }}\n')
    save(first_data, editor, "Be warm.\n")

    coaching, kpi = usage.uses(first_data, "tone", environments=["production"])

    assert (coaching.template, coaching.saved, coaching.follows, coaching.pinned) == (COACHING, 3, 2, ())
    assert (kpi.template, kpi.saved, kpi.follows, kpi.pinned) == (KPI, 3, 2, (1,))
    assert [use.tier for use in coaching.configurations] == ["basic", "premium", None]
    # What is live was saved before there were snippets.
    assert coaching.live == (usage.Live("production", 1, ()),)
    assert usage.counts(first_data) == {"tone": 2}


def test_saving_says_who_was_faster_and_what_did_not_change(
    first_data: Session, editor: Actor, tone: Snippet
) -> None:
    with pytest.raises(Refused, match="Nothing changed"):
        save(first_data, editor, TONE.replace("\n", "\r\n"))
    with pytest.raises(Conflict, match="Ed saved version 1 of shared/tone while you were editing"):
        services.save_version(first_data, tone, body="New", base_version=7, reason="Late", actor=editor)
    with pytest.raises(NotFound):
        services.get_snippet(first_data, "nothing")


@pytest.mark.parametrize(
    "statement", ["UPDATE snippet_versions SET body = 'x'", "DELETE FROM snippet_versions"]
)
def test_versions_of_snippets_never_change(first_data: Session, tone: Snippet, statement: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"), first_data.begin_nested():
        first_data.connection().exec_driver_sql(statement)


def test_a_viewer_saves_nothing(first_data: Session, editor: Actor) -> None:
    viewer = dataclasses.replace(editor, role=Role.VIEWER)
    with pytest.raises(Forbidden):
        services.create_snippet(first_data, code="tone", body=TONE, reason="Trying", actor=viewer)
