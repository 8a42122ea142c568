import datetime as dt

import pytest

from controlplane.coverage.lint import Finding, Kind, Severity, lint
from controlplane.runtime import Snapshot, snapshot
from tests.coverage.entries import NOW, Documents, model, release, row, variant


def found(documents: Documents, retiring: dict[str, dt.date] | None = None) -> list[Finding]:
    taken = Snapshot.load(snapshot.build(documents, {}), release=3, environment="staging")
    return lint(taken, now=NOW, retiring=retiring)


def test_a_release_as_it_should_be_has_nothing_odd() -> None:
    assert found(release()) == []


CASES: dict[str, tuple[Documents, Kind, Severity, str]] = {
    "an interaction without a default": (
        release(configuration__ALPHA__default__ANY=None),
        Kind.HOLE,
        Severity.PROBLEM,
        "ALPHA has no configuration for calls without a tier and basic: these calls take the legacy path.",
    ),
    "a retired model as the first choice": (
        release(model__LARGE=model(5, active=False)),
        Kind.RETIRED,
        Severity.PROBLEM,
        "LARGE is retired and still named by ALPHA · premium.",
    ),
    "a retired model as a fallback": (
        release(
            model__OLD=model(5, active=False),
            configuration__ALPHA__premium__ANY=row(variant("LARGE", fallbacks=["OLD"])),
        ),
        Kind.RETIRED,
        Severity.WARNING,
        "OLD is retired and still named by ALPHA · premium (fallback).",
    ),
    "a row for a tier that is not live": (
        release(configuration__ALPHA__gold__ANY=row(variant("LARGE", max_tokens=9))),
        Kind.UNREACHABLE,
        Severity.WARNING,
        "ALPHA · gold is for a tier gold that is not live: calls only reach it by that name.",
    ),
    "a default that every tier shadows": (
        release(configuration__ALPHA__basic__ANY=row(variant("SMALL"))),
        Kind.UNREACHABLE,
        Severity.NOTE,
        "ALPHA · default is shadowed: every tier has a row of its own. Only calls without a tier reach it.",
    ),
    "a default of the environment that nobody needs": (
        release(configuration__ANY__default__ANY=row()),
        Kind.UNREACHABLE,
        Severity.NOTE,
        "Every interaction has a default of its own: the environment's default answers nobody.",
    ),
    "a variant without a share": (
        release(configuration__ALPHA__premium__ANY=row(variant("LARGE"), variant("SMALL", 2, ranges=[]))),
        Kind.UNREACHABLE,
        Severity.NOTE,
        "Version 2 of ALPHA · premium is live and has no share: nobody gets it.",
    ),
    "a row that has ended": (
        release(
            configuration__ALPHA__premium__ANY=row(variant("LARGE", effective_until="2026-11-01T00:00:00Z"))
        ),
        Kind.WINDOW,
        Severity.WARNING,
        "Version 1 of ALPHA · premium ended on 1 Nov 2026, 00:00 UTC: the next row answers.",
    ),
    "a row that has not begun": (
        release(
            configuration__ALPHA__premium__ANY=row(variant("LARGE", effective_from="2026-12-24T00:00:00Z"))
        ),
        Kind.WINDOW,
        Severity.NOTE,
        "Version 1 of ALPHA · premium counts only from 24 Dec 2026, 00:00 UTC on; until then the next row answers.",
    ),
    "a row that is switched off": (
        release(configuration__ALPHA__premium__ANY=row(variant("LARGE", active=False))),
        Kind.WINDOW,
        Severity.WARNING,
        "Version 1 of ALPHA · premium is switched off: the next row answers.",
    ),
    "a higher tier with a weaker model": (
        release(
            configuration__ALPHA__basic__ANY=row(variant("LARGE")),
            configuration__ALPHA__premium__ANY=row(variant("SMALL")),
        ),
        Kind.WEAKER,
        Severity.WARNING,
        "ALPHA: premium gets SMALL, which is cheaper and takes and gives no more than LARGE, which basic gets.",
    ),
    "a row that says what it inherits": (
        release(configuration__ALPHA__premium__acme=row(variant("LARGE", 7))),
        Kind.SAME,
        Severity.NOTE,
        "ALPHA · premium · tenant acme says what ALPHA · premium says: without it nobody would notice a difference.",
    ),
    "a template that nobody takes": (
        release(prompt__old={"interaction": "ALPHA", "version": 1, "sha256": "0" * 64, "size": 1}),
        Kind.DEAD_TEMPLATE,
        Severity.NOTE,
        "Template old is live, and no live configuration takes it.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_odd_is_found(name: str) -> None:
    documents, kind, severity, sentence = CASES[name]
    assert (kind, severity, sentence) in [
        (each.kind, each.severity, each.sentence) for each in found(documents)
    ]


def test_dates_that_overlap_are_named() -> None:
    first = variant("LARGE", 1, ranges=[[0, 50_000]], effective_until="2026-12-10T00:00:00Z")
    second = variant("SMALL", 2, ranges=[[50_000, 100_000]], effective_from="2026-12-01T00:00:00Z")
    sentences = [
        each.sentence for each in found(release(configuration__ALPHA__premium__ANY=row(first, second)))
    ]
    assert any(
        said.startswith("The dates of versions 1 and 2 of ALPHA · premium overlap") for said in sentences
    )


@pytest.mark.parametrize(
    ("day", "severity", "words"),
    [
        (dt.date(2026, 11, 27), Severity.PROBLEM, "went away on 27 Nov 2026"),
        (dt.date(2026, 12, 20), Severity.WARNING, "goes away on 20 Dec 2026"),
        (dt.date(2027, 6, 1), Severity.NOTE, "goes away on 1 Jun 2027"),
    ],
)
def test_a_model_that_will_go_away_is_named_with_what_uses_it(
    day: dt.date, severity: Severity, words: str
) -> None:
    (one,) = found(release(), {"LARGE": day, "UNUSED": day})
    assert (one.kind, one.severity) == (Kind.RETIRING, severity)
    assert one.sentence == f"LARGE {words} and is named by ALPHA · premium."


def test_the_worst_comes_first() -> None:
    documents = release(
        configuration__ALPHA__default__ANY=None,
        prompt__old={"interaction": "ALPHA", "version": 1, "sha256": "0" * 64, "size": 1},
    )
    severities = [each.severity for each in found(documents)]
    assert severities == sorted(severities, key=list(Severity).index)
