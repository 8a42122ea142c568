"""What a thousand calls cost, about. Pure."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

# A round example rather than a guess at somebody's traffic: the same for every model, so that two can be compared.
INPUT_TOKENS: Final = 1_000
OUTPUT_TOKENS: Final = 500
BASIS: Final = f"for {INPUT_TOKENS:,} tokens in and {OUTPUT_TOKENS:,} out in each call"

_MILLION: Final = 1_000_000
_CALLS: Final = 1_000


@dataclass(frozen=True)
class Price:
    """A model's prices in US dollars per million tokens; None is not known."""

    input_per_million: Decimal | float | None
    output_per_million: Decimal | float | None


def per_thousand_calls(price: Price | None, *, max_tokens: int | None = None) -> Decimal | None:
    """Dollars for 1,000 calls of the example's size, cut at `max_tokens`; None when a price is not known."""
    if price is None or price.input_per_million is None or price.output_per_million is None:
        return None
    out = OUTPUT_TOKENS if max_tokens is None else min(OUTPUT_TOKENS, max_tokens)
    tokens_in, tokens_out = Decimal(INPUT_TOKENS * _CALLS), Decimal(out * _CALLS)
    total = tokens_in * Decimal(str(price.input_per_million)) + tokens_out * Decimal(
        str(price.output_per_million)
    )
    return (total / _MILLION).quantize(Decimal("0.0001"))


def change_in_words(before: Decimal | None, after: Decimal | None) -> str:
    """How the cost moves: "+384 %", "−12 %", "the same", "" when one is not known."""
    if before is None or after is None:
        return ""
    if before == after:
        return "the same"
    if not before:
        return "was free"
    percent = round((after - before) / before * 100)
    return f"+{percent:,} %" if percent > 0 else f"−{abs(percent):,} %" if percent < 0 else "about the same"
