"""The findings of one analysis, each said once, in words for whoever writes the template."""

from typing import Literal

from jinja2 import nodes

from controlplane.prompts.contract.kinds import Absence, Kind, Reason, Value
from controlplane.prompts.contract.verdict import ERROR, WARNING, Verdict
from controlplane.runtime import places
from controlplane.runtime.sandbox import describe
from controlplane.runtime.words import listed

MOST = 60
_SHOWN_FIELDS = 8
# What a guard around it makes right, and what is wrong with or without one.
_WRONG_ANYWAY = frozenset({Reason.UNKNOWN, Reason.UNSEEN, Reason.NO_FIELDS})


class Findings:
    """What was found so far in one text; `is_certain` while what is looked at is reached by every render."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[tuple[object, ...], Verdict] = {}
        self.is_certain = True

    @property
    def verdicts(self) -> list[Verdict]:
        """All of it, in the order of the text."""
        found = sorted(self._found.values(), key=lambda each: (each.line or 0, each.column or 0, each.code))
        return found[:MOST]

    def error(self, code: str, message: str, node: nodes.Node) -> None:
        """Note what cannot work."""
        self._add(ERROR, code, message, node)

    def warning(self, code: str, message: str, node: nodes.Node) -> None:
        """Note what is to be thought about."""
        self._add(WARNING, code, message, node)

    def clash(self, message: str, node: nodes.Node, *values: Value) -> None:
        """Note that a value cannot be used so: an error, unless it is known from samples only and may never come to it."""
        doubtful = not self.is_certain and any(value.is_learnt for value in values)
        self._add(WARNING if doubtful else ERROR, "type-clash", message, node)

    def unguarded(self, absence: Absence, node: nodes.Node) -> None:
        """Note that there may be no value where one is needed, as far as that is sure enough to be worth saying."""
        at = absence.node or node
        certain = self.is_certain and absence.is_sure
        name = _called(node) or absence.name
        if absence.reason is Reason.OPTIONAL:
            message = _optional(_called(at) or name, absence.name)
            self._add(ERROR if certain else WARNING, "optional-unguarded", message, at)
        elif absence.reason is Reason.SOMETIMES:
            message = f"{name} is missing in some samples: put {{% if {name} is defined %}} around it, or add |default(…)"
            self.warning("optional-unguarded", message, node)
        elif absence.reason is Reason.UNKNOWN:
            self.error("unknown-field", _no_field(absence), at)
        elif absence.reason is Reason.UNSEEN and (certain or absence.near):
            self._add(ERROR if certain else WARNING, "unknown-field", _no_field(absence), at)
        elif absence.reason is Reason.NO_FIELDS and absence.is_sure:
            doubtful = absence.is_learnt and not certain
            self._add(WARNING if doubtful else ERROR, "type-clash", _no_field(absence), at)
        elif absence.reason is Reason.NO_ELSE:
            self.warning("no-else", "without an else this gives nothing when the condition does not hold, and nothing cannot be used here", node)  # fmt: skip
        elif absence.reason is Reason.EDGE:
            self.warning("optional-unguarded", f"{name} is not there in the first or last turn: put {{% if %}} around it, or add |default(…)", node)  # fmt: skip
        elif certain:
            self.error("no-value", f"{absence.name} has no value here", at)

    def guarded(self, absence: Absence) -> None:
        """Note a guard around what can never be there: most likely the name is mistyped."""
        if absence.node is None or absence.reason not in _WRONG_ANYWAY or not absence.is_sure:
            return
        if absence.reason is not Reason.UNSEEN or absence.near:
            self.warning("unknown-field", _no_field(absence), absence.node)

    def _add(self, severity: Literal["error", "warning"], code: str, message: str, node: nodes.Node) -> None:
        mark = places.mark_of(node, self._text)
        line, column, length = mark or (node.lineno, None, 1)
        key = (line, column, code)
        known = self._found.get(key)
        if known is not None and (known.is_error or severity == WARNING):
            return
        self._found[key] = Verdict(
            severity=severity, code=code, message=message, line=int(line), column=column, length=length
        )


def named(node: nodes.Node) -> str:
    """Return an expression as it is written, as far as it is a name with fields; else "this"."""
    return _called(node) or "this"


def kinds_in_words(value: Value) -> str:
    """Return what a value is: "a number", "a text or a number"."""
    kinds = [kind.value for kind in Kind if kind in value.shapes and kind not in (Kind.NONE, Kind.MISSING)]
    return " or ".join(kinds) or "nothing"


def _called(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        above = _called(node.node)
        return f"{above}[{node.arg.value!r}]" if above else None
    if isinstance(node, nodes.Getattr):
        above = _called(node.node)
        return f"{above}.{node.attr}" if above else None
    return describe(node) if isinstance(node, nodes.Name) else None


def _optional(name: str, parameter: str) -> str:
    # A parameter that is left out is there as nothing, a field is not there: an {% if %} fails on it.
    guard = f"if {name}" if name == parameter else f"if {name} is defined"
    return f"{name} is optional, and without it this fails: put {{% {guard} %}} around it, or add |default(…)"


def _no_field(absence: Absence) -> str:
    near = f"; did you mean {absence.near!r}?" if absence.near else ""
    if absence.reason is Reason.NO_FIELDS:
        near = f"; did you mean {absence.near}?" if absence.near else ""
        return f"{absence.owner} and has no field {absence.name!r}{near}"
    known = listed(absence.known[:_SHOWN_FIELDS]) if absence.known else "none"
    more = " and more" if len(absence.known) > _SHOWN_FIELDS else ""
    if absence.reason is Reason.UNKNOWN:
        return f"{absence.owner} has no field {absence.name!r}{near or f'; it has {known}{more}'}"
    return f"{absence.owner} has no field {absence.name!r} in any sample{near or f'; the samples show {known}{more}'}"
