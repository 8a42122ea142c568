"""The same texts where nothing guards: were they harmless there too, the suite beside this would prove nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.prompts.hostile.families import FAMILIES, leak_in

UNGUARDED = Path(__file__).with_name("unguarded.py")
# Of each family some that do their harm without Jinja's own sandbox as well as anywhere.
CHOSEN = {
    "loops": ["two long loops", "loops eight deep"],
    "repeats": ["repeat of text", "repeat of a list"],
    "formatting": ["text formatting", "padding: format"],
    "padding": ["padding: center", "padding: ljust"],
    "splitting": ["splitting in a loop", "batches"],
    "expansion": ["doubling", "lists in lists"],
    "deep structure": ["parentheses", "signs"],
    "folding while compiling": ["a power of powers", "a text that is never printed"],
    "escapes": ["the classes of Python", "globals by cycler", "globals by lipsum"],
}


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    texts = {name: FAMILIES[family][name] for family, names in CHOSEN.items() for name in names}
    done = subprocess.run(
        [sys.executable, "-B", UNGUARDED], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_without_guards_a_text_of_each_family_does_harm(outcomes: dict[str, str], family: str) -> None:
    assert [name for name in CHOSEN[family] if harm_in(outcomes[name])], outcomes


def harm_in(outcome: str) -> bool:
    """Whether it took too long, too much memory, the process down (a crash in the parser is one), or told what nobody may know."""
    return outcome in {"slow", "memory", "died", "error: RecursionError"} or leak_in(outcome) is not None
