"""Turning a prompt and its values into text: one renderer for the editor's preview, for publishing and for production."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import Any, Final, NamedTuple

from jinja2 import Template, TemplateSyntaxError, nodes

from controlplane.runtime import profile
from controlplane.runtime.entries import Parameter
from controlplane.runtime.errors import ParameterError, PromptProfileError, TemplateRenderError
from controlplane.runtime.filters import ALLOWANCE, Allowance, Refusal
from controlplane.runtime.parameters import copy_values
from controlplane.runtime.sandbox import ENVIRONMENT, FILENAME, STEPS_FILTER, PromptContext
from controlplane.runtime.words import closest, listed, suggestion

MAX_OUTPUT_BYTES: Final = 256 * 1024
_PIECES_AT_A_TIME: Final = 16


class CompiledPrompt:
    """A prompt ready to be rendered any number of times, by any number of threads."""

    __slots__ = ("_declared", "names", "program")

    def __init__(self, program: Template, names: "Names") -> None:
        self.program = program
        self.names = names
        self._declared: Sequence[Parameter] | None = None

    @property
    def used(self) -> Mapping[str, int]:
        """The names it may take from outside, each with the line where it first stands."""
        return self.names.used

    def check_names(self, declared: Sequence[Parameter]) -> None:
        """Raise `TemplateRenderError` when a name could have no value; once for a declaration, which seldom changes."""
        if declared is self._declared:
            return
        _check_names(self.names, declared)
        # A list could grow or shrink and still be the same list.
        if isinstance(declared, tuple):
            self._declared = declared


class Names(NamedTuple):
    """The names of a prompt: `used` may come from outside, `own` are set by the prompt itself before it reads them.

    A name can be both: set inside an {% if %}, it comes from outside where the {% if %} was not taken.
    """

    used: dict[str, int]
    own: frozenset[str]

    def undeclared(self, declared: Sequence[Parameter]) -> tuple[str, ...]:
        """Return the names that only a declaration could give a value, and that are not declared."""
        known = {parameter.name for parameter in declared} | self.own
        return tuple(name for name in self.used if name not in known)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a prompt or its values, and where in its text, as far as that is known."""

    message: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """A render with its errors as data; `text` is None exactly when there is a `problem`."""

    text: str | None
    missing: tuple[str, ...] = ()
    """Declared and required, but not given."""
    unused: tuple[str, ...] = ()
    """Declared, but nowhere in the text."""
    undeclared: tuple[str, ...] = ()
    """In the text, but not declared."""
    suggestions: Mapping[str, str] = field(default_factory=dict)
    """For an undeclared name the declared one it may have been meant to be."""
    problem: Problem | None = None


def compile_prompt(source: str) -> CompiledPrompt:
    """Return a prompt ready to render; raises `PromptProfileError` for one that may not be.

    Takes as long as a hundred renders, so it is done when a release is loaded and not when it is used.
    """
    tree = profile.check(source)
    for loop in tree.find_all(nodes.For):
        loop.iter = _counted(loop)
    try:
        text, outside = ENVIRONMENT.generate(tree)
        names = _names(tree, outside)
        program = Template.from_code(ENVIRONMENT, compile(text, FILENAME, "exec"), ENVIRONMENT.globals)
    except (Exception, RecursionError, MemoryError) as error:
        # Not only TemplateError: deep nesting and odd names come out of Python's own compiler.
        said = error.message if isinstance(error, TemplateSyntaxError) else error
        raise PromptProfileError(
            f"this cannot be compiled ({said})", getattr(error, "lineno", None)
        ) from None
    return CompiledPrompt(program, names)


def _counted(loop: nodes.For) -> nodes.Filter:
    """Return what a loop goes through, put into a filter of ours that counts its turns."""
    line = loop.iter.lineno
    size = sum(1 for _ in loop.find_all(nodes.Node))
    body = nodes.Const(size, lineno=line, environment=ENVIRONMENT)
    return nodes.Filter(loop.iter, STEPS_FILTER, [body], [], None, None, lineno=line, environment=ENVIRONMENT)


def used_variables(source: str) -> set[str]:
    """Return the names that a prompt takes from outside; raises `PromptProfileError`."""
    names = compile_prompt(source).names
    return names.used.keys() - names.own


def render(
    compiled: CompiledPrompt,
    parameters: Mapping[str, object],
    declared: Sequence[Parameter],
    *,
    prompt: str | None = None,
    version: int | None = None,
) -> str:
    """Return the prompt's text, or raise `TemplateRenderError` (or its `ParameterError`), which names `prompt` and `version`.

    An optional parameter that is not given is None: false in `{% if %}`, empty in `{% for %}`, replaced by `|default(…)`,
    an error when printed. Values that are not declared are passed over, so that an application may be ahead of a release.
    """
    try:
        compiled.check_names(declared)
        values = copy_values(parameters, declared)
        return _run(compiled.program, values)
    except ParameterError as error:
        raise ParameterError(error.name, error.message, prompt=prompt, version=version) from None
    except TemplateRenderError as error:
        raise TemplateRenderError(
            error.message, prompt=prompt, version=version, line=error.line, parameter=error.parameter
        ) from None


class Previewer:
    """A prompt that is tried with any number of sets of values, and compiled once for all of them."""

    def __init__(self, source: str, declared: Sequence[Parameter]) -> None:
        self._declared = declared
        self._compiled: CompiledPrompt | None = None
        self._problem: Problem | None = None
        self._undeclared: tuple[str, ...] = ()
        self._unused: tuple[str, ...] = ()
        self._suggestions: dict[str, str] = {}
        try:
            compiled = self._compiled = compile_prompt(source)
        except PromptProfileError as error:
            self._problem = Problem(error.message, error.line, error.column)
            return
        names = [parameter.name for parameter in declared]
        self._undeclared = compiled.names.undeclared(declared)
        self._suggestions = {name: near for name in self._undeclared if (near := suggestion(name, names))}
        self._unused = tuple(name for name in names if name not in compiled.used)

    def preview(self, parameters: Mapping[str, object]) -> Preview:
        """Render with the production renderer, telling errors as data instead of raising them."""
        missing = tuple(p.name for p in self._declared if p.required and parameters.get(p.name) is None)
        text, problem = None, self._problem
        if self._compiled is not None:
            try:
                text = render(self._compiled, parameters, self._declared)
            except TemplateRenderError as error:
                problem = Problem(error.message, error.line)
        return Preview(text, missing, self._unused, self._undeclared, self._suggestions, problem)


def preview(source: str, parameters: Mapping[str, object], declared: Sequence[Parameter]) -> Preview:
    """Render with the production renderer, telling errors as data instead of raising them."""
    return Previewer(source, declared).preview(parameters)


def _names(tree: nodes.Template, outside: set[str]) -> Names:
    """Return the names from outside with their first lines in the order of the text, and those that are set first."""
    used: dict[str, int] = {}
    own: set[str] = set()
    for name in _in_order(tree):
        if name.ctx == "load" and name.name in outside:
            used.setdefault(name.name, int(name.lineno))
        elif name.ctx == "store" and name.name not in used:
            own.add(name.name)
    return Names(used, frozenset(own))


def _in_order(node: nodes.Node) -> Iterator[nodes.Name]:
    """Yield the names as they are read and written: a value before the name that it is given to."""
    if isinstance(node, nodes.Name):
        yield node
    children: Iterable[nodes.Node] = node.iter_child_nodes()
    if isinstance(node, nodes.Assign):
        children = [node.node, node.target]
    elif isinstance(node, nodes.For):
        children = [node.iter, node.target, *node.iter_child_nodes(exclude=["iter", "target"])]
    elif isinstance(node, nodes.With):
        children = [*node.values, *node.targets, *node.body]
    for child in children:
        yield from _in_order(child)


def _check_names(names: Names, declared: Sequence[Parameter]) -> None:
    undeclared = names.undeclared(declared)
    if not undeclared:
        return
    first = undeclared[0]
    line = names.used[first]
    if first == "loop":
        raise TemplateRenderError("loop is there only between {% for %} and {% endfor %}", line=line)
    hint = closest(first, [parameter.name for parameter in declared])
    raise TemplateRenderError(
        f"the interaction has no parameter {listed(undeclared)}{hint}", line=line, parameter=first
    )


def _run(program: Template, values: dict[str, Any]) -> str:
    token = ALLOWANCE.set(Allowance())
    try:
        text = "".join(_bounded(program.root_render_func(PromptContext(ENVIRONMENT, values))))
    except (Exception, RecursionError, MemoryError) as error:
        raise TemplateRenderError(_in_words(error), line=_line(program, error.__traceback__)) from None
    finally:
        ALLOWANCE.reset(token)
    if not text or text.isspace():
        raise TemplateRenderError("the prompt came out empty")
    if not text.isascii():
        _check_size(text)
    return text


def _bounded(stream: Iterator[str]) -> Iterator[str]:
    """Yield a text in parts, stopping soon after they grow too long.

    A part is some pieces joined: weighing each would take longer than making it. No piece is longer than a text may be
    (`filters.MAX_TEXT`), so that a part cannot fill the memory.
    """
    left = MAX_OUTPUT_BYTES
    while pieces := list(islice(stream, _PIECES_AT_A_TIME)):
        part = "".join(pieces)
        left -= len(part)
        if left < 0:
            raise Refusal(f"the prompt grows beyond {MAX_OUTPUT_BYTES // 1024} KiB")
        yield part


def _check_size(text: str) -> None:
    """Raise `TemplateRenderError` for a text that has more bytes than characters, and too many, or cannot be written."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise TemplateRenderError("the prompt holds half a character (a lone surrogate)") from None
    if size > MAX_OUTPUT_BYTES:
        raise TemplateRenderError(f"the prompt grows beyond {MAX_OUTPUT_BYTES // 1024} KiB")


def _in_words(error: BaseException) -> str:
    if isinstance(error, ZeroDivisionError):
        return "a number is divided by zero"
    if isinstance(error, RecursionError | MemoryError):
        return "this takes more room than a prompt may have"
    said = str(error)
    if isinstance(error, TypeError) and "not supported between" in said:
        return "values of different kinds cannot be compared here"
    if isinstance(error, TypeError) and "argument" in said:
        return "a filter, a test or a method is given a value it does not take"
    return said or f"this cannot be worked out ({type(error).__name__})"


def _line(program: Template, traceback: TracebackType | None) -> int | None:
    """Return the line of the prompt where a render stopped: the innermost frame that runs the prompt's own program."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILENAME:
            line = program.get_corresponding_lineno(traceback.tb_lineno)
        traceback = traceback.tb_next
    return line
