"""The contract between a template and its interaction, read off the syntax tree: what cannot work, to the path.

    verdicts(source, declared, samples) -> what is wrong with the text, with line and column

Pure, and run where the text is rendered, in the limited process: it sees the runtime and Jinja, and nothing of the site.
Where it cannot know, it says nothing: a finding is one that a caller of the interaction would run into.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import nodes

from controlplane.prompts.contract.declared import values_of
from controlplane.prompts.contract.findings import MOST, Findings
from controlplane.prompts.contract.verdict import ERROR, WARNING, Verdict, summary
from controlplane.prompts.contract.walking import walk
from controlplane.runtime import profile
from controlplane.runtime.entries import Parameter
from controlplane.runtime.errors import PromptProfileError
from controlplane.runtime.parameters import misfits

__all__ = ["ERROR", "WARNING", "Verdict", "summary", "verdicts"]


def verdicts(
    source: str, declared: Sequence[Parameter], samples: Sequence[Mapping[str, Any]] = ()
) -> list[Verdict]:
    """Return what is wrong with a text in the order of its lines; the declared examples are samples too."""
    text = profile.normalise(source)
    try:
        tree = profile.parse(text)
    except PromptProfileError as error:
        return [_refused(error)]
    complaints = list(profile.complaints(tree))[:MOST]
    found = [_refused(profile.refusal(complaint, text)) for complaint in complaints]
    if not any(complaint.ends_here for complaint in complaints):
        findings = Findings(text)
        walk(tree, values_of(declared, samples), findings)
        refused = {(each.line, each.column) for each in found}
        found += [each for each in findings.verdicts if (each.line, each.column) not in refused]
        found.sort(key=lambda each: (each.line or 0, each.column or 0))
    return [*found, *_unused(tree, declared), *_misfits(declared, samples)][:MOST]


def _unused(tree: nodes.Template, declared: Sequence[Parameter]) -> list[Verdict]:
    used = {name.name for name in tree.find_all(nodes.Name)}
    names = [parameter.name for parameter in declared if parameter.name not in used]
    if not names:
        return []
    return [Verdict(severity=WARNING, code="unused", message=f"declared, but not used: {', '.join(names)}")]


def _misfits(declared: Sequence[Parameter], samples: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """Return where the values given differ from what their objects and lists are declared to hold."""
    found: dict[str, None] = {}
    for parameter in declared:
        for value in (sample[parameter.name] for sample in samples if sample.get(parameter.name) is not None):
            for path, problem in misfits(parameter, value):
                if path:  # the whole value is of another type: the render says so
                    found[f"the value of {parameter.name} is not as declared: {path}: {problem}"] = None
    return [Verdict(severity=WARNING, code="misfit", message=message) for message in found]


def _refused(error: PromptProfileError) -> Verdict:
    return Verdict(
        severity=ERROR,
        code="profile",
        message=error.message,
        line=error.line,
        column=error.column,
        length=error.length,
    )
