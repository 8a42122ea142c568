"""What looks like a key, and what only looks a little like one. No key here was ever valid."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit.keys_in_text import (
    fields_without_keys,
    find_key,
    fingerprint,
    problem_of,
    without_keys,
)
from controlplane.configurations.inputs import check_reason
from controlplane.errors import Refused
from controlplane.prompts import services as prompts
from controlplane.prompts.inputs import VersionInput
from controlplane.registry.inputs import InteractionInput
from controlplane.releases.services import reason_problem
from tests.audit.events import told

# Put together here, so that nobody who scans these sources finds a key in them.
RANDOM = "q7Zt0xWm4Kc9RvB2nHs6LpYdEjA8fUgT3oXiNw1C"
KEYS = {
    "an OpenAI key": ["sk-" + RANDOM, "sk-proj-" + RANDOM],
    "an Anthropic key": ["sk-ant-api03-" + RANDOM],
    "an AWS access key": ["AKIA" + "Q7ZT0XWM4KC9RVB2"],
    "a Google key": ["AIza" + RANDOM[:35]],
    "a GitHub token": ["ghp_" + RANDOM[:36], "github_pat_" + RANDOM + "_" + RANDOM],
    "a GitLab token": ["glpat-" + RANDOM[:20]],
    "a Slack token": ["xoxb-" + "1234567890-" + RANDOM[:24]],
    "a Stripe key": ["sk_live_" + RANDOM[:24]],
    "a Hugging Face token": ["hf_" + RANDOM[:34]],
    "a package registry's token": ["npm_" + RANDOM[:36]],
    "a private key": ["-----BEGIN " + "RSA PRIVATE KEY-----", "-----BEGIN " + "PRIVATE KEY-----"],
    "a signed token (JWT)": [".".join(["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0In0", RANDOM])],
    "an address with a password in it": ["postgresql://app:" + "q7Zt0xWm@db.internal/app"],
    "a key or a password": ["api_key = '" + RANDOM + "'", "Password: " + RANDOM, "bearer " + RANDOM, '"token": "' + RANDOM + '"'],
}  # fmt: skip
INNOCENT = [
    "",
    "You are a coach. Keep the token budget small: max_tokens is 500.",
    "The password is never asked for.",
    "sk-learn-model-selection-and-evaluation-tools",
    "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "api_key = your-api-key-goes-here-please",
    "token: {{ user_token_from_the_session }}",
    "Bearer {{ token }}",
    "secret: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "The text's sha256 is 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.",
    "COACHING_RESPONSE_FOR_PREMIUM_AND_ENTERPRISE_TIERS",
    "https://example.com/a/very/long/path/that/goes/on?token=short",
    "http://localhost:8000/x@y",
    f"sk-{RANDOM}  {{# not a key #}}",
]


@pytest.mark.parametrize(("what", "text"), [(what, text) for what, texts in KEYS.items() for text in texts])
def test_a_key_is_found_with_its_line(what: str, text: str) -> None:
    found = find_key(f"First line.\nUse {text} for it.\nThird line.")
    assert found is not None
    assert (found.what, found.line) == (what, 2)


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_no_key_is_left_alone(text: str) -> None:
    assert find_key(text) is None
    assert without_keys(text) == text


def test_what_is_wrong_says_what_to_do() -> None:
    said = problem_of(f"one\ntwo ghp_{RANDOM}", multiline=True)
    assert said is not None
    assert said.startswith("Line 2 holds what looks like a GitHub token.")
    assert "take it out" in said
    assert "“not a key”" in said
    assert RANDOM not in said


def test_secrets_are_replaced_wherever_they_stand() -> None:
    given = {
        "password": "hunter2 and more",
        "model": {"api_key": RANDOM, "max_tokens": 500, "note": f"see sk-{RANDOM}, and\nghp_{RANDOM}"},
        "list": [f"AKIA{'Q7ZT0XWM4KC9RVB2'}", 1, None],
        "token": None,
    }
    kept = fields_without_keys(given)
    assert RANDOM not in str(kept)
    assert "hunter2" not in str(kept)
    assert kept["model"]["api_key"] == fingerprint(RANDOM)
    assert (kept["model"]["max_tokens"], kept["list"][1:], kept["token"]) == (500, [1, None], None)
    assert kept["model"]["note"].startswith("see [secret, fingerprint ")


def test_two_fingerprints_are_the_same_only_for_the_same_secret() -> None:
    assert fingerprint("a") == fingerprint("a")
    assert fingerprint("a") != fingerprint("b")


def test_nothing_of_a_key_reaches_the_record(session: Session) -> None:
    event = told(
        session,
        f"renamed it to sk-{RANDOM}",
        reason=f"password: {RANDOM}",
        before={"secret": RANDOM},
        after={"note": f"ghp_{RANDOM}"},
    )
    session.expire(event)
    assert RANDOM not in str((event.sentence, event.reason, event.before, event.after))
    assert event.before == {"secret": fingerprint(RANDOM)}


def a_reason_of_a_template() -> object:
    return VersionInput.model_validate({"body": "x", "base_version": 1, "reason": f"as ghp_{RANDOM} asks"})


def a_description_of_an_interaction() -> object:
    return InteractionInput.model_validate(
        {"code": "A_CODE", "category": "coaching", "description": f"use sk-{RANDOM}"}
    )


def a_reason_of_a_configuration() -> object:
    return check_reason(f"password: {RANDOM}")


@pytest.mark.parametrize(
    "given", [a_reason_of_a_template, a_description_of_an_interaction, a_reason_of_a_configuration]
)
def test_what_people_type_is_refused_before_it_is_saved(given: Callable[[], object]) -> None:
    with pytest.raises((ValidationError, Refused), match="looks like"):
        given()


def test_a_reason_to_publish_is_refused() -> None:
    assert "looks like" in (reason_problem(f"ghp_{RANDOM}", protected=False) or "")


def test_a_template_with_a_key_in_it_is_not_saved_and_the_line_is_named(
    first_data: Session, actor_as: Callable[[str], Actor]
) -> None:
    prompt = prompts.get_prompt(first_data, "coaching_response")
    latest = prompts.latest_version(first_data, prompt.code)
    assert latest is not None
    body = f"{latest.body}\nUse ghp_{RANDOM}"
    with pytest.raises(prompts.BodyRefused, match="a GitHub token") as refused:
        prompts.save_version(
            first_data,
            prompt,
            body=body,
            base_version=latest.number,
            reason="As asked",
            actor=actor_as("editor"),
        )
    assert refused.value.line == latest.body.count("\n") + 2
    saved = prompts.save_version(
        first_data,
        prompt,
        body=f"{body} {{# not a key #}}",
        base_version=latest.number,
        reason="As asked",
        actor=actor_as("editor"),
    )
    assert saved.number == latest.number + 1
