"""The page that describes the endpoints, made here from the OpenAPI document: it loads nothing from anybody else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import jinja2
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

router = APIRouter(include_in_schema=False)

_HERE: Final = Path(__file__).parent
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REFERENCE: Final = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Field:
    """A line of a table: a query parameter, or a field of a body."""

    name: str
    type: str
    required: bool
    rule: str
    """Bounds and default, in words."""
    description: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Field]
    body: list[Field]
    answer: list[Field]


@router.get("/docs", response_class=HTMLResponse)
def docs(request: Request) -> HTMLResponse:
    """The page."""
    document = request.app.openapi()
    groups: dict[str, list[Endpoint]] = {}
    for group, endpoint in endpoints_of(document):
        groups.setdefault(group, []).append(endpoint)
    html = _template().render(info=document["info"], groups=groups)
    return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs.css")
def stylesheet() -> Response:
    """How the page looks."""
    return Response((_HERE / "docs.css").read_bytes(), media_type="text/css")


def endpoints_of(document: Mapping[str, Any]) -> Iterator[tuple[str, Endpoint]]:
    """The endpoints of an OpenAPI document, each with the name of its group."""
    schemas = document.get("components", {}).get("schemas", {})
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {})
            answer = operation["responses"].get("200", {}).get("content", {})
            yield (
                operation.get("tags", ["Others"])[0],
                Endpoint(
                    anchor=operation["operationId"],
                    method=method.upper(),
                    path=path,
                    summary=operation.get("summary", ""),
                    description=operation.get("description", ""),
                    parameters=[_parameter(one, schemas) for one in operation.get("parameters", [])],
                    body=_fields(body, schemas),
                    answer=_fields(answer, schemas),
                ),
            )


def _parameter(parameter: Mapping[str, Any], schemas: Mapping[str, Any]) -> Field:
    schema = parameter["schema"]
    return Field(
        name=parameter["name"],
        type=_type(schema, schemas),
        required=parameter.get("required", False),
        rule=_rule(schema),
        description=parameter.get("description", ""),
    )


def _fields(content: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[Field]:
    schema = content.get("application/json", {}).get("schema", {})
    found = _resolved(schema, schemas)
    required = found.get("required", [])
    fields = [
        Field(name, _type(one, schemas), name in required, _rule(one), _resolved(one, schemas)["description"])
        for name, one in found.get("properties", {}).items()
    ]
    return sorted(fields, key=lambda field: not field.required)


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").removeprefix(_REFERENCE)
    found = schemas.get(name, {}) if name else schema
    return {"description": "", **found}


def _type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """A schema's type in a few words: `string`, `list of Turn`, `number or null`."""
    if "$ref" in schema:
        return str(schema["$ref"].removeprefix(_REFERENCE))
    if choices := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(_type(choice, schemas) for choice in choices))
    if values := schema.get("enum"):
        return " or ".join(f'"{value}"' for value in values)
    if schema.get("type") == "array":
        inner = schema.get("items") or {}
        return f"list of {_type(inner, schemas)}" if inner else "list"
    return str(schema.get("type", "any"))


_RULES: Final = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "maxItems": "at most {}",
    "maxProperties": "at most {}",
}


def _rule(schema: Mapping[str, Any]) -> str:
    choices = [schema, *schema.get("anyOf", [])]
    rules = [
        words.format(f"{choice[name]:,}")
        for choice in choices
        for name, words in _RULES.items()
        if name in choice and choice[name] != 1
    ]
    if schema.get("default") not in (None, [], {}, ""):
        rules.append(f"default {str(schema['default']).lower()}")
    return ", ".join(rules)


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("docs.html")
