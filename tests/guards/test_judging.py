from dataclasses import replace

import msgspec
import pytest

from bench.simulated import EVERYTHING, Calls, first_alarm, minutes
from controlplane.guards.judging import Known, Settings, findings, known_from, learn, to_keep
from controlplane.guards.measures import USUAL, Measure, slow_bound
from controlplane.health.reading import Counts
from controlplane.runtime.metrics import LONG_BOUNDS

RUNS = 60


@pytest.mark.parametrize(
    "calls", [Calls(12), Calls(12, errors=0.3, fallbacks=0.5, unusable=0.2)], ids=["rarely bad", "often bad"]
)
def test_two_versions_that_are_alike_set_off_a_guard_in_at_most_one_of_twenty_rollouts(calls: Calls) -> None:
    fewer = replace(calls, a_minute=6)
    alarms = [first_alarm(minutes(seed, calls, fewer, 60)) for seed in range(RUNS)]
    assert sum(alarm is not None for alarm in alarms) <= 0.05 * RUNS, alarms


@pytest.mark.parametrize(
    ("worse", "measure"),
    [
        ({"errors": 0.2}, Measure.ERRORS),
        ({"fallbacks": 0.25}, Measure.FALLBACKS),
        ({"unusable": 0.2}, Measure.UNUSABLE),
        ({"slower": 3.0}, Measure.SLOW),
        ({"longer": 3.0}, Measure.LENGTH),
    ],
    ids=str,
)
def test_a_version_that_is_worse_sets_off_its_guard(worse: dict[str, float], measure: Measure) -> None:
    baseline = Calls(40)
    variant = replace(baseline, a_minute=20, **worse)
    alarm = first_alarm(minutes(1, baseline, variant, 60))
    assert alarm is not None
    assert measure in alarm[1]


def test_one_that_turns_bad_after_hours_is_found_soon() -> None:
    baseline, variant = Calls(30), Calls(30, errors=0.3)
    alarm = first_alarm(minutes(2, baseline, variant, 260, worse_after=240))
    assert alarm is not None
    assert 240 < alarm[0] <= 250


def test_one_that_is_better_sets_off_nothing() -> None:
    better = Calls(20, errors=0.0, fallbacks=0.0, unusable=0.0, slower=0.3, longer=0.3)
    assert first_alarm(minutes(3, Calls(20, errors=0.3), better, 90)) is None


def test_what_is_known_is_kept_and_gone_on_with() -> None:
    pairs = list(minutes(4, Calls(7), Calls(3, errors=0.2), 40))
    at_once, in_parts = Known(), Known()
    learn(at_once, pairs, settings=EVERYTHING)
    for pair in pairs:
        learn(in_parts, [pair], settings=EVERYTHING)
        in_parts = known_from(msgspec.json.decode(msgspec.json.encode(to_keep(in_parts))))
    assert findings(in_parts, settings=EVERYTHING) == findings(at_once, settings=EVERYTHING)
    assert known_from({"total": "nonsense"}) == Known()


def test_a_handful_of_calls_is_not_enough() -> None:
    known = Known()
    settings = Settings({Measure.ERRORS: 1.0}, 30)
    learn(known, [(Counts(answered=10), Counts(failed=9))] * 3, settings=settings)
    (few,) = findings(known, settings=settings)
    assert (few.enough, few.is_breach) == (False, False)
    learn(known, [(Counts(answered=10), Counts(failed=9))], settings=settings)
    (more,) = findings(known, settings=settings)
    assert (more.enough, more.is_breach, more.calls) == (True, True, (40, 36))


def test_a_minute_with_few_calls_waits_for_the_next() -> None:
    known = Known()
    for _ in range(4):
        learn(known, [(Counts(answered=50), Counts(answered=1))], settings=EVERYTHING)
    assert known.total[0] == Counts()
    learn(known, [(Counts(answered=50), Counts(answered=1))], settings=EVERYTHING)
    assert [each.answered for each in known.total] == [250, 5]


@pytest.mark.parametrize(
    "alone",
    [(Counts(answered=198, failed=2), Counts()), (Counts(answered=198, failed=2), Counts(answered=1))],
    ids=["never called", "hardly called"],
)
def test_a_bad_time_that_both_have_is_nothing_against_the_one_that_was_not_called_before(
    alone: tuple[Counts, Counts],
) -> None:
    alike, bad = Counts(answered=99, failed=1), Counts(answered=80, failed=20)
    known = Known()
    settings = Settings({Measure.ERRORS: 1.0}, 30)
    learn(known, [(alike, alike)] * 60 + [alone] * 4 + [(bad, bad)] * 3, settings=settings)
    (found,) = findings(known, settings=settings)
    assert found.evidence <= 0
    assert [int(each.asked) for each in known.total] == [7_100, 6_300 + 4 * int(alone[1].asked)]


def test_without_anything_to_watch_nothing_is_found() -> None:
    known = Known()
    settings = Settings({}, 30)
    learn(known, minutes(5, Calls(20), Calls(20, errors=0.9), 5), settings=settings)
    assert findings(known, settings=settings) == []


def test_slow_is_what_nineteen_of_twenty_of_the_baselines_answers_are_not() -> None:
    times = [0] * (len(LONG_BOUNDS) + 1)
    times[2], times[4], times[9] = 90, 6, 4
    assert LONG_BOUNDS[slow_bound(tuple(times))] == LONG_BOUNDS[4]
    assert LONG_BOUNDS[slow_bound((0,) * len(LONG_BOUNDS) + (10,))] == LONG_BOUNDS[-1]


def test_what_is_usual_is_a_part_of_what_there_is() -> None:
    assert {Measure.LENGTH, Measure.COST}.isdisjoint(USUAL)
    assert all(measure.label and measure.help and measure.usual_tolerance for measure in Measure)
