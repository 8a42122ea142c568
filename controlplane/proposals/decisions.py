"""Fields that two sides changed, to be decided on a page: what it shows of each, and what was decided. Pure.

Texts come with a third answer, a text of one's own, which begins as both changes put together line by line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controlplane.prompts import merge as texts
from controlplane.prompts import textdiff
from controlplane.proposals.merge import Choices, FieldConflict, Merged, Side
from controlplane.releases import words
from controlplane.releases.compose import Document
from controlplane.releases.diff import diff

OWN: Final = "own"
_SILENT: Final = frozenset({"sha256", "size", "salt", "algorithm", "prompt.sha256"})


@dataclass(frozen=True)
class TextDecision:
    """A text that both changed: as typed, or both changes in one; `marks` says that places in it are to be decided."""

    name: str
    body: str
    marks: bool
    their_lines: list[textdiff.Row]
    our_lines: list[textdiff.Row]


@dataclass(frozen=True)
class Decision:
    """One field that both changed, in words, with what is chosen; `name` is that of its control."""

    name: str
    label: str
    base: str
    theirs: str
    ours: str
    chosen: str
    text: TextDecision | None = None


@dataclass(frozen=True)
class Taken:
    """One field that only one side changed: it is in already."""

    label: str
    base: str
    theirs: str
    ours: str
    side: Side


@dataclass(frozen=True)
class Sent:
    """What a form says about one entry: a side for each path, and a text of one's own."""

    choices: Mapping[str, str]
    body: str | None


def asked(key: str, merged: Merged) -> list[FieldConflict]:
    """Return the conflicts that a person has to decide: the number of a configuration's version follows from what it holds."""
    is_configuration = key.startswith("configuration/")
    return [each for each in merged.conflicts if not (is_configuration and each.path == "version")]


def choice_name(key: str, path: str) -> str:
    """Return the name of the control that decides a field."""
    return f"choose.{key}.{path}"


def text_name(key: str) -> str:
    """Return the name of the control with a text of one's own."""
    return f"text.{key}"


def sent_of(form: Mapping[str, Sequence[str]], key: str, merged: Merged) -> Sent:
    """Read what a form says about an entry; a field that it does not decide is left out."""
    chosen = {each.path: form.get(choice_name(key, each.path), [""])[0] for each in asked(key, merged)}
    body = form.get(text_name(key))
    return Sent({path: side for path, side in chosen.items() if side}, body[0] if body else None)


def sides_of(sent: Sent, merged: Merged, *, otherwise: Side) -> Choices:
    """Return a side for every conflict; what was not decided, or decided by a text of one's own, goes to `otherwise`."""
    chosen: dict[str, Side] = {}
    for each in merged.conflicts:
        side = sent.choices.get(each.path)
        chosen[each.path] = "theirs" if side == "theirs" else "ours" if side == "ours" else otherwise
    return chosen


def own_text(sent: Sent) -> str | None:
    """Return the text of one's own, if that is what was chosen."""
    return sent.body or "" if OWN in sent.choices.values() else None


def text_problem(body: str) -> str | None:
    """Return what is wrong with a text of one's own, in words, or None."""
    line = texts.first_mark(body)
    return (
        None if line is None else f"Line {line} is a mark: keep what is right of both and take the marks out."
    )


def both_texts(key: str, merged: Merged, bodies: Mapping[str, str]) -> str | None:
    """Return both changes of a text in one, as a text of one's own begins; None where it is no text that both changed."""
    sides = next(filter(None, (_sides(key, each, bodies) for each in asked(key, merged))), None)
    return None if sides is None else _together(*sides)


def decisions(
    key: str,
    merged: Merged,
    sent: Sent,
    bodies: Mapping[str, str],
    *,
    otherwise: Side,
) -> list[Decision]:
    """Return what there is to decide about an entry; `bodies` are texts by hash."""
    found = []
    for each in asked(key, merged):
        text = _text(key, each, sent, bodies)
        # Both changes in one text, where nothing has to be decided in it, is what most people want.
        begin = OWN if text is not None and not text.marks else otherwise
        found.append(
            Decision(
                name=choice_name(key, each.path),
                label=_label(key, each.path),
                base=_value(key, each.path, each.base),
                theirs=_value(key, each.path, each.theirs),
                ours=_value(key, each.path, each.ours),
                chosen=sent.choices.get(each.path, begin),
                text=text,
            )
        )
    return found


def taken(key: str, merged: Merged) -> list[Taken]:
    """Return what only one side changed, field by field."""
    conflicts = [each.path for each in merged.conflicts]
    found: dict[str, Taken] = {}
    for side, document in (("theirs", merged.theirs), ("ours", merged.ours)):
        for change in diff(_as_entries(key, merged.base), _as_entries(key, document)):
            for field in change.fields:
                if _is_within(field.path, conflicts) or field.path.rpartition(" · ")[2] in _SILENT:
                    continue
                before, after = (words.value_text(field.path, value) for value in (field.before, field.after))
                old = found.get(field.path)
                found[field.path] = Taken(
                    _label(key, field.path),
                    before,
                    after if side == "theirs" else old.theirs if old else before,
                    after if side == "ours" else before,
                    "theirs" if side == "theirs" or old else "ours",
                )
    return list(found.values())


def _text(key: str, conflict: FieldConflict, sent: Sent, bodies: Mapping[str, str]) -> TextDecision | None:
    sides = _sides(key, conflict, bodies)
    if sides is None:
        return None
    base, theirs, ours = sides
    both = _together(base, theirs, ours)
    body = both if sent.body is None else sent.body
    return TextDecision(
        text_name(key),
        body,
        marks=texts.first_mark(both) is not None,
        their_lines=textdiff.lines(base, theirs),
        our_lines=textdiff.lines(base, ours),
    )


def _sides(key: str, conflict: FieldConflict, bodies: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Return the text before, theirs and ours, where the conflict is one of texts and all of them are known."""
    if not key.startswith("prompt/") or conflict.path != "version":
        return None
    base, theirs, ours = (
        bodies.get((value or {}).get("sha256", ""))
        for value in (conflict.base, conflict.theirs, conflict.ours)
    )
    return None if base is None or theirs is None or ours is None else (base, theirs, ours)


def _together(base: str, theirs: str, ours: str) -> str:
    return texts.marked(base, ours, theirs, mine_name="yours", theirs_name="theirs")


def _as_entries(key: str, document: Document | None) -> dict[str, Document]:
    return {} if document is None else {key: document}


def _is_within(path: str, conflicts: Sequence[str]) -> bool:
    """Whether a field belongs to one that is to be decided as a whole."""
    for each in conflicts:
        inside = path == each or path.startswith((f"{each}.", f"{each} · "))
        if inside or not each or (each == "variants" and path.startswith(("version ", "order of variants"))):
            return True
    return False


def _label(key: str, path: str) -> str:
    if not path:
        return "Whole entry"
    if path == "variants":
        return "Versions and shares"
    if path == "version" and key.startswith("prompt/"):
        return "Text"
    name = words.field_name(path)
    return name[:1].upper() + name[1:]


def _value(key: str, path: str, value: object) -> str:
    if not path:
        return "not there" if value is None else _gist(key, value)
    if path == "variants" and isinstance(value, list):
        shares = (
            f"version {each.get('version')} {words.share_text(each.get('ranges', ()))}" for each in value
        )
        return ", ".join(shares)
    if isinstance(value, dict) and "sha256" in value and key.startswith("prompt/"):
        return f"version {value.get('version')}"
    return words.value_text(path, value)


def _gist(key: str, value: object) -> str:
    (change,) = diff({}, {key: value if isinstance(value, dict) else {}})
    return (
        words.sentence(change).removeprefix(f"{words.entry_name(key)}: ").removeprefix("new").strip(" ()")
        or "there"
    )
