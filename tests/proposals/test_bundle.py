"""Bringing in a release from a file: another installation's, or an older one of this."""

from collections.abc import Callable

import msgspec
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.errors import NotFound
from controlplane.prompts.documents import digest
from controlplane.proposals import bundle, services
from controlplane.proposals.models import UploadedBundle
from controlplane.releases.history import get_release, snapshot_of
from controlplane.releases.models import ImportedText
from controlplane.releases.saved import bodies_of, live_entries, live_entry
from controlplane.runtime import canonical
from controlplane.runtime.disk import from_bytes, to_bytes
from controlplane.runtime.signing import Signer, Verifier, new_key_pair
from controlplane.runtime.stores.base import Pointer
from tests.page import Page, PageClient
from tests.proposals.bundles import file_of
from tests.proposals.choosing import action_of, offered, proposal, proposed, send, ticked
from tests.proposals.stage import person
from tests.releases.changing import PREMIUM, PROMPT, publish_saved, save_configuration
from tests.site import add_person, app_on, client_of

ClientAs = Callable[[Role | str], PageClient]
UPLOAD = "/production/proposals/bundle"
TEXT = "Answer kindly: somebody else wrote this.\n"


@pytest.fixture
def editor(client_as: ClientAs) -> PageClient:
    return client_as("editor")


def stranger(session: Session) -> bytes:
    """What is live in production, but for one template that has a text nobody here ever saw."""
    documents = live_entries(session, "production")
    documents[PROMPT] = {**documents[PROMPT], "version": 9, "sha256": digest(TEXT), "size": len(TEXT)}
    known = {key: document for key, document in documents.items() if key != PROMPT}
    return file_of(documents, {**bodies_of(session, known), digest(TEXT): TEXT})


def upload(client: PageClient, data: bytes) -> Page:
    # Written by hand: werkzeug's own client keeps what is large in a temporary file and never closes that.
    head = b'--parted\r\nContent-Disposition: form-data; name="bundle"; filename="a.release"\r\n\r\n'
    body = head + data + b"\r\n--parted--\r\n"
    return client.post(UPLOAD, body, content_type="multipart/form-data; boundary=parted")


def test_a_bundle_becomes_a_proposal_with_its_texts(editor: PageClient, first_data: Session) -> None:
    page = editor.follow(upload(editor, stranger(first_data)))
    assert page.heading == "Import a bundle"
    assert "Release 7 of live, published at an unknown time" in page.body
    assert "somebody else wrote this" in page.body
    assert ticked(page) == offered(page) == [PROMPT]

    answer = send(editor, page, step="draft")

    assert answer.status == 303
    assert proposal(first_data).source == "bundle of live release 7"
    assert proposed(first_data)[PROMPT]["sha256"] == digest(TEXT)
    assert first_data.get_one(ImportedText, digest(TEXT)).body == TEXT


def test_what_was_imported_goes_live_and_a_second_time_changes_nothing(
    editor: PageClient, first_data: Session
) -> None:
    data = stranger(first_data)
    send(editor, editor.follow(upload(editor, data)), step="review")
    publisher = person(first_data, Role.PUBLISHER, "Grace")

    services.publish(first_data, "production", 1, revision=proposal(first_data).revision, actor=publisher)
    first_data.commit()

    assert TEXT.encode()[:20] in snapshot_of(first_data, "production", 2)
    assert "Nothing would change" in editor.follow(upload(editor, data)).body


def test_nothing_is_kept_of_a_text_that_was_not_proposed(editor: PageClient, first_data: Session) -> None:
    page = editor.follow(upload(editor, stranger(first_data)))
    send(editor, page, step="draft", reason="short")

    assert first_data.scalar(select(func.count()).select_from(ImportedText)) == 0


def test_a_bundle_of_this_very_release_changes_nothing(editor: PageClient, first_data: Session) -> None:
    release = get_release(first_data, "production", 1)
    data = snapshot_of(first_data, "production", 1)
    pointer = Pointer(environment="production", release=1, sha256=release.snapshot_sha256, size=len(data))

    assert "Nothing would change" in editor.follow(upload(editor, to_bytes(pointer, data))).body


def test_what_is_live_here_alone_is_not_removed_unless_ticked(
    editor: PageClient, first_data: Session
) -> None:
    documents = live_entries(first_data, "production")
    del documents[PREMIUM]

    page = editor.follow(upload(editor, file_of(documents, bodies_of(first_data, documents))))

    assert (offered(page), ticked(page)) == ([PREMIUM], [])
    assert "Is not in the bundle. Ticking it removes it here." in page.body


def test_a_number_that_means_another_text_here_is_told(editor: PageClient, first_data: Session) -> None:
    data = stranger(first_data).replace(b'"version":9', b'"version":1')
    body = data.partition(b"\n")[2]
    pointer = Pointer(environment="live", release=7, sha256=canonical.digest(body), size=len(body))

    page = editor.follow(upload(editor, to_bytes(pointer, body)))

    assert "Version 1 is another text here than in the bundle." in page.body


def test_a_bundle_without_new_texts_is_compared_field_by_field(
    editor: PageClient, first_data: Session
) -> None:
    old = live_entries(first_data, "production")
    data = file_of(old, bodies_of(first_data, old))
    save_configuration(first_data, model="CLAUDE_3_HAIKU")
    publish_saved(first_data, "production")

    send(editor, editor.follow(upload(editor, data)), step="draft")

    assert proposed(first_data) == {PREMIUM: live_entry(first_data, "production", PREMIUM, at=1)}


# What a stranger may send


def damaged(session: Session) -> dict[str, bytes]:
    good = stranger(session)
    documents = live_entries(session, "production")
    bodies = bodies_of(session, documents)
    line, _, body = good.partition(b"\n")
    pointer = msgspec.json.decode(line)
    return {
        "empty": b"",
        "a picture": b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        "only a pointer": line + b"\n",
        "cut off": good[:-20],
        "changed": good.replace(b"somebody else", b"nobody at all"),
        "of a later schema": file_of(documents, bodies, schema=99),
        "for a later reader": file_of(documents, bodies, minimum_reader=99),
        "too large by its word": file_of(documents, bodies, size=10**12),
        "without a text": file_of(documents, {}),
        "without what is named": file_of(
            {key: each for key, each in documents.items() if not key.startswith("model/")}, bodies
        ),
        "without an end": b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n" + body,
        "with a zero byte in a name": file_of(
            {**documents, "tier/premium": {**documents["tier/premium"], "name": "a\0b"}}, bodies
        ),
        "with a zero byte in a key": file_of({**documents, "tier/a\0b": {"name": "A", "rank": 9}}, bodies),
        "with a zero byte in its time": file_of(documents, bodies, published_at="\0"),
        "of another shape": to_bytes(
            Pointer(environment="live", release=1, sha256=canonical.digest(b"[]"), size=2), b"[]"
        ),
        "a number for an environment": msgspec.json.encode({**pointer, "environment": 7}) + b"\n" + body,
    }


def test_a_file_that_is_no_sound_release_is_refused_in_words(editor: PageClient, first_data: Session) -> None:
    for name, data in damaged(first_data).items():
        page = upload(editor, data)
        assert page.status == 422, name
        assert page.error_of("bundle"), name
    assert first_data.scalar(select(func.count()).select_from(UploadedBundle)) == 0


def test_a_file_that_is_too_large_is_refused(editor: PageClient) -> None:
    for length in (bundle.MOST_BYTES + 1, bundle.MOST_BYTES + 1024 * 1024):
        page = upload(editor, b"x" * length)
        assert page.status == 422
        assert page.error_of("bundle")


def test_a_larger_file_than_a_form_may_have_is_taken(editor: PageClient, first_data: Session) -> None:
    documents = live_entries(first_data, "production")
    bodies = bodies_of(first_data, documents)
    more = {f"{'A line of words. ' * 3_000}{number}\n" for number in range(30)}
    data = file_of(documents, bodies | {digest(text): text for text in more})
    assert len(data) > 1024 * 1024

    assert upload(editor, data).status in {303, 422}
    assert "larger" not in upload(editor, data).text


def test_an_upload_is_its_uploaders_alone_and_only_the_last_are_kept(first_data: Session) -> None:
    ada, grace = (person(first_data, Role.EDITOR, name) for name in ("Ada", "Grace"))
    data = stranger(first_data)
    kept = [bundle.keep(first_data, data, verifier=Verifier(), actor=ada).id for _ in range(5)]

    with pytest.raises(NotFound):
        bundle.uploaded(first_data, kept[-1], actor=grace)
    with pytest.raises(NotFound):
        bundle.uploaded(first_data, kept[0], actor=ada)
    assert bundle.uploaded(first_data, kept[-1], actor=ada).pointer.release == 7


@pytest.mark.parametrize(
    ("signer", "changed", "said"),
    [
        ("ours", False, "Signed with the key ours, which is known here"),
        ("ours", True, "Somebody changed this bundle since it was published"),
        ("theirs", False, "No key that is known here has signed it"),
        (None, False, "No key that is known here has signed it"),
    ],
)
def test_whose_key_vouches_for_a_bundle_is_said_and_a_broken_seal_refused(
    first_data: Session, signer: str | None, changed: bool, said: str
) -> None:
    pairs = {key_id: new_key_pair(key_id) for key_id in ("ours", "theirs")}
    known = Verifier.from_environment({"CONTROLPLANE_PUBLIC_KEYS": pairs["ours"].public})
    copy = from_bytes(stranger(first_data), age_seconds=0)
    assert copy is not None
    pointer = msgspec.structs.replace(copy.pointer, published_at="2026-11-22T11:40:42.5+01:00")
    if signer:
        key = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY": pairs[signer].signing})
        assert key is not None
        pointer = key.sign(pointer)
    if changed:
        pointer = msgspec.structs.replace(pointer, release=pointer.release + 1)
    client = client_of(app_on(first_data, verifier=known), add_person(first_data, Role.EDITOR))

    answer = upload(client, to_bytes(pointer, copy.data))
    page = answer if changed else client.follow(answer)

    assert said in page.body
    assert answer.status == (422 if changed else 303)
    assert changed or "Release 7 of live, published 22 Nov 2026, 10:40 UTC" in page.body


def test_a_text_that_no_template_may_hold_is_told_with_its_reason_and_spoils_no_other(
    editor: PageClient, first_data: Session
) -> None:
    documents = live_entries(first_data, "production")
    other = "prompt/kpi_analysis"
    hostile, fine = "{{ ''.__class__ }}\n", bodies_of(first_data, {other: documents[other]})
    fine_text = f"{next(iter(fine.values()))}Be brief.\n"
    for key, text in ((PROMPT, hostile), (other, fine_text)):
        documents[key] = {**documents[key], "version": 9, "sha256": digest(text), "size": len(text.encode())}
    rest = {key: document for key, document in documents.items() if key not in {PROMPT, other}}
    bodies = {**bodies_of(first_data, rest), digest(hostile): hostile, digest(fine_text): fine_text}

    page = editor.follow(upload(editor, file_of(documents, bodies)))

    assert offered(page) == [PROMPT, other]
    assert ticked(page) == [other]
    assert "its text can be no template here. Line 1: .__class__ is not available" in page.body
    sent = editor.follow(send(editor, page, entries=[PROMPT], step="draft"))
    assert "Wrong: Holds together with what is live, 1 problem" in sent.body
    checks = editor.get("/production/proposals/1?part=checks").body
    assert "Template coaching_response: Line 1: .__class__ is not available" in checks


def test_the_form_of_an_upload_says_its_limit(editor: PageClient) -> None:
    page = editor.get("/production/proposals/new")

    assert "At most 8 MiB" in page.body
    assert action_of(page) == UPLOAD
