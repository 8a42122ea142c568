"""Every kind of event is listed, and every kind that is listed is recorded somewhere."""

import ast
import re
from pathlib import Path

from controlplane.audit.kinds import KINDS, Holds, kind_of

ROOT = Path(__file__).resolve().parents[2] / "controlplane"
OBJECTS = {kind.partition(".")[0] for kind in KINDS}
# Services that put the verb after the kind of their object; what they may say stands in their calls.
PUT_TOGETHER = {"configuration", "environment", "gate", "interaction", "model", "prompt", "proposal", "review", "rollout", "sample", "snippet", "switch", "tier", "view"}  # fmt: skip


def words_of_the_code() -> set[str]:
    found: set[str] = set()
    for path in ROOT.rglob("*.py"):
        if path.name != "kinds.py" and "runtime" not in path.parts:
            found |= {
                node.value
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
    return found


def test_every_action_that_the_code_names_is_listed() -> None:
    named = {
        word
        for word in words_of_the_code()
        if re.fullmatch(r"[a-z]+\.[a-z_]+", word)
        and word.partition(".")[0] in OBJECTS | {"token", "guard", "schedule"}
    }
    actions = {word for word in named if re.search(r"(ed|ought_back|thrown|_in|_out|caught_up)$", word)}
    assert sorted(actions - KINDS.keys()) == []


def test_every_kind_that_is_listed_is_recorded_by_something() -> None:
    words = words_of_the_code()
    missing = [
        action
        for action in KINDS
        if action not in words
        and not (action.partition(".")[0] in PUT_TOGETHER and action.partition(".")[2] in words)
    ]
    assert missing == []


def test_no_kind_is_called_a_change_and_nothing_more() -> None:
    titles = [kind.title for kind in KINDS.values()]
    assert len(set(titles)) == len(titles)
    assert all(len(title.split()) >= 2 for title in titles)
    assert not [title for title in titles if re.fullmatch(r"(Updated|Changed|Modified)", title)]


def test_an_action_of_a_later_version_is_shown_as_it_is_called() -> None:
    kind = kind_of("token.used_up")
    assert (kind.title, kind.tone, kind.holds) == ("Token used up", "neutral", Holds.FIELDS)
