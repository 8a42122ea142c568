"""What a thousand calls cost, about. Pure."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

# A round example rather than a guess at somebody's traffic: the same for every model, so that two can be compared.
INPUT_TOKENS: Final = 1_000
OUTPUT_TOKENS: Final = 500
BASIS: Final = f"for {INPUT_TOKENS:,} tokens in and {OUTPUT_TOKENS:,} out in each call"
# Where the text is known, its tokens are counted; what a model answers with is never known beforehand.
MEASURED_BASIS: Final = (
    f"for the tokens of the text and {OUTPUT_TOKENS:,} out in each call, fewer where fewer are allowed"
)

_MILLION: Final = 1_000_000
_CALLS: Final = 1_000


@dataclass(frozen=True)
class Price:
    """A model's prices in US dollars per million tokens; None is not known."""

    input_per_million: Decimal | float | None
    output_per_million: Decimal | float | None


def per_thousand_calls(
    price: Price | None, *, max_tokens: int | None = None, input_tokens: int = INPUT_TOKENS
) -> Decimal | None:
    """Dollars for 1,000 calls of the example's size, cut at `max_tokens`; None when a price is not known."""
    out = OUTPUT_TOKENS if max_tokens is None else min(OUTPUT_TOKENS, max_tokens)
    one = of_call(price, input_tokens=input_tokens, output_tokens=out)
    return None if one is None else (one * _CALLS).quantize(Decimal("0.0001"))


def of_call(price: Price | None, *, input_tokens: int, output_tokens: int) -> Decimal | None:
    """Dollars for one call; None when a price is not known."""
    if price is None or price.input_per_million is None or price.output_per_million is None:
        return None
    paid_in = input_tokens * Decimal(str(price.input_per_million))
    paid_out = output_tokens * Decimal(str(price.output_per_million))
    return (paid_in + paid_out) / _MILLION


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


def dollars(amount: Decimal | None) -> str:
    """An amount as it is shown, to the cent, or as fine as it takes for a small one; "not known" for None."""
    if amount is None:
        return "not known"
    if amount and amount < Decimal("0.0001"):
        return "less than $0.0001"
    return f"${amount:,.2f}" if amount >= Decimal("0.1") or not amount else f"${amount:.4f}"
