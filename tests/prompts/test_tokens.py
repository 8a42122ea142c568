"""Estimated tokens: golden numbers beside what published tokenizers count, and what holds of every text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.first_data.read import read_prompts
from controlplane.prompts.tokens import estimate

# A text; the estimate, which is pinned: another number is another figure on every page, and a visible decision; and what
# OpenAI's o200k and Anthropic's published tokenizer count.
GOLDEN = {
    "english": ("Answer in at most three sentences, and end with one open question.", 15, 14, 14),
    "code": (
        "def save(session: Session, *, actor: Actor) -> Version:\n    return Version(actor.id)\n", 23, 20, 24,
    ),
    "json": ('{"goals": [{"name": "fewer late orders", "target": 12}], "language": "en"}', 21, 25, 23),
    "numbers": ("Revenue 2026-01: 1,234,567.89 EUR; growth 5.4 %.", 22, 23, 21),
    "german": ("Wenn ein Ziel nicht messbar ist, frage nach einer Zahl und einem Termin.", 14, 16, 19),
    "russian": ("Отвечай коротко и на языке собеседника.", 17, 12, 21),
    "chinese": ("如果目标无法衡量，请先询问一个数字和一个期限。", 20, 15, 18),
    "japanese": ("目標が測定できない場合は、数値と期限を尋ねてください。", 23, 20, 26),
    "emoji": ("🎉 Well done! 👩‍💻 Three goals 🚀🚀", 18, 16, 20),
}  # fmt: skip

# What those tokenizers count of templates that come with the product, as they are written.
SHIPPED = {"coaching_response": (653, 714), "kpi_analysis": (757, 812), "website_scan": (627, 657)}


@pytest.mark.parametrize("name", GOLDEN)
def test_an_estimate_is_the_one_it_was(name: str) -> None:
    text, pinned, _, _ = GOLDEN[name]
    assert estimate(text) == pinned


@pytest.mark.parametrize("name", GOLDEN)
def test_an_estimate_lies_near_what_tokenizers_count(name: str) -> None:
    _, pinned, openai, anthropic = GOLDEN[name]
    assert min(openai, anthropic) * 0.84 <= pinned <= max(openai, anthropic) * 1.12


@pytest.mark.parametrize("code", SHIPPED)
def test_the_shipped_templates_are_within_eight_percent(code: str) -> None:
    found = estimate(read_prompts()[code])
    assert all(abs(found / counted - 1) <= 0.08 for counted in SHIPPED[code])


def test_nothing_has_no_tokens_and_anything_has_one() -> None:
    assert estimate("") == 0
    assert estimate(" ") == 1


@settings(max_examples=60)
@given(st.text(max_size=200), st.text(max_size=200))
def test_more_text_is_hardly_ever_fewer_tokens(first: str, second: str) -> None:
    """Two texts on their own come to what they come to on two lines, but for the rounding and the white space at their edges."""
    together = estimate(f"{first}\n{second}")
    apart = estimate(first) + estimate(second)
    assert apart - 4 <= together <= apart + 4
