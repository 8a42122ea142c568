"""What was measured, how far apart and how surely, in words. Pure."""

import math

from controlplane.guards.judging import SOME, Finding
from controlplane.guards.measures import Measure


def value_words(measure: Measure, value: float | None) -> str:
    """A rate or a mean: "1.2 %", "312 tokens"; "not known" where there is none."""
    if value is None:
        return "not known"
    if measure.is_rate:
        return f"{100 * value:.1f} %" if value < 0.9995 else "100 %"
    if measure is Measure.LENGTH:
        return f"{value:,.0f} tokens"
    return f"${value:.4f}"


def chance_words(evidence: float) -> str:
    """How rarely chance alone would look like this: "1 in 4,000"."""
    often = math.exp(min(evidence, math.log(1e6)))
    if often >= 999_999:
        return "less than 1 in 1,000,000"
    digits = max(0, int(math.log10(often)) - 1)
    return f"1 in {round(often, -digits):,.0f}"


def evidence_word(finding: Finding) -> str:
    """How strongly anything speaks against the version, in a word or two."""
    if not finding.enough:
        return "Too few calls"
    if finding.is_breach:
        return "Strong"
    return "Some" if finding.evidence >= SOME else "No sign"


def tone_of(finding: Finding) -> str:
    """The tone of its chip."""
    if not finding.enough:
        return "archived"
    if finding.is_breach:
        return "failed"
    return "draft" if finding.evidence >= SOME else "live"


def breach_words(finding: Finding, *, baseline: int, version: int) -> str:
    """What set a guard off: for the record, and for whoever is called."""
    before, now = (value_words(finding.measure, value) for value in (finding.baseline, finding.variant))
    late = [value_words(finding.measure, value) for value in finding.late]
    of_late = f", of late {late[1]} against {late[0]}" if late[1] != now else ""
    return (
        f"{finding.measure.label}: {now} on version {version} against {before} on version {baseline}, of "
        f"{finding.calls[1]:,} and {finding.calls[0]:,} calls{of_late}: {chance_words(finding.evidence)} by chance."
    )


def breach_sentence(finding: Finding) -> str:
    """What speaks strongly against the version, in short: "Errors: 40.0 % against 1.0 % before, 1 in 4,000 by chance."."""
    measured = value_words(finding.measure, finding.variant)
    against = value_words(finding.measure, finding.baseline)
    chance = chance_words(finding.evidence)
    return f"{finding.measure.label}: {measured} against {against} before, {chance} by chance."
