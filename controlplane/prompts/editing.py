"""What the editor shows: the text, the values for the preview, where the work came from, and what it ran into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from controlplane.drafts import Note
from controlplane.prompts import services, textdiff
from controlplane.prompts.merge import merged
from controlplane.prompts.models import Prompt, PromptDraft, PromptVersion
from controlplane.prompts.preview import Panel, Previewing, panel
from controlplane.prompts.render_pool import RenderBusy
from controlplane.prompts.textdiff import Row
from controlplane.prompts.trying import Trial
from controlplane.runtime.entries import Parameter
from controlplane.runtime.profile import normalise
from controlplane.runtime.renderer import Preview, Problem
from controlplane.samples import values
from controlplane.samples.models import Sample
from controlplane.samples.values import ValueField

T = TypeVar("T")


@dataclass(frozen=True)
class Collision:
    """Somebody saved a version while this text was being written. `text` is what the editor goes on with."""

    theirs: PromptVersion
    base: int
    text: str
    mine: str
    is_merged: bool
    their_changes: list[Row]
    my_changes: list[Row]


@dataclass(frozen=True)
class Editor:
    """The editor of one prompt, or of one that is not there yet."""

    interaction: str
    declared: tuple[Parameter, ...]
    panel: Panel
    prompt: Prompt | None = None
    saved: PromptVersion | None = None
    note: Note | None = None  # of the person's draft
    collision: Collision | None = None
    is_unsaved: bool = False  # whether the form holds what was sent and is saved nowhere
    samples: Sequence[Sample] = ()
    trial: Trial | None = None  # of the text with all of them, when that was asked for

    @property
    def fields(self) -> list[ValueField]:
        """The values' form."""
        return values.fields(self.declared)

    @property
    def sample_choices(self) -> list[tuple[str, str]]:
        """The sample sets to choose from; those that must pass are marked."""
        named = [(each.slug, each.name + (" (must pass)" if each.must_pass else "")) for each in self.samples]
        return [("", "As typed below"), *named]


def typed_values(form: Mapping[str, str]) -> dict[str, str]:
    """Return the values' part of what was sent."""
    return values.of_form(form)


def safe_panel(
    pool: Previewing,
    body: str,
    typed: Mapping[str, str],
    declared: tuple[Parameter, ...],
    *,
    samples: Sequence[Sample] = (),
    spaces: bool = False,
) -> Panel:
    """Return the preview; when the workers are busy the page comes all the same, and says so in its place."""
    known = [sample.values for sample in samples]
    try:
        return panel(pool, body, typed, declared, samples=known, spaces=spaces)
    except RenderBusy as busy:
        return Panel(Preview(None, problem=Problem(str(busy))), {}, declared)


def starting_values(
    prompt: Prompt, body: str, draft: PromptDraft | None, sample: Sample, declared: tuple[Parameter, ...]
) -> dict[str, Any]:
    """Return what the form holds when the editor is opened: the draft if there is one, else what is saved."""
    start = {"body": body, "base_version": prompt.versions[0].number}
    if draft is not None:
        return start | {"body": draft.body, "base_version": draft.base_version, **draft.parameters}
    return start | sample_values(sample, declared)


def sample_values(sample: Sample, declared: Sequence[Parameter]) -> dict[str, str]:
    """Return the values' part of the form when it holds a sample set."""
    return {"sample": sample.slug, **values.typed(declared, sample.values)}


def without_values(form: Mapping[str, T]) -> dict[str, T]:
    """Return the rest of the form."""
    return {name: sent for name, sent in form.items() if not name.startswith(values.PREFIX)}


def skeleton(declared: tuple[Parameter, ...]) -> str:
    """Return a first text that uses every declared parameter rightly, to be written over."""
    parts = ["You are …\n"]
    for parameter in declared:
        line = _skeleton_line(parameter)
        parts.append(line if parameter.required else f"{{% if {parameter.name} %}}\n{line}\n{{% endif %}}")
    return "\n".join(parts) + "\n"


def _skeleton_line(parameter: Parameter) -> str:
    name, label = parameter.name, parameter.name.replace("_", " ").capitalize()
    if parameter.type == "list":
        item = "{{ item|tojson }}" if values.fields([parameter])[0].kind == "json" else "{{ item }}"
        return f"{label}:\n{{% for item in {name} %}}\n- {item}\n{{% endfor %}}"
    shown = f"{{{{ {name}|tojson }}}}" if parameter.type == "object" else f"{{{{ {name} }}}}"
    return f"{label}: {shown}"


def collision(session: Session, prompt: Prompt, *, base: int, mine: str) -> Collision:
    """Return what to show to the one who came second: both changes, and both in one text where that is possible."""
    theirs = services.get_version(session, prompt.code, prompt.versions[0].number)
    mine = normalise(mine)
    before = next((version.body for version in prompt.versions if version.number == base), theirs.body)
    together = merged(before, mine, theirs.body)
    return Collision(
        theirs=theirs,
        base=base,
        text=mine if together is None else together,
        mine=mine,
        is_merged=together is not None,
        their_changes=textdiff.lines(before, theirs.body),
        my_changes=textdiff.lines(before, mine),
    )
