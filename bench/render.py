"""From a request to the text of a 60-line prompt: resolve, look up the compiled prompt, check the values, render.

Floor: the same prompt as a bare compiled Jinja template, rendered with the same values, without a sandbox and without a
look at what it is given; both make the same text, which is checked. Limit: at most 1.4 × the floor.

Compiling is measured too, against a render: so much would be paid by a call that met a prompt not compiled before.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from bench.effort import Effort
from bench.figures import Figure, Limit
from bench.releases import ENVIRONMENT, INTERACTION, configurations, prompt, registry
from bench.timing import Pair, compare
from controlplane.runtime import Request, Snapshot, canonical, compile_prompt, render, resolve, snapshot
from controlplane.runtime.acceptance import compiled_prompt
from controlplane.runtime.entries import Parameter, interaction_key, prompt_key

PROMPT = (Path(__file__).parent / "prompt.jinja").read_text("utf-8")
VALUES: dict[str, Any] = {
    "business": {"name": "Harbour Joinery", "people": 14, "city": "Bristol"},
    "owner": "Ada Byron",
    "topic": "goals",
    "phase": "exploration",
    "goals": [
        {"title": "A second workshop", "due": "June", "progress": 30},
        {"title": "Two apprentices", "due": "September", "progress": 50},
        {"title": "Quotes within a day", "due": "December", "progress": 80},
    ],
    "history": [
        {"speaker": speaker, "text": f"{text} " * 8}
        for speaker, text in [
            ("Coach", "What would a good year look like to you?"),
            ("Ada", "Less firefighting. I want to leave at five and know that the work is right."),
            ("Coach", "When did you last leave at five?"),
            ("Ada", "In March, when Tom was still with us and ran the second bench."),
            ("Coach", "What did Tom do that nobody does now?"),
            ("Ada", "He said no to customers. I never do."),
        ]
    ],
    "user_message": "I think I am the bottleneck, and I do not know which part of it to let go of first.",
}
_TYPES: dict[type, str] = {str: "text", dict: "object", list: "list"}
DECLARED = tuple(
    Parameter(name=name, type=_TYPES[type(value)], required=name != "phase") for name, value in VALUES.items()
)
_REQUEST = Request(INTERACTION, unit="user-000042")
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_LIMIT = Limit(1.4)


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    live = _release()
    program = compiled_prompt(live, canonical.digest(PROMPT.encode()))
    bare = _bare()

    def least(values: dict[str, Any]) -> str:
        return bare.render(values)

    def whole(values: dict[str, Any]) -> str:
        return resolve_and_render(live, values)

    interaction = live.interaction(INTERACTION)
    declared = interaction.parameters if interaction else ()

    def alone(values: dict[str, Any]) -> str:
        return render(program, values, declared)

    if not least(VALUES) == whole(VALUES) == alone(VALUES):
        raise AssertionError("the two render different texts, so their times say nothing")
    calls = [VALUES] * max(2, effort.calls // 20)
    lines = PROMPT.count("\n")
    return [
        _figure(
            f"resolve and render {lines} lines (floor: bare Jinja)",
            compare(whole, least, calls, rounds=effort.rounds),
            limit=_LIMIT,
        ),
        _figure("render alone", compare(alone, least, calls, rounds=effort.rounds)),
        _figure(
            "compile (floor: our render; never while a request waits)",
            compare(lambda _: compile_prompt(PROMPT), alone, calls[:4], rounds=effort.loads),
        ),
    ]


def resolve_and_render(live: Snapshot, values: dict[str, Any]) -> str:
    """Return the text for a request, by the steps that the services take."""
    found = resolve(live, _REQUEST, now=_NOW)
    interaction = live.interaction(INTERACTION)
    return render(
        compiled_prompt(live, found.prompt.sha256),
        values,
        interaction.parameters if interaction else (),
        prompt=found.prompt.code,
        version=found.prompt.version,
    )


def _release() -> Snapshot:
    parameters = [
        {"name": name, "type": _TYPES[type(value)], "required": name != "phase"}
        for name, value in VALUES.items()
    ]
    documents = registry() | configurations(1)
    documents[interaction_key(INTERACTION)]["parameters"] = parameters
    code = INTERACTION.lower()
    documents = {key: item for key, item in documents.items() if not key.startswith("prompt/")}
    documents[prompt_key(code)] = prompt(INTERACTION, PROMPT)
    data = snapshot.build(documents, {canonical.digest(PROMPT.encode()): PROMPT})
    return Snapshot.load(data, release=1, environment=ENVIRONMENT)


def _bare() -> jinja2.Template:
    # Prompts are plain text for a model: escaping would change them.
    plain = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False
    )
    return plain.from_string(PROMPT)


def _figure(name: str, pair: Pair, *, limit: Limit | None = None) -> Figure:
    return Figure(name, pair.subject / 1e3, "µs", pair.floor / 1e3, pair.ratio, limit)
