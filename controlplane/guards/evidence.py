"""How strongly what was seen speaks against "the variant is not worse than the baseline". Pure, and valid at any look.

**Counts of yes and no** (a call failed, stepped down, was slow). The measure is the exact two-sample e-variable of R. Turner,
A. Ly and P. Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for optional stopping" (Journal of
Statistical Planning and Inference 230, 2024). Calls come in blocks. A block has n_g calls of each group g, y_g of them bad,
and is worth

    S = Π over g of (θ*_g / θ°)^{y_g} · ((1 - θ*_g) / (1 - θ°))^{n_g - y_g},      θ° = Σ n_g θ*_g / Σ n_g

where the guesses θ* come from earlier blocks only. If both groups have one rate θ, the mean of a group's factor for one call is
1 + (θ - θ°)(θ*_g - θ°) / (θ°(1 - θ°)); weighted by n_g these average to 1, so the mean of their product, S, is at most 1
(geometric below arithmetic mean). Whatever the guesses, and also when θ changes from block to block; so what is compared has to
be of the same time, and a block of several minutes is worth the product of its minutes (`judging`), not what their sums would be.

*One-sided.* The guess for the variant is always the higher: θ*_variant ≥ θ*_baseline + `difference`. So its factor's mean rises
with the variant's true rate and the baseline's falls with the baseline's. Of all truths with variant ≤ baseline, the mean of S is
therefore largest where both are equal, and there it is at most 1: a variant that is better never looks worse by more than
chance. A better variant makes S small instead.

*Whenever it begins.* The product of the blocks from one block on is an e-process; so is an average of such products over the
blocks they begin with, since before its beginning each is worth 1. Half of the weight is on the first block, the k-th has
1/(2k(k-1)) of it. Without this, a day of good behaviour would have to be outweighed before a variant that turns bad is found.

By Ville's inequality the chance that an e-process ever reaches 1/α while nothing is wrong is at most α, however often one looks;
with m guards on one rollout each has to reach m/α (Bonferroni). What is assumed: calls of a block are independent, given its
rates. A caller who tries again and again after a failure weakens that; so the guesses and the bounds are no finer than they are.

**Means** (length and cost of an answer) have no exact test without bounds on them. For each block x = the variant's mean less
`factor` times the baseline's; the hypothesis is that x has mean at most 0. Evidence is the mixture over a half-normal λ of
exp(λΣx/σ - λ²t/2), which is exact where x/σ has normal tails and asymptotically valid with the estimated σ: the one-sided
confidence sequence of I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy and A. Ramdas, "Time-uniform central limit theory and
asymptotic confidence sequences" (Annals of Statistics 52, 2024). It says nothing before `FIRST_BLOCKS`.

**Shares of units** are held against the shares that were set by the sequential multinomial test of M. Lindon and A. Malek,
"Anytime-valid inference for multinomial count data" (NeurIPS 2022): a Dirichlet prior around the shares that were set, against
these shares exactly. It counts units, never calls: the calls of one unit all go the same way.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

FIRST_BLOCKS: Final = 20
"""An asymptotic statement about fewer blocks would be none."""
_MOST: Final = 600.0
"""Natural logarithm that evidence is cut off at; its exponential still is a number."""
_NOTHING: Final = -1e9
_SPREAD: Final = 0.45
"""Of λ: finds soonest what shows within an hour of minutes."""
_PRIOR_CALLS: Final = 10.0
"""With fewer calls of the variant than this, its rate is guessed to be hardly more than the baseline's."""
_PRIOR_STRENGTH: Final = 100.0
"""Of the Dirichlet prior: looks for shares that are off by some per cent of themselves."""


class Arm(NamedTuple):
    """The calls of one group: how many, and how many of them were bad."""

    calls: float
    bad: float

    @property
    def rate(self) -> float:
        """The share of bad ones; 0 without calls."""
        return self.bad / self.calls if self.calls else 0.0


class Evidence(msgspec.Struct):
    """An e-process over blocks, for "the variant's rate is higher". `log` is the natural logarithm of what it is worth."""

    blocks: int = 0
    running: float = _NOTHING  # the logarithm of the weighted products that have begun

    @property
    def log(self) -> float:
        """The logarithm of the evidence now: nothing known is 0, less speaks for the variant."""
        if not self.blocks:
            return 0.0
        # What has not begun yet is worth its weight: all of it less the first half and Σ 1/(2k(k-1)).
        return _log_sum(self.running, math.log(0.5 / self.blocks))

    def add(self, value: float) -> None:
        """Take a block, worth this much (its logarithm), into account."""
        self.blocks += 1
        weight = 0.5 if self.blocks == 1 else 0.5 / (self.blocks * (self.blocks - 1))
        self.running = min(_MOST, max(_NOTHING, _log_sum(self.running, math.log(weight)) + value))


class MeanEvidence(msgspec.Struct):
    """Evidence that the mean of the blocks' values is more than 0."""

    blocks: int = 0
    total: float = 0.0
    squares: float = 0.0
    # How large the values compared are: what varies by less than a hundredth of them does not vary.
    scale: float = 0.0

    def add(self, value: float, *, scale: float) -> None:
        """Take a block into account; `scale` is the size of what its value is a difference of."""
        self.blocks += 1
        self.total += value
        self.squares += value * value
        self.scale += abs(scale)

    @property
    def mean(self) -> float:
        """The mean of the blocks' values."""
        return self.total / self.blocks if self.blocks else 0.0

    @property
    def log(self) -> float:
        """The logarithm of the evidence now."""
        if self.blocks < FIRST_BLOCKS:
            return 0.0
        variance = max(0.0, self.squares / self.blocks - self.mean**2)
        sigma = max(math.sqrt(variance), 0.01 * self.scale / self.blocks)
        if not sigma:
            return 0.0
        spread = self.blocks * _SPREAD**2 + 1
        deviation = _SPREAD * self.total / sigma / math.sqrt(spread)
        # 2/√(tρ²+1) · exp(z²/2) · Φ(z), z the deviation
        likely = max(0.5 * math.erfc(-deviation / math.sqrt(2)), 1e-300)
        exponent = deviation**2 / 2 if deviation > 0 else min(deviation**2 / 2, 600.0)
        return min(_MOST, math.log(2) - math.log(spread) / 2 + exponent + math.log(likely))


def block(baseline: Arm, variant: Arm, *, before: tuple[Arm, Arm], difference: float) -> float:
    """The logarithm of what one block is worth, by guesses from the blocks `before` it; 0 where these know nothing."""
    past_baseline, past_variant = before
    if not past_baseline.calls or not baseline.calls or not variant.calls:
        return 0.0
    low = (past_baseline.bad + 0.5) / (past_baseline.calls + 1)
    low = min(low, 0.999 - difference / 2)
    high = (past_variant.bad + _PRIOR_CALLS * low) / (past_variant.calls + _PRIOR_CALLS)
    high = min(0.9995, max(high, low + difference))
    return _worth(baseline, variant, low, high)


def _worth(baseline: Arm, variant: Arm, low: float, high: float) -> float:
    middle = (baseline.calls * low + variant.calls * high) / (baseline.calls + variant.calls)
    return sum(
        arm.bad * math.log(guess / middle) + (arm.calls - arm.bad) * math.log((1 - guess) / (1 - middle))
        for arm, guess in ((baseline, low), (variant, high))
    )


def ratio_evidence(counts: Sequence[float], shares: Sequence[float]) -> float:
    """The logarithm of the evidence that distinct units came in other shares than these, which add up to 1.

    A share of 0 that has units is beyond doubt.
    """
    live = [(count, share) for count, share in zip(counts, shares, strict=True) if share > 0]
    if any(count > 0 for count, share in zip(counts, shares, strict=True) if share <= 0):
        return _MOST
    total = sum(count for count, _ in live)
    prior = [_PRIOR_STRENGTH * share for _, share in live]
    value = math.lgamma(sum(prior)) - math.lgamma(sum(prior) + total)
    for (count, share), alpha in zip(live, prior, strict=True):
        value += math.lgamma(alpha + count) - math.lgamma(alpha) - count * math.log(share)
    return min(_MOST, value)


def _log_sum(left: float, right: float) -> float:
    high, low = max(left, right), min(left, right)
    return high + math.log1p(math.exp(low - high)) if low > high - 700 else high
