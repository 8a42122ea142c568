"""Turning a prompt and its values into text: one renderer for the editor's preview, for publishing and for production."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from jinja2 import Template, meta, nodes

from controlplane.runtime import profile
from controlplane.runtime.entries import Parameter
from controlplane.runtime.errors import ParameterError, PromptProfileError, TemplateRenderError
from controlplane.runtime.filters import Refusal
from controlplane.runtime.parameters import copy_values
from controlplane.runtime.sandbox import ENVIRONMENT, MAX_STEPS, STEPS_FILTER, STEPS_LEFT
from controlplane.runtime.words import closest, listed, suggestion

MAX_OUTPUT_BYTES: Final = 256 * 1024
_FILENAME: Final = "<prompt>"


class CompiledPrompt:
    """A prompt ready to be rendered any number of times, by any number of threads."""

    __slots__ = ("program", "used")

    def __init__(self, program: Template, used: Mapping[str, int]) -> None:
        self.program = program
        self.used = used
        """The names it takes from outside, each with the line where it first stands."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a prompt or its values, and on which line, if on one."""

    message: str
    line: int | None = None


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

    Takes a hundred times as long as a render, so it is done when a release is loaded and not when it is used.
    """
    tree = profile.check(source)
    used = _used(tree)
    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Filter(
            loop.iter, STEPS_FILTER, [], [], None, None, lineno=loop.iter.lineno, environment=ENVIRONMENT
        )
    try:
        code = ENVIRONMENT.compile(tree, None, _FILENAME)
        program = Template.from_code(ENVIRONMENT, code, ENVIRONMENT.globals)
    except (Exception, RecursionError, MemoryError) as error:
        # Not only TemplateError: deep nesting and odd names come out of Python's own compiler.
        raise PromptProfileError(
            f"this cannot be compiled ({error})", getattr(error, "lineno", None)
        ) from None
    return CompiledPrompt(program, used)


def used_variables(source: str) -> set[str]:
    """Return the names that a prompt takes from outside; raises `PromptProfileError`."""
    return set(_used(profile.check(source)))


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
        _check_names(compiled.used, declared)
        values = copy_values(parameters, declared)
        return _run(compiled.program, values)
    except ParameterError as error:
        raise ParameterError(error.name, error.message, prompt=prompt, version=version) from None
    except TemplateRenderError as error:
        raise TemplateRenderError(
            error.message, prompt=prompt, version=version, line=error.line, parameter=error.parameter
        ) from None


def preview(source: str, parameters: Mapping[str, object], declared: Sequence[Parameter]) -> Preview:
    """Render with the production renderer, telling errors as data instead of raising them."""
    missing = tuple(p.name for p in declared if p.required and parameters.get(p.name) is None)
    try:
        compiled = compile_prompt(source)
    except PromptProfileError as error:
        return Preview(None, missing=missing, problem=Problem(error.message, error.line))
    names = [parameter.name for parameter in declared]
    undeclared = tuple(name for name in compiled.used if name not in names)
    suggestions = {name: near for name in undeclared if (near := suggestion(name, names))}
    unused = tuple(name for name in names if name not in compiled.used)
    text, problem = None, None
    try:
        text = render(compiled, parameters, declared)
    except TemplateRenderError as error:
        problem = Problem(error.message, error.line)
    return Preview(text, missing, unused, undeclared, suggestions, problem)


def _used(tree: nodes.Template) -> dict[str, int]:
    """Return the names from outside with their first lines, in the order of the text."""
    outside = meta.find_undeclared_variables(tree) - ENVIRONMENT.globals.keys()
    lines: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        if name.name in outside and name.ctx == "load":
            lines[name.name] = min(name.lineno, lines.get(name.name, name.lineno))
    return dict(sorted(lines.items(), key=lambda item: (item[1], item[0])))


def _check_names(used: Mapping[str, int], declared: Iterable[Parameter]) -> None:
    names = [parameter.name for parameter in declared]
    unknown = [name for name in used if name not in names]
    if unknown:
        first = unknown[0]
        if first == "loop":
            raise TemplateRenderError(
                "loop is there only between {% for %} and {% endfor %}", line=used[first]
            )
        raise TemplateRenderError(
            f"the interaction has no parameter {listed(unknown)}{closest(first, names)}",
            line=used[first],
            parameter=first,
        )


def _run(program: Template, values: dict[str, Any]) -> str:
    values[STEPS_LEFT] = [MAX_STEPS]
    pieces: list[str] = []
    left = MAX_OUTPUT_BYTES
    try:
        for piece in program.root_render_func(program.new_context(values)):
            left -= len(piece)
            if left < 0:
                raise Refusal(f"the prompt grows beyond {MAX_OUTPUT_BYTES // 1024} KiB")
            pieces.append(piece)
    except (Exception, RecursionError, MemoryError) as error:
        raise TemplateRenderError(_in_words(error), line=_line(program, error.__traceback__)) from None
    text = "".join(pieces)
    if not text or text.isspace():
        raise TemplateRenderError("the prompt came out empty")
    if not text.isascii() and len(text.encode()) > MAX_OUTPUT_BYTES:
        raise TemplateRenderError(f"the prompt grows beyond {MAX_OUTPUT_BYTES // 1024} KiB")
    return text


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
        if traceback.tb_frame.f_code.co_filename == _FILENAME:
            line = program.get_corresponding_lineno(traceback.tb_lineno)
        traceback = traceback.tb_next
    return line
