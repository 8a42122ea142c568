"""How tokens are spelt: known again, told from what is none, and found where they should not be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.audit.keys_in_text import find_key, without_keys
from controlplane.tokens import minting


def test_a_token_names_its_key_and_is_known_by_its_digest() -> None:
    minted = minting.mint()
    assert minted.text.startswith(f"lcp_{minted.key}_")
    assert minting.key_in(minted.text) == minted.key
    kept = minting.digest(minted.text)
    assert minted.text not in kept
    assert minting.is_token_of(minted.text, kept)
    assert not minting.is_token_of(minting.mint().text, kept)


def test_no_two_are_alike_and_each_has_enough_of_chance() -> None:
    made = {minting.mint().text for _ in range(200)}
    assert len(made) == 200
    secrets = {text.split("_")[2][:30] for text in made}
    assert len(secrets) == 200
    assert len({letter for secret in secrets for letter in secret}) == 62, "30 of 62 letters are 178 bits"


@settings(max_examples=60)
@given(place=st.integers(0, 51), letter=st.sampled_from("0aZ_ é"))
def test_a_slip_in_a_token_is_noticed_without_asking_anybody(place: int, letter: str) -> None:
    text = minting.mint().text
    place %= len(text)
    slipped = text[:place] + letter + text[place + 1 :]
    assert (minting.key_in(slipped) is None) == (slipped != text)


@settings(max_examples=60)
@given(st.text(max_size=80))
def test_what_is_no_token_is_none(text: str) -> None:
    assert minting.key_in(text) is None


@pytest.mark.parametrize("text", ["", "lcp__", "ghp_" + "a" * 36, "Bearer lcp_x"])
def test_tokens_of_others_are_none_of_ours(text: str) -> None:
    assert minting.key_in(text) is None


def test_a_token_in_a_template_or_a_reason_is_found_and_kept_out_of_the_record() -> None:
    token = minting.mint().text
    found = find_key(f"You are a coach.\nCall {token} first.")
    assert found is not None
    assert (found.what, found.line) == ("a token of this control plane", 2)
    assert token not in without_keys(f"because of {token}")
    assert minting.is_within(f"/api/v1/environments?token={token}")
