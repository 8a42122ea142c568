"""Which part of Jinja a prompt may use, decided on the syntax tree before anything is compiled.

Editor, publisher and runtime all ask `check`: what passes here compiles, and renders inside the bounds of `sandbox.py`.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from jinja2 import TemplateSyntaxError, nodes

from controlplane.runtime import places
from controlplane.runtime.errors import PromptProfileError
from controlplane.runtime.places import Place
from controlplane.runtime.sandbox import ENVIRONMENT, LOOP_METHODS, METHODS, STEPS_FILTER
from controlplane.runtime.words import closest, listed

MAX_SOURCE_BYTES: Final = 64 * 1024
MAX_NODES: Final = 4_000
MAX_DEPTH: Final = 40
MAX_FOR_DEPTH: Final = 2
# An element takes two to four words and signs, so that the tree's limit is always met first by what people write.
_MAX_TOKENS: Final = 6 * MAX_NODES

# Names that mean something to Jinja itself: neither a parameter nor {% set %} may take them.
RESERVED: Final = frozenset(
    (
        "range", "loop", "self", "super", "caller", "varargs", "kwargs", "true", "false", "none", "True", "False",
        "None", "and", "or", "not", "in", "is", "if", "else", "elif", "for", "set", "with",
    )
)  # fmt: skip
FILTERS: Final = frozenset(ENVIRONMENT.filters) - {STEPS_FILTER}
TESTS: Final = frozenset(ENVIRONMENT.tests)
# What other template languages call a filter that is here under another name.
_ELSEWHERE: Final = {
    "ceil": "round", "concat": "join", "downcase": "lower", "dump": "tojson",
    "json": "tojson", "len": "length", "lowercase": "lower", "size": "length",
    "strip": "trim", "to_json": "tojson", "uniq": "unique", "upcase": "upper", "uppercase": "upper",
}  # fmt: skip
TAGS: Final = ("if", "elif", "else", "endif", "for", "endfor", "set", "with", "endwith", "raw", "endraw")

_ALLOWED: Final = frozenset(
    (
        nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign, nodes.With,
        nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword,
        nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Call, nodes.CondExpr,
        nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Concat,
        nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos,
    )
)  # fmt: skip

_REFUSED: Final[dict[type[nodes.Node], str]] = {
    nodes.Include: '{% include %} stands in no finished prompt: snippets, {% include "shared/…" %}, are put in where a template is saved',
    nodes.Import: "{% import %} is not available: a prompt is one text",
    nodes.FromImport: "{% from … import %} is not available: a prompt is one text",
    nodes.Extends: "{% extends %} is not available: a prompt is one text",
    nodes.Block: "{% block %} is not available: a prompt is one text",
    nodes.Macro: "{% macro %} is not available: write the text where it is needed",
    nodes.CallBlock: "{% call %} is not available",
    nodes.FilterBlock: "{% filter %} is not available: use the filter inside {{ … }}",
    nodes.AssignBlock: "{% set … %} needs a value: {% set name = … %}; text between {% set %} and {% endset %} is not available",
    nodes.NSRef: "{% set a.b = … %} is not available: set a plain name",
    nodes.Pow: "** is not available",
    nodes.ScopedEvalContextModifier: "{% autoescape %} is not available: prompts are plain text",
}


def normalise(source: str) -> str:
    """Return the text with every line ended by a plain newline, as it is saved, hashed and compiled."""
    return source.replace("\r\n", "\n").replace("\r", "\n")


class Complaint(NamedTuple):
    """What a prompt may not hold, in words, and the part of the tree where it stands."""

    message: str
    node: nodes.Node
    ends_here: bool = False
    """Whether the rest of the tree was not looked at: it is too large or too deep."""


def check(source: str) -> nodes.Template:
    """Return the syntax tree of a prompt; raises `PromptProfileError`, and nothing else, for what it may not be."""
    tree = parse(source)
    for complaint in complaints(tree):
        raise refusal(complaint, normalise(source))
    return tree


def parse(source: str) -> nodes.Template:
    """Return the syntax tree of a text, whatever it uses; raises `PromptProfileError` where there is no tree to be had."""
    _check_text(source)
    text = normalise(source)
    try:
        _check_tokens(text)
        return places.parse(ENVIRONMENT, text)
    except TemplateSyntaxError as error:
        raise _in_words(error, text) from None
    except (RecursionError, MemoryError):
        raise PromptProfileError("the text is nested too deeply") from None
    except (ValueError, OverflowError, SyntaxError):
        # Numbers of thousands of digits and broken escapes in text come out of Python's own parser.
        raise PromptProfileError("a number or a quoted text cannot be read") from None


def complaints(tree: nodes.Template) -> Iterator[Complaint]:
    """Yield all that a prompt may not hold, in the order of the tree; nothing more once it is too large or too deep."""
    for count, (node, depth, loops) in enumerate(_walk(tree), start=1):
        if count > MAX_NODES:
            yield Complaint(
                f"the text has more than {MAX_NODES:,} elements: make it simpler", node, ends_here=True
            )
            return
        if depth > MAX_DEPTH:
            yield Complaint(f"nested more than {MAX_DEPTH} deep: make it simpler", node, ends_here=True)
            return
        if loops > MAX_FOR_DEPTH:
            yield Complaint(f"loops stand at most {MAX_FOR_DEPTH} deep in each other", node, ends_here=True)
            return
        message = _message(node)
        if message:
            yield Complaint(message, node)


def refusal(complaint: Complaint, text: str) -> PromptProfileError:
    """Return a complaint as what is raised, with where in the text it stands."""
    mark = places.mark_of(complaint.node, text)
    if mark is None:
        return PromptProfileError(complaint.message, complaint.node.lineno)
    return PromptProfileError(complaint.message, *mark)


def _check_text(source: str) -> None:
    try:
        size = len(source.encode())
    except UnicodeEncodeError:
        raise PromptProfileError("the text holds a broken character (half of a surrogate pair)") from None
    if size > MAX_SOURCE_BYTES:
        raise PromptProfileError(
            f"the text has {size:,} bytes, more than the {MAX_SOURCE_BYTES:,} a prompt may have"
        )
    if "\0" in source:
        found = normalise(source)
        raise PromptProfileError("the text holds a zero byte", *places.mark_at(found, found.index("\0"), 0))


def _check_tokens(source: str) -> None:
    """Refuse what cannot end well before it is parsed: the parser takes ten times as long as this."""
    if len(source) <= _MAX_TOKENS:
        return
    for count, (line, _, _) in enumerate(ENVIRONMENT.lex(source)):
        if count > _MAX_TOKENS:
            raise PromptProfileError(f"the text has more than {MAX_NODES:,} elements: make it simpler", line)


def _message(node: nodes.Node) -> str | None:
    if type(node) not in _ALLOWED:
        return _REFUSED.get(type(node), f"{type(node).__name__} is not available in prompts")
    rule = _RULES.get(type(node))
    return rule(node) if rule else None


def _walk(tree: nodes.Template) -> Iterator[tuple[nodes.Node, int, int]]:
    """Yield every node with its depth and its depth in loops, without recursion: the text may be deeper than the stack."""
    waiting: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while waiting:
        node, depth, loops = waiting.pop()
        inside = loops + isinstance(node, nodes.For)
        yield node, depth, inside
        children = [(child, depth + 1, inside) for child in node.iter_child_nodes()]
        waiting.extend(reversed(children))


def _name(node: nodes.Name) -> str | None:
    if node.name.startswith("_"):
        return f"{node.name} is not available: names do not begin with _"
    if node.ctx == "store" and node.name in RESERVED:
        return f"{node.name} has a meaning of its own and cannot be set"
    if node.name in {"self", "super", "caller", "varargs", "kwargs"}:
        return f"{node.name} is not available"
    return None


def _field(node: nodes.Getattr) -> str | None:
    return f".{node.attr} is not available: fields do not begin with _" if node.attr.startswith("_") else None


def _item(node: nodes.Getitem) -> str | None:
    name = node.arg.value if isinstance(node.arg, nodes.Const) else None
    if isinstance(name, str) and name.startswith("__"):
        return f"[{name!r}] is not available: fields do not begin with __"
    return None


def _call(node: nodes.Call) -> str | None:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        return "*… and **… are not available in a call"
    called = node.node
    if isinstance(called, nodes.Name):
        if called.name == "range":
            return None
        return f"{called.name}() is not available: the one function is range()"
    if isinstance(called, nodes.Getattr):
        if called.attr in METHODS or (called.attr in LOOP_METHODS and _is_loop(called.node)):
            return None
        return f".{called.attr}() is not available; the methods are {listed(sorted(METHODS))}"
    return "only range() and a few methods can be called"


def _is_loop(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "loop"


def _filter(node: nodes.Filter) -> str | None:
    if node.name not in FILTERS:
        return f"there is no filter {node.name}{_nearest_filter(node.name)}"
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        return "*… and **… are not available in a filter"
    if node.name == "map":
        return _map(node)
    if node.name in {"select", "reject"} and node.args:
        return _named(node.args[0], TESTS, "test")
    if node.name in {"selectattr", "rejectattr"} and len(node.args) > 1:
        return _named(node.args[1], TESTS, "test")
    return None


def _nearest_filter(name: str) -> str:
    elsewhere = _ELSEWHERE.get(name)
    return f"; did you mean {elsewhere!r}?" if elsewhere else closest(name, FILTERS)


def _map(node: nodes.Filter) -> str | None:
    if not node.args or any(keyword.key in {"attribute", "default"} for keyword in node.kwargs):
        return (
            "map(attribute=…) is not available: use {% for item in … %}{{ item.name }}{% endfor %}, "
            "or join(', ', attribute='name')"
        )
    return _named(node.args[0], FILTERS, "filter")


def _named(node: nodes.Expr, known: frozenset[str], kind: str) -> str | None:
    if not isinstance(node, nodes.Const) or not isinstance(node.value, str):
        return f"the name of a {kind} must be written out in quotes"
    return None if node.value in known else f"there is no {kind} {node.value}{closest(node.value, known)}"


def _test(node: nodes.Test) -> str | None:
    return None if node.name in TESTS else f"there is no test {node.name}{closest(node.name, TESTS)}"


def _for(node: nodes.For) -> str | None:
    return "recursive loops are not available" if node.recursive else None


def _const(node: nodes.Const) -> str | None:
    value = node.value
    if isinstance(value, float) and not abs(value) < float("inf"):
        return "a number is too large"
    if isinstance(value, int) and abs(value) >= 2**63:
        return "a whole number has more than 64 bits"
    return None


_RULES: Final[dict[type[nodes.Node], Callable[..., str | None]]] = {
    nodes.Name: _name,
    nodes.Getattr: _field,
    nodes.Getitem: _item,
    nodes.Call: _call,
    nodes.Filter: _filter,
    nodes.Test: _test,
    nodes.For: _for,
    nodes.Const: _const,
}

_UNKNOWN_TAG: Final = re.compile(r"Encountered unknown tag '(\w+)'")
_UNEXPECTED: Final = re.compile(r"expected token '(.+)', got '(.*)'", re.DOTALL)
_CHARACTER: Final = re.compile(r"unexpected char (.+) at (\d+)", re.DOTALL)


def _in_words(error: TemplateSyntaxError, source: str) -> PromptProfileError:
    """Return Jinja's complaint as the author of a prompt would put it, at the place where it can be mended."""
    said, line = error.message or "", error.lineno
    if said.startswith("Unexpected end of template"):
        opened = _innermost(source, None)
        if opened:
            tag, place = opened
            return _refused_at(
                f"{{% {tag} %}} is never closed: add {{% end{tag} %}}", place, source, len(tag)
            )
    if found := _UNKNOWN_TAG.match(said):
        return _refused_at(_misplaced(found[1], _innermost(source, line)), line, source, len(found[1]))
    if found := _CHARACTER.match(said):
        line = Place(line, int(found[2]))
    return _refused_at(_plain(said), line, source)


def _refused_at(message: str, line: int, source: str, length: int = 1) -> PromptProfileError:
    if not isinstance(line, Place):
        return PromptProfileError(message, line)
    return PromptProfileError(message, *places.mark_at(source, line.offset, line.offset + length))


def _misplaced(tag: str, opened: tuple[str, int] | None) -> str:
    if tag not in TAGS:
        return f"there is no tag {{% {tag} %}}{closest(tag, TAGS)}"
    if opened is None and not tag.startswith("end"):
        return f"{{% {tag} %}} stands alone: there is no {{% if %}} or {{% for %}} open before it"
    if opened is None:
        return f"{{% {tag} %}} closes nothing: there is no {{% {tag.removeprefix('end')} %}} before it"
    return f"{{% {tag} %}} does not fit: {{% {opened[0]} %}} of line {opened[1]} is still open"


_ENDS: Final = (
    (("end of print statement", "end of template"), "{{ is never closed: add }}"),
    (("end of statement block", "end of template"), "{% is never closed: add %}"),
    (("Missing end of comment",), "{# is never closed: add #}"),
    (("Expected an expression, got",), "nothing stands between the braces, or nothing follows an operator"),
    (("unexpected '}'",), "{{ is closed by two braces, }}, and there is one"),
    (("Missing end of raw",), "{% raw %} is never closed: add {% endraw %}"),
)
_CLOSINGS: Final = {"end of print statement": "}}", "end of statement block": "%}"}


def _plain(said: str) -> str:
    for signs, message in _ENDS:
        if all(sign in said for sign in signs):
            return message
    if found := _UNEXPECTED.match(said):
        closing = _CLOSINGS.get(found[1])
        if closing:
            return f"{found[2]!r} is not expected here: is an operator or the closing {closing} missing?"
        return f"{found[1]!r} is expected here, not {found[2]!r}"
    if found := _CHARACTER.match(said):
        if found[1].strip("'\"") in {"", "'", '"', "\\'"}:
            return "a quotation mark is never closed"
        return f"the character {found[1]} cannot stand inside {{{{ }}}} or {{% %}}"
    return said.rstrip(".") or "this cannot be read as a template"


def _innermost(source: str, before: int | None) -> tuple[str, Place] | None:
    """Return the tag that is still open at the end (or before a line), with the place where it was opened."""
    opened: list[tuple[str, Place]] = []
    begins = False
    try:
        for place, kind, value in places.tokens(ENVIRONMENT, source):
            if before is not None and place >= before:
                break
            if kind == "block_begin":
                begins = True
            elif begins and kind == "name":
                begins = False
                if value in {"if", "for", "with", "block", "macro", "filter", "call", "autoescape"}:
                    opened.append((value, place))
                elif value.startswith("end") and opened:
                    opened.pop()
    except TemplateSyntaxError:
        return None
    return opened[-1] if opened else None
