"""Jinja with nearly everything taken out: what is left can look at plain data and make text of it.

This is a seat belt, not a wall. What it holds:

* attributes: fields of objects, seven methods of text, four of objects, the loop's own; nothing else exists, so there is
  no road from a value to Python;
* `*`, `+`, `%` and the rest are ours: no repeating of text, no number beyond 64 bits, no text over 100,000 characters by
  adding; `~`, filters and printing are bounded likewise;
* lists inside lists inside lists: what a literal or `+` makes is weighed with everything in it;
* at most 100,000 turns of loops and 8 million characters' work in one render, `range` to 1,000, 256 KiB of text;
* nothing is worked out while compiling (Jinja folds constants then: compiling a hostile text would already run it).

What it does not hold: time. Work is counted where it is large, not everywhere: a text inside the bounds can still keep a
processor busy for seconds, and parsing 64 KiB made for the purpose takes one. So whoever renders what somebody has just
typed does it in a process with a limit on time and memory.
"""

from collections.abc import Callable
from io import StringIO
from types import BuiltinMethodType, MethodType
from typing import Any, Final

from jinja2 import StrictUndefined, Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame, operators
from jinja2.idtracking import VAR_LOAD_RESOLVE
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from controlplane.runtime import filters
from controlplane.runtime.filters import Refusal
from controlplane.runtime.words import closest

MAX_RANGE: Final = 1_000
MAX_SUM_TEXT: Final = 100_000
MAX_SUM_LIST: Final = 10_000

STRING_METHODS: Final = frozenset({"endswith", "lower", "split", "startswith", "strip", "title", "upper"})
DICT_METHODS: Final = frozenset({"get", "items", "keys", "values"})
METHODS: Final = STRING_METHODS | DICT_METHODS
LOOP_METHODS: Final = frozenset({"changed", "cycle"})
LOOP_FIELDS: Final = LOOP_METHODS | {
    "depth", "depth0", "first", "index", "index0", "last", "length", "nextitem", "previtem", "revindex", "revindex0",
}  # fmt: skip

STEPS_FILTER: Final = "_steps"
FILENAME: Final = "<prompt>"


class Missing(StrictUndefined):
    """A name or field without a value: every use of it is an error that says which."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name = str(self._undefined_name)
        owner = self._undefined_obj
        if owner is None:
            return f"there is no value here to take {name!r} of: put {{% if %}} around it, or add |default(…)"
        if isinstance(owner, dict):
            return f"there is no field {name!r} here{closest(name, owner)}"
        if isinstance(owner, list | str):
            return _no_member(owner, self._undefined_name)
        return f"{name!r} has no value at this point"


def _no_member(owner: list[object] | str, name: object) -> str:
    if not isinstance(name, int):
        return f"there is no {str(name)!r} in a list or a text"
    what, part = ("list", "member") if isinstance(owner, list) else ("text", "letter")
    if not owner:
        return f"this {what} is empty: it has no {part} [{name}]"
    return f"this {what} has no {part} [{name}]; it has {len(owner)}, and the first is [0]"


class _Generator(CodeGenerator):
    """Writes printing and `~` as calls of ours; these hooks are the ones Jinja's native environment uses."""

    def _make_finalize(self) -> CodeGenerator._FinalizeInfo:
        # No function for constants: only the text between tags is written out while compiling.
        return self._FinalizeInfo(None, None)

    _printed: nodes.Expr | None = None

    def __init__(self, environment: "PromptEnvironment") -> None:
        self.program = StringIO()
        self.undeclared: set[str] = set()
        super().__init__(environment, None, FILENAME, self.program, optimized=False)

    def enter_frame(self, frame: Frame) -> None:
        """Note what is taken from outside, as `jinja2.meta` does in a generation of its own."""
        super().enter_frame(frame)
        for action, name in frame.symbols.loads.values():
            if action == VAR_LOAD_RESOLVE and name not in self.environment.globals:
                self.undeclared.add(str(name))

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: object) -> None:  # noqa: ARG002 - Jinja's signature
        self._printed = node
        self.write("environment.shown_field(" if isinstance(node, nodes.Getattr) else "environment.shown(")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: object) -> None:  # noqa: ARG002 - as above
        self.write(f", {describe(node)!r})")

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        # {{ a.b }} is most of what prompts do: looked up and printed by one call instead of two.
        if node is not self._printed:
            super().visit_Getattr(node, frame)
            return
        self.visit(node.node, frame)
        self.write(f", {node.attr!r}")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        self._called("weighed", node, frame, super().visit_List)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802 - as above
        self._called("weighed", node, frame, super().visit_Dict)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802 - as above
        if node.ctx == "load":
            self._called("weighed", node, frame, super().visit_Tuple)
        else:
            super().visit_Tuple(node, frame)

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802 - as above
        self.write("(")
        self._charged(node.expr, frame)
        for operand in node.ops:
            self.write(f" {operators[operand.op]} ")
            self._charged(operand.expr, frame)
        self.write(")")

    def _charged(self, node: nodes.Expr, frame: Frame) -> None:
        # What stands in the text is short, and most comparisons are with such.
        if isinstance(node, nodes.Const):
            self.visit(node, frame)
        else:
            self._called("charged", node, frame, self.visit)

    def _called(self, name: str, node: Any, frame: Frame, visit: Callable[[Any, Frame], None]) -> None:
        self.write(f"environment.{name}(")
        visit(node, frame)
        self.write(")")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        self.write("environment.joined((")
        for child in node.nodes:
            self.visit(child, frame)
            self.write(", ")
        self.write("))")


class PromptContext(Context):
    """The names that one render begins with; made in a third of the time that Jinja's own takes.

    How a prompt is evaluated never changes (no `{% autoescape %}`, no blocks), so all renders share one `EvalContext`; and
    names are asked for before any is set, so that a look into what was given is enough.
    """

    def __init__(self, environment: "PromptEnvironment", values: dict[str, Any]) -> None:
        self.parent = {**environment.globals, **values}
        self.vars = {}
        self.environment = environment
        self.eval_ctx = environment.evaluation
        self.exported_vars = set()
        self.name = None
        self.globals_keys = set()
        self.blocks = {}

    def resolve_or_missing(self, key: str) -> Any:
        """Return what a name begins with, or Jinja's mark for a name without a value."""
        return self.parent.get(key, missing)


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """The one environment in which prompts are parsed, compiled and rendered, in the editor as in production."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        super().__init__(
            undefined=Missing,
            autoescape=False,  # a prompt is text: &amp; would change what the model reads
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            newline_sequence="\n",
            optimized=False,
            cache_size=0,
        )
        self.filters = {**filters.FILTERS, STEPS_FILTER: count_steps}
        self.tests = dict(filters.TESTS)
        self.globals = {"range": bounded_range}
        self.evaluation = nodes.EvalContext(self)

    def generate(self, tree: nodes.Template) -> tuple[str, set[str]]:
        """Return a syntax tree as a program in Python, and the names that it takes from outside."""
        generator = _Generator(self)
        generator.visit(tree)
        return generator.program.getvalue(), generator.undeclared

    def shown(self, value: object, what: str) -> str:
        """Return a printed value as text."""
        return filters.text(value, what) if value.__class__ is not str else value

    def shown_field(self, obj: Any, attribute: str, what: str) -> str:
        """Return a field of a value as text: `getattr`, and then `shown`."""
        value = obj[attribute] if obj.__class__ is dict and attribute in obj else self.getattr(obj, attribute)
        return value if value.__class__ is str else filters.text(value, what)

    def joined(self, values: tuple[object, ...]) -> str:
        """Return what `~` makes."""
        return filters.bounded(map(filters.text, values))

    def weighed(self, value: object) -> object:
        """Return a value that a literal made, unless it holds too much."""
        filters.weight(value)
        return value

    def charged(self, value: object) -> object:
        """Return a value about to be compared, charging for its size."""
        if isinstance(value, str):
            if len(value) >= filters.SMALL:
                filters.charge(len(value))
        elif isinstance(value, list | tuple | dict):
            filters.weight(value)
        return value

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a field; an object's own field comes before a method of the same name ("values", "items")."""
        if obj.__class__ is dict:
            if attribute in obj:
                return obj[attribute]
            if attribute in DICT_METHODS:
                return getattr(obj, attribute)
        elif isinstance(obj, str):
            if attribute in STRING_METHODS:
                return getattr(obj, attribute)
        elif isinstance(obj, LoopContext) and attribute in LOOP_FIELDS:
            return getattr(obj, attribute)
        elif isinstance(obj, Undefined):
            return str(obj)  # raises, with the name of what is missing first
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return a field of an object or a member of a list or text."""
        if isinstance(obj, Undefined):
            return str(obj)  # raises, as above
        try:
            if isinstance(obj, dict | list | tuple | str):
                return obj[argument]
        except (LookupError, TypeError):
            pass
        return self.undefined(obj=obj, name=argument)

    def is_safe_callable(self, obj: Any) -> bool:
        """Say whether a prompt may call this: `range`, and the methods that `getattr` gives out."""
        if isinstance(obj, BuiltinMethodType):
            owner = obj.__self__
            return obj.__name__ in (
                STRING_METHODS if isinstance(owner, str) else DICT_METHODS
            ) and isinstance(owner, str | dict)
        if isinstance(obj, MethodType):
            return isinstance(obj.__self__, LoopContext) and obj.__name__ in LOOP_METHODS
        return obj is bounded_range

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call what may be called, and say in words what may not."""
        if isinstance(obj, Undefined):
            return str(obj)  # raises, as above
        if not self.is_safe_callable(obj):
            raise Refusal("only range() and a few methods can be called; this is a plain value")
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str | dict):
            filters.charge(len(owner))
        return context.call(obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002 - Jinja's signature
        """Work out `left operator right` on numbers, and `+` on text and lists of modest size."""
        for side in (left, right):
            if isinstance(side, Undefined):
                str(side)  # raises, as above
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return _added(left, right, MAX_SUM_TEXT, "characters")
        if operator == "+" and isinstance(left, list) and isinstance(right, list):
            return self.weighed(_added(left, right, MAX_SUM_LIST, "members"))
        if operator == "**" or not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise Refusal(f"{operator} is for numbers here; ~ puts text together")
        return filters.within_bounds(self.binop_table[operator](left, right))


def _added(left: Any, right: Any, limit: int, of_what: str) -> Any:
    if len(left) + len(right) > limit:
        raise Refusal(f"+ would make more than {limit:,} {of_what}")
    return left + right


def bounded_range(*bounds: int) -> range:
    """Return a range of at most 1,000 numbers."""
    if not 1 <= len(bounds) <= 3 or not all(isinstance(bound, int) for bound in bounds):
        raise Refusal("range takes one to three whole numbers")
    if len(bounds) == 3 and bounds[2] == 0:
        raise Refusal("range cannot step by zero")
    found = range(*(int(str(filters.within_bounds(bound))) for bound in bounds))
    if len(found) > MAX_RANGE:
        raise Refusal(f"range goes to {MAX_RANGE:,} numbers, not {len(found):,}")
    return found


def count_steps(value: object, body: int) -> list[Any]:
    """Return what a loop goes through, counted with the size of its body; no value is an empty list."""
    if value is None:
        return []
    items = filters.items_of(value)
    filters.charge_turns(len(items), body)
    return items


def describe(node: nodes.Node) -> str:
    """Return a printed expression as its author wrote it, as far as it is a name with fields."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{describe(node.node)}.{node.attr}"
    if isinstance(node, nodes.Filter) and node.node is not None:
        return f"{describe(node.node)}|{node.name}"
    return "a value"


ENVIRONMENT: Final = PromptEnvironment()
