import pytest

from controlplane.audit.tickets import link_to_ticket, ticket_in


@pytest.mark.parametrize(
    ("reason", "ticket"),
    [
        ("OPS-123", "OPS-123"),
        ("As agreed in (LLM2-7).", "LLM2-7"),
        ("first OPS-1, then OPS-2", "OPS-1"),
        ("GPT-4 is slow, OPS-9", "OPS-9"),
        ("GPT-4 and CLAUDE-3 in UTF-8", None),
        ("see docs/OPS-123 and XOPS-0 and ops-12", None),
        ("OPS-12-3", None),
        ("OPS-123.4", None),
        ("", None),
        (None, None),
    ],
)
def test_the_first_ticket_of_a_reason_is_found(reason: str | None, ticket: str | None) -> None:
    assert ticket_in(reason) == ticket


@pytest.mark.parametrize(
    ("ticket", "pattern", "link"),
    [
        ("OPS-1", "https://t.example.com/{ticket}?x=1", "https://t.example.com/OPS-1?x=1"),
        (None, "https://t.example.com/{ticket}", None),
        ("OPS-1", None, None),
    ],
)
def test_its_address_is_the_operator_s_pattern(
    ticket: str | None, pattern: str | None, link: str | None
) -> None:
    assert link_to_ticket(ticket, pattern) == link
