"""A strict reader of Prometheus' text format 0.0.4, for tests: it refuses what a scraper might only warn about."""

import math
import re
from dataclasses import dataclass, field

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HELP = re.compile(rf"# HELP ({_NAME}) ((?:[^\\\n]|\\\\|\\n)*)")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (counter|gauge|histogram)")
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,(?=[a-zA-Z_])|$)')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Labels = frozenset[tuple[str, str]]


@dataclass
class Series:
    kind: str
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def value(self, suffix: str = "", **labels: str) -> float:
        """The one sample that has these labels, whatever others it has."""
        wanted = labels.items()
        found = [value for (end, own), value in self.samples.items() if end == suffix and wanted <= set(own)]
        assert len(found) == 1, f"{len(found)} samples have {labels}"
        return found[0]


def parse(text: str) -> dict[str, Series]:
    """Every family by its name; raises `AssertionError` on anything that the format does not allow."""
    assert text.endswith("\n")
    families: dict[str, Series] = {}
    helped = name = ""
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            match = _HELP.fullmatch(line)
            assert match, line
            helped = match[1]
        elif line.startswith("# TYPE "):
            match = _TYPE.fullmatch(line)
            assert match, line
            assert match[1] == helped, "a family's HELP stands right before its TYPE"
            assert match[1] not in families, f"{match[1]} has two headings"
            name = match[1]
            families[name] = Series(match[2])
        else:
            _sample(families, name, line)
    for name, series in families.items():
        if series.kind == "histogram":
            _check_histogram(name, series)
    return families


def _sample(families: dict[str, Series], name: str, line: str) -> None:
    match = _SAMPLE.fullmatch(line)
    assert match, line
    assert match[1].startswith(name), f"{match[1]} stands under {name}"
    suffix = match[1].removeprefix(name)
    series = families[name]
    assert suffix in ({"_bucket", "_sum", "_count"} if series.kind == "histogram" else {""}), line
    labels = _labels(match[2] or "")
    assert (suffix, labels) not in series.samples, f"two samples of one series: {line}"
    value = float(match[3])
    assert series.kind == "gauge" or value >= 0, line
    series.samples[suffix, labels] = value


def _labels(text: str) -> Labels:
    found, at = [], 0
    while at < len(text):
        match = _LABEL.match(text, at)
        assert match, text
        found.append((match[1], re.sub(r"\\.", lambda one: _ESCAPES[one[0]], match[2])))
        at = match.end()
    assert len(dict(found)) == len(found), f"a label stands there twice: {text}"
    return frozenset(found)


def _check_histogram(name: str, series: Series) -> None:
    buckets: dict[Labels, list[tuple[float, float]]] = {}
    for (suffix, labels), value in series.samples.items():
        if suffix == "_bucket":
            bound = dict(labels)["le"]
            rest = frozenset(label for label in labels if label[0] != "le")
            buckets.setdefault(rest, []).append((math.inf if bound == "+Inf" else float(bound), value))
    for labels, counts in buckets.items():
        assert counts == sorted(counts), f"{name}: bounds and counts must rise"
        assert counts[-1] == (math.inf, series.samples["_count", labels]), f"{name}: +Inf is the count"
        assert ("_sum", labels) in series.samples
