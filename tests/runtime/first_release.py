"""The first data as releases, and what must reach a provider by it: worked out here from the files, by plain Jinja."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from controlplane.runtime import Client, snapshot
from tests.runtime.coaching import Published

FILES = Path(__file__).parents[2] / "controlplane" / "first_data"
Documents = dict[str, dict[str, Any]]

_JINJA = jinja2.Environment(
    undefined=jinja2.StrictUndefined,
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@cache
def read(name: str) -> Any:
    return json.loads((FILES / f"{name}.json").read_text("utf-8"))[name]


TIERS = [tier["code"] for tier in json.loads((FILES / "interactions.json").read_text("utf-8"))["tiers"]]
INTERACTIONS: list[dict[str, Any]] = read("interactions")
MODELS = {model["code"]: model for model in read("models")}


def prompt_file(interaction: str) -> str:
    return (FILES / "prompts" / f"{interaction.lower()}.jinja").read_text("utf-8")


def examples(interaction: str) -> dict[str, Any]:
    """A value for each parameter, as declared."""
    (row,) = [row for row in INTERACTIONS if row["code"] == interaction]
    return {parameter["name"]: parameter["example"] for parameter in row["parameters"]}


def row_of(interaction: str, tier: str | None) -> dict[str, Any]:
    """The configuration that counts, by the file."""
    rows = {(row["interaction"], row["tier"]): row for row in read("configurations")}
    found: dict[str, Any] = rows.get((interaction, tier)) or rows[interaction, None]
    return found


def rendered(body: str, values: dict[str, Any]) -> str:
    return _JINJA.from_string(body).render(values)


def serving(documents: Documents, bodies: dict[str, str], *, release: int = 1) -> Client:
    """A real client of a real store that holds this release."""
    published = Published()
    published.publish(snapshot.build(documents, bodies), release)
    return published.client
