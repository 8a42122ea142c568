"""What the editor shows: the text, the values for the preview, where the work came from, and what it ran into."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from controlplane.drafts import Note
from controlplane.prompts import services, textdiff, values
from controlplane.prompts.merge import merged
from controlplane.prompts.models import Prompt, PromptDraft, PromptVersion
from controlplane.prompts.preview import Panel, Previewing, panel
from controlplane.prompts.render_pool import RenderBusy
from controlplane.prompts.textdiff import Row
from controlplane.prompts.values import ValueField
from controlplane.runtime.entries import Parameter
from controlplane.runtime.profile import normalise
from controlplane.runtime.renderer import Preview, Problem


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

    @property
    def fields(self) -> list[ValueField]:
        """The values' form."""
        return values.fields(self.declared)


def typed_values(form: Mapping[str, str]) -> dict[str, str]:
    """Return the values' part of what was sent."""
    return {name: text for name, text in form.items() if name.startswith(values.PREFIX)}


def safe_panel(
    pool: Previewing, body: str, typed: Mapping[str, str], declared: tuple[Parameter, ...]
) -> Panel:
    """Return the preview; when the workers are busy the page comes all the same, and says so in its place."""
    try:
        return panel(pool, body, typed, declared)
    except RenderBusy as busy:
        return Panel(Preview(None, problem=Problem(str(busy))), {}, declared)


def starting_values(
    prompt: Prompt, body: str, draft: PromptDraft | None, declared: tuple[Parameter, ...]
) -> dict[str, Any]:
    """Return what the form holds when the editor is opened: the draft if there is one, else what is saved."""
    start = {"body": body, "base_version": prompt.versions[0].number, **values.examples(declared)}
    if draft is not None:
        kept = {name: text for name, text in draft.parameters.items() if name in start}
        start |= {"body": draft.body, "base_version": draft.base_version, **kept}
    return start


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
