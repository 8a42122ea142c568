"""What is too large is refused when it is published, with its size and the limit; no reader is the first to find out."""

from collections.abc import Mapping

import pytest
from sqlalchemy.orm import Session

from controlplane.db import now
from controlplane.errors import Refused
from controlplane.releases.compose import Document
from controlplane.releases.history import latest_release
from controlplane.releases.models import ImportedText
from controlplane.releases.saved import live_entries, live_entry
from controlplane.releases.services import publish
from controlplane.runtime import canonical
from controlplane.runtime.lookup.cards import MAX_CARD_BYTES
from controlplane.runtime.profile import MAX_SOURCE_BYTES
from controlplane.runtime.validate import PUBLISH, validate_raws
from tests.releases.changing import DEFAULT, PROMPT, PUBLISHER, REASON

INTERACTION = "interaction/COACHING_RESPONSE"


def publish_all(session: Session, source: Mapping[str, Document]) -> None:
    publish(
        session,
        "production",
        source=source,
        keys=source,
        reason=REASON,
        actor=PUBLISHER,
        source_name="saved",
    )


def refusal(session: Session, source: Mapping[str, Document]) -> dict[str, str]:
    with pytest.raises(Refused) as refused:
        publish_all(session, source)
    return refused.value.errors


def interaction(session: Session, size: int) -> Document:
    """Return the interaction with a description that makes its document this many bytes long."""
    document = {**(live_entry(session, "production", INTERACTION) or {}), "description": ""}
    return {**document, "description": "x" * (size - len(canonical.dumps(document)))}


def may_hold(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    """Have a release hold less: the real limits take seconds to reach."""
    defaults = validate_raws.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "limits", PUBLISH._replace(**limits))


def test_an_entry_may_have_so_many_bytes(first_data: Session) -> None:
    over = {INTERACTION: interaction(first_data, PUBLISH.entry_bytes + 1)}
    assert refusal(first_data, over) == {
        INTERACTION: "Interaction COACHING_RESPONSE: 131,073 bytes are more than the 131,072 that one entry may have"
    }
    publish_all(first_data, {INTERACTION: interaction(first_data, PUBLISH.entry_bytes)})


def test_a_release_may_have_so_many_bytes(first_data: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    live = latest_release(first_data, "production")
    assert live is not None
    may_hold(monkeypatch, snapshot_bytes=live.snapshot_size + 1_000)
    size = len(canonical.dumps(live_entry(first_data, "production", INTERACTION)))
    (message,) = refusal(first_data, {INTERACTION: interaction(first_data, size + 1_001)}).values()
    limit = live.snapshot_size + 1_000
    assert message == f"the release has {limit + 1:,} bytes, and {limit:,} is the limit"
    publish_all(first_data, {INTERACTION: interaction(first_data, size + 1_000)})


def test_a_release_may_have_so_many_entries(first_data: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    may_hold(monkeypatch, entries=1_000)
    tiers = {f"tier/t{number}": {"name": "T", "rank": 1} for number in range(927)}
    (message,) = refusal(first_data, tiers).values()
    assert message == "the release has 1,001 entries, and 1,000 is the limit"
    del tiers["tier/t0"]
    publish_all(first_data, tiers)


def test_what_a_call_needs_may_have_so_many_bytes(first_data: Session) -> None:
    live = live_entries(first_data, "production")
    (variant,) = live[DEFAULT]["variants"]
    shares = [[[bucket, bucket + 1] for bucket in range(start, 9_000, 2)] for start in (0, 1)]
    shares[1][-1][1] = 100_000
    variants = [{**variant, "version": variant["version"] + each, "ranges": shares[each]} for each in (0, 1)]
    split = {**live[DEFAULT], "variants": variants}
    tiers = [DEFAULT.split("/")[2], *(key.partition("/")[2] for key in live if key.startswith("tier/"))]
    rows = {f"configuration/COACHING_RESPONSE/{tier}/*": split for tier in tiers}
    assert len(canonical.dumps(split)) < PUBLISH.entry_bytes < MAX_CARD_BYTES

    (message,) = refusal(first_data, rows).values()

    assert message.startswith("All that a call of COACHING_RESPONSE/* may need comes to ")
    assert message.endswith(" bytes; one item of the store holds 393,216.")


def test_a_text_may_have_so_many_bytes(first_data: Session) -> None:
    """Refused when it is saved already; one that came in by another way is when it is published."""
    body = "x" * (MAX_SOURCE_BYTES + 1)
    sha256 = canonical.digest(body.encode())
    first_data.add(ImportedText(sha256=sha256, body=body, imported_at=now()))
    prompt = live_entry(first_data, "production", PROMPT)
    assert prompt is not None
    errors = refusal(first_data, {PROMPT: {**prompt, "sha256": sha256, "size": len(body)}})
    assert f"the text has {MAX_SOURCE_BYTES + 1:,} bytes, more than the {MAX_SOURCE_BYTES:,}" in str(errors)
