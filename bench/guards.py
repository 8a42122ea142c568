"""Guards of rollouts: how many minutes until a real regression is found, how often nothing sets one off, and what a look costs.

Detection is the median of simulated rollouts at ten calls a second, looked at after every minute, with everything watched that is
usual. Floor: the calls that one planned look of a test of the same strictness would have needed to find the same difference in half
of all rollouts, if the difference had been known beforehand, in minutes.

For false alarms (rollouts of two equal versions, an hour and a half each) the floor is what is promised, five in a hundred. The promise
is for calls that are independent; "of few users" is four hours of a hundred or a thousand users, some of whom much fails for, once a
second: no limit, but worth to be known. For a look the floor is adding the minute's counts up. Limit: the promise.
"""

import statistics
from dataclasses import replace
from statistics import NormalDist

from bench.effort import Effort
from bench.figures import Figure, Limit
from bench.simulated import EVERYTHING, Calls, first_alarm, minutes, minutes_of_users
from bench.timing import in_turns, per_call
from controlplane.guards.judging import ALARMS, Known, Pair, Settings, learn
from controlplane.guards.measures import USUAL, Measure

_USUAL = Settings({measure: measure.usual_tolerance for measure in USUAL}, 30)
_A_MINUTE = 600
_LONGEST = 240
_REGRESSIONS = (
    # errors before and after, the version's share of the calls, minutes in which it was still good
    (0.01, 0.03, 0.5, 0),
    (0.01, 0.03, 0.1, 0),
    (0.01, 0.05, 0.1, 0),
    (0.01, 1.0, 0.01, 0),
    (0.01, 0.03, 0.5, 120),
)


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    return [
        *(_detection(*regression, effort) for regression in _REGRESSIONS),
        _false_alarms(effort),
        *(
            _alarms_of_few(users, tolerance, effort)
            for users, tolerance in ((100, 1.0), (1_000, 1.0), (100, 3.0))
        ),
        _look(effort),
    ]


def _detection(good: float, bad: float, share: float, worse_after: int, effort: Effort) -> Figure:
    own = max(1, round(_A_MINUTE * share))
    baseline, variant = Calls(_A_MINUTE - own, errors=good), Calls(own, errors=bad)
    found = [
        first_alarm(minutes(seed, baseline, variant, worse_after + _LONGEST, worse_after=worse_after), _USUAL)
        for seed in range(effort.loads * 3)
    ]
    waited = [max(1, each[0] - worse_after) if each else _LONGEST for each in found]
    late = f" after {worse_after} good minutes" if worse_after else ""
    here, floor = statistics.median(waited), _one_look(good, bad, own, _A_MINUTE - own)
    name = f"errors {good:.0%} → {bad:.0%}, {share:.0%} of calls{late}"
    return Figure(name, here, "min", floor, here / floor)


def _one_look(good: float, bad: float, own: int, others: int) -> float:
    """Minutes that a test with one look needs to find this in half of all cases, as strict as one of the guards."""
    strict = NormalDist().inv_cdf(1 - ALARMS / len(USUAL))
    middle = (good * others + bad * own) / (own + others)
    return float(max(0.1, strict**2 * middle * (1 - middle) * (1 / own + 1 / others) / (bad - good) ** 2))


def _false_alarms(effort: Effort) -> Figure:
    calls = Calls(12)
    fewer = replace(calls, a_minute=6)
    runs = effort.rounds * 10
    alarms = sum(first_alarm(minutes(seed, calls, fewer, 90), EVERYTHING) is not None for seed in range(runs))
    # None at all among so many is less than one, and a ratio wants a number.
    here = 100 * max(alarms, 0.5) / runs
    return Figure(
        "false alarms, in a hundred rollouts", here, "", 100 * ALARMS, here / (100 * ALARMS), Limit(1)
    )


def _alarms_of_few(users: int, tolerance: float, effort: Effort) -> Figure:
    watched = Settings({**_USUAL.tolerances, Measure.ERRORS: tolerance}, 30)
    runs = effort.rounds * 10
    alarms = sum(
        first_alarm(minutes_of_users(seed, users, 60, 240), watched) is not None for seed in range(runs)
    )
    here = 100 * max(alarms, 0.5) / runs
    name = f"false alarms, {users:,} users, tolerance {tolerance:g}"
    return Figure(name, here, "", 100 * ALARMS, here / (100 * ALARMS))


def _look(effort: Effort) -> Figure:
    pairs = list(minutes(1, Calls(60), Calls(60), min(200, effort.calls)))
    known = Known()

    def floor(pair: Pair) -> None:
        known.total = known.total[0].plus(pair[0]), known.total[1].plus(pair[1])

    pair = in_turns(
        lambda: per_call(lambda one: learn(known, [one], settings=EVERYTHING), pairs),
        lambda: per_call(floor, pairs),
        rounds=effort.rounds,
    )
    return Figure("a minute taken into account", pair.subject / 1e3, "µs", pair.floor / 1e3, pair.ratio)
