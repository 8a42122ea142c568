"""Interactions, models, tiers, environments, and the samples of an interaction."""

from collections.abc import Mapping
from typing import Any

from tests.architecture.ways.admin import Admin, Case, Sent, at

NEW_OF = {
    "interactions": {"code": "NEW_ONE", "category": "coaching", "description": "A new one"},
    "models": {
        "code": "NEW_MODEL", "provider": "echo", "provider_model_id": "echo-2", "context_window": "1000",
        "max_output_tokens": "100",
    },
    "tiers": {"code": "gold", "name": "Gold", "rank": "9"},
    "environments": {"code": "canary", "name": "Canary", "position": "5"},
}  # fmt: skip
CHANGES_OF = {
    "interactions": {"description": "Said otherwise"},
    "models": {"max_output_tokens": "90"},
    "tiers": {"name": "Golden"},
    "environments": {"name": "Canaries"},
}


def added(kind: str) -> Case:
    return lambda admin: admin.filled(f"/{kind}/new", f"/{kind}/new", **NEW_OF[kind])


def with_one_more(kind: str, rest: str, changes: Mapping[str, Any]) -> Case:
    def case(admin: Admin) -> Sent:
        admin.do(added(kind)(admin))
        page = f"/{kind}/{NEW_OF[kind]['code']}/{rest}"
        return admin.filled(page, page, **changes)

    return case


def sample(rest: str, **changes: Any) -> Case:
    return at(f"/interactions/KPI_ANALYSIS/samples/{rest}", **changes)
