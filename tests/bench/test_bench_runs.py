"""That every benchmark runs and says what it promises; how fast anything is, no test can say."""

import math

import pytest

from bench.__main__ import BENCHMARKS, main
from bench.effort import QUICK
from bench.figures import Figure, Limit, table


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_runs_and_prints_its_ratios(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", name]) == 0

    printed = capsys.readouterr().out
    assert f"\n{name}: " in printed
    lines = printed.partition("figure ")[2].splitlines()[1:]
    figures = [line for line in lines if line and not line.startswith("(")]
    assert figures
    assert [line for line in figures if " × " not in f"{line} "] == []


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_says_what_it_measures_and_what_its_floor_is(name: str) -> None:
    assert "Floor: " in (BENCHMARKS[name].__doc__ or "")


def test_figures_are_positive_numbers_with_a_floor() -> None:
    for figure in BENCHMARKS["render"].run(QUICK):
        assert figure.floor is not None
        assert figure.ratio is not None
        assert min(figure.here, figure.floor, figure.ratio) > 0
        assert math.isfinite(figure.ratio)


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (Limit(2), "≤ 2 ×  over"),
        (Limit(3), "≤ 3 ×"),
        (Limit(20, of="here"), "≤ 20 µs  over"),
        (Limit(0.85, at_least=True), "≥ 0.85 ×"),
        (Limit(40, of="here", at_least=True), "≥ 40 µs  under"),
    ],
)
def test_a_limit_that_is_not_kept_says_so(limit: Limit, told: str) -> None:
    figure = Figure("a call", 30, "µs", 12, 2.5, limit)

    assert table([figure]).splitlines()[1].endswith(f"2.50 ×  {told}")


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["nothing-of-the-kind"])

    assert refused.value.code == 2
    assert "resolve" in capsys.readouterr().err
