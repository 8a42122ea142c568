"""The contract between a template and its interaction, read off the syntax tree: what cannot work, to the path.

    verdicts(source, declared, samples) -> what is wrong with the text, with line and column

Pure, and run where the text is rendered, in the limited process: it sees the runtime and Jinja, and nothing of the site.
Where it cannot know, it says nothing: a finding is one that a caller of the interaction would run into.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import nodes

from controlplane.prompts.contract.verdict import ERROR, WARNING, Verdict
from controlplane.runtime import profile
from controlplane.runtime.entries import Parameter
from controlplane.runtime.errors import PromptProfileError

__all__ = ["ERROR", "WARNING", "Verdict", "only_required", "verdicts"]

MOST: int = 60


def verdicts(
    source: str, declared: Sequence[Parameter], samples: Sequence[Mapping[str, Any]] = ()
) -> list[Verdict]:
    """Return what is wrong with a text in the order of its lines; the declared examples are samples too."""
    text = profile.normalise(source)
    try:
        tree = profile.parse(text)
    except PromptProfileError as error:
        return [_refused(error)]
    found = [_refused(profile.refusal(complaint, text)) for complaint in profile.complaints(tree)]
    return [*found[:MOST], *_unused(tree, declared)]


def _unused(tree: nodes.Template, declared: Sequence[Parameter]) -> list[Verdict]:
    used = {name.name for name in tree.find_all(nodes.Name)}
    names = [parameter.name for parameter in declared if parameter.name not in used]
    if not names:
        return []
    return [Verdict(severity=WARNING, code="unused", message=f"Declared, but not used: {', '.join(names)}.")]


def only_required(declared: Sequence[Parameter]) -> dict[str, Any]:
    """Return the least that an application may give: the examples without whatever is optional."""
    return {parameter.name: parameter.example for parameter in declared if parameter.required}


def _refused(error: PromptProfileError) -> Verdict:
    return Verdict(
        severity=ERROR,
        code="profile",
        message=error.message,
        line=error.line,
        column=error.column,
        length=error.length,
    )
