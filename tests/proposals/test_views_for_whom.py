"""The list, and what each role sees and may do."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.proposals import services
from tests.page import Page, PageClient, words
from tests.proposals.browsing import LIST, ONE, do, done, offered, propose, state
from tests.proposals.stage import make, make_submitted, person, rule, warmer
from tests.releases.changing import PREMIUM, save_configuration, save_prompt

ClientAs = Callable[[Role | str], PageClient]


@pytest.fixture
def in_review(ada: Actor, first_data: Session) -> Session:
    """A proposal of Ada's, which one other has to agree to."""
    make_submitted(first_data, ada, source="release 1")
    first_data.commit()
    return first_data


def numbers_in(page: Page, section: str) -> list[str]:
    """The proposals in a section of the list."""
    return [words(each) for each in page.by_id(section).iter("th") if each.get("scope") == "row"]


def test_a_viewer_sees_everything_and_is_told_who_may(client_as: ClientAs, in_review: Session) -> None:
    client_as("publisher")
    viewer = client_as("viewer")
    for part in ("changes", "rendered", "checks", "conversation", "all"):
        page = viewer.get(f"{ONE}?part={part}")
        assert offered(page) == set()
        assert "Needs Publisher. Ask: Publisher One." in page.body
    assert viewer.post(f"{ONE}/comment", {"body": "Hello"}).status == 403
    assert viewer.post(LIST, {}).status == 403


@pytest.mark.parametrize("role", ["editor", "on-call"])
def test_below_a_publisher_one_talks_and_asks(client_as: ClientAs, in_review: Session, role: str) -> None:
    client = client_as(role)
    page = client.get(f"{ONE}?part=conversation")
    assert offered(page) == {"comment"}
    assert "Needs Publisher." in page.body
    for verb in ("approve", "reject", "publish", "schedule", "unschedule"):
        assert client.post(f"{ONE}/{verb}", {"revision": "2"}).status == 403


def test_a_publisher_may_agree_ask_for_changes_and_withdraw(client_as: ClientAs, in_review: Session) -> None:
    publisher = client_as("publisher")
    page = publisher.get(ONE)
    assert offered(page) == {"approve", "reject", "withdraw"}
    assert "You may give it." in page.body
    page = done(publisher, "approve")
    assert offered(page) == {"publish", "reject", "schedule", "withdraw"}
    assert "You agreed to this." in page.body


def test_where_administrators_publish_a_publisher_is_told_so(client_as: ClientAs, in_review: Session) -> None:
    rule(in_review, publish_role="admin")
    in_review.commit()
    publisher = client_as("publisher")
    client_as("admin")
    page = publisher.get(ONE)
    assert "Needs Admin. Ask: Admin One." in page.body
    refused = publisher.post(f"{ONE}/approve", {"revision": "2", "seen_sha256": "0"})
    assert refused.status == 403
    assert offered(client_as("admin").get(ONE)) == {"approve", "reject", "withdraw"}


def test_with_two_approvals_the_first_is_half_the_way(client_as: ClientAs, in_review: Session) -> None:
    rule(in_review, approvals=2)
    in_review.commit()
    page = done(client_as("publisher"), "approve")
    assert state(page) == "In review"
    assert "Needs 1 more approval." in page.body
    assert state(done(client_as("admin"), "approve")) == "Approved"


def test_an_approval_of_somebody_who_may_no_longer_is_shown_as_lapsed(
    client_as: ClientAs, in_review: Session
) -> None:
    done(client_as("publisher"), "approve")
    rule(in_review, publish_role="admin")
    in_review.commit()
    page = client_as("admin").get(ONE)
    assert "No longer counts: Publisher One." in page.body
    assert "publish" not in offered(page)


def test_what_needs_me_comes_first_in_the_list(client_as: ClientAs, in_review: Session, ada: Actor) -> None:
    publisher, editor = client_as("publisher"), client_as("editor")
    own = services.create(
        in_review, "production", entries={PREMIUM: warmer(in_review, 0.1)}, base=1, reason="Calmer answers",
        source="saved", actor=ada,
    )  # fmt: skip
    in_review.commit()
    page = publisher.get(LIST)
    assert numbers_in(page, "section-you") == ["1"]
    assert numbers_in(page, "section-open") == [str(own.number)]
    assert "needs 1 approval" in page.body
    assert numbers_in(editor.get(LIST), "section-open") == ["2", "1"]
    done(publisher, "approve")
    assert numbers_in(client_as("admin").get(LIST), "section-you") == ["1"]
    do(publisher, "publish")
    assert numbers_in(publisher.get(LIST), "ended") == ["1"]


def test_changes_asked_for_wait_for_whoever_wrote_it(client_as: ClientAs, first_data: Session) -> None:
    rule(first_data, approvals=1)
    editor, publisher = client_as("editor"), client_as("publisher")
    save_configuration(first_data, temperature=0.2)
    first_data.commit()
    propose(editor)
    assert "Proposed already: proposal 1." in editor.get("/production/unpublished").body
    assert numbers_in(editor.get(LIST), "section-open") == ["1"]
    done(publisher, "reject", comment="Shorter, please")
    assert numbers_in(editor.get(LIST), "section-you") == ["1"]
    assert numbers_in(publisher.get(LIST), "section-open") == ["1"]
    done(editor, "withdraw")
    assert "Proposed already" not in editor.get("/production/unpublished").body


def test_the_list_is_narrowed_to_a_state_and_goes_on(
    client_as: ClientAs, first_data: Session, ada: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.proposals.listing.PAGE_LENGTH", 2)
    for _ in range(3):
        make(first_data, ada)
    make_submitted(first_data, ada)
    first_data.commit()
    viewer = client_as("viewer")
    page = viewer.get(f"{LIST}?state=draft")
    assert numbers_in(page, "ended") == ["3", "2"]
    page = viewer.get(page.link("Older"))
    assert numbers_in(page, "ended") == ["1"]
    assert viewer.get(f"{LIST}?state=published").status == 200
    assert viewer.get(f"{LIST}?state=nonsense&before=x").status == 200


def test_without_proposals_the_list_says_how_to_begin(client_as: ClientAs) -> None:
    page = client_as("viewer").get(LIST)
    assert "No proposals yet" in page.body


def test_the_navigation_counts_what_waits(client_as: ClientAs, in_review: Session) -> None:
    page = client_as("viewer").get(LIST)
    assert "Proposals1" in "".join(page.texts("nav")).replace(" ", "")


def test_an_event_of_a_proposal_leads_to_its_page(client_as: ClientAs, in_review: Session) -> None:
    viewer = client_as("viewer")
    page = viewer.get(f"{ONE}?part=conversation")
    event = viewer.get(
        page.link("submitted proposal 1 of production (it needs 1 approval): " + _summary(page))
    )
    assert event.link("Open what was changed") == ONE


def _summary(page: Page) -> str:
    return page.texts("p", class_="lead")[0]


def test_a_template_is_shown_side_by_side_and_rendered_with_the_examples(
    client_as: ClientAs, first_data: Session
) -> None:
    save_prompt(first_data, suffix="Never promise anything.")
    publisher = client_as("publisher")
    propose(publisher)
    page = publisher.get(f"{ONE}?view=split")
    assert page.all("table", class_="diff-split")
    assert "+Never promise anything." in page.texts("td", class_="ins")
    rendered = publisher.get(f"{ONE}?part=rendered")
    assert "1 line added" in rendered.body
    assert "Never promise anything." in rendered.body


def test_all_on_one_page_has_every_part(client_as: ClientAs, in_review: Session) -> None:
    page = client_as("viewer").get(f"{ONE}?part=all")
    for part in ("changes", "rendered", "checks", "conversation", "history", "people"):
        page.by_id(part)


def test_a_check_that_is_red_is_seen_on_the_page(
    client_as: ClientAs, first_data: Session, ada: Actor
) -> None:
    live = warmer(first_data)
    wrong = {**live, "variants": [{**live["variants"][0], "model": "NO_SUCH_MODEL"}]}
    make(first_data, ada, entries={PREMIUM: wrong})
    first_data.commit()
    page = client_as("publisher").get(f"{ONE}?part=checks")
    assert "Services would refuse it: 1 problem." in page.body
    assert "there is no model NO_SUCH_MODEL" in page.body
    assert "A check found something wrong: look at it first." in page.body


def test_there_is_no_such_proposal(client_as: ClientAs) -> None:
    viewer = client_as("viewer")
    assert viewer.get(f"{LIST}/7").status == 404
    assert viewer.get(f"{LIST}/99999999999999999999").status == 404


def test_a_form_that_did_not_arrive_whole_is_told_so(client_as: ClientAs, in_review: Session) -> None:
    refused = client_as("publisher").post(f"{ONE}/approve", {})
    assert refused.status == 422
    assert "The form did not arrive whole." in refused.body


def test_a_time_is_told_twice_while_it_is_typed(client_as: ClientAs) -> None:
    viewer = client_as("viewer")
    told = viewer.get("/_/production/proposals/due?due=2026-12-01T09:00&zone=Europe/Berlin")
    assert "Tue 1 Dec 2026, 09:00 Europe/Berlin (08:00 UTC)." in told.text
    assert (
        "There is no time zone" in viewer.get("/_/production/proposals/due?due=2026-12-01T09:00&zone=x").text
    )


def test_before_it_is_scheduled_the_time_can_be_looked_at_without_script(
    client_as: ClientAs, first_data: Session
) -> None:
    save_configuration(first_data, temperature=0.1)
    publisher = client_as("publisher")
    propose(publisher)
    page = do(publisher, "schedule", due="2027-01-05T09:00", zone="America/St_Johns", step="check")
    assert page.status == 200
    assert "Tue 5 Jan 2027, 09:00 America/St_Johns (12:30 UTC)." in page.body
    assert state(publisher.get(ONE)) == "Approved"


def test_a_hostile_comment_and_reason_stay_text(client_as: ClientAs, first_data: Session) -> None:
    somebody = person(first_data, "editor", "<script>alert(1)</script>")
    make(first_data, somebody, reason="<img src=x onerror=alert(1)> and more")
    first_data.commit()
    page = client_as("viewer").get(f"{ONE}?part=all")
    assert "<img src=x onerror=alert(1)> and more" in page.body
    assert not page.all("img")
