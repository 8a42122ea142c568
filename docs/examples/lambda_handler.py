"""An AWS Lambda function: it looks up only what a call needs, and keeps that for the calls that follow.

What is made at the top lives as long as the function's container: the first call reads a few items of the table and one
prompt, those after it at most look whether there is a new release. Handler: `lambda_handler.handler`.
"""

import asyncio
import os
from typing import Any

from controlplane.runtime.lookup import LookupSource
from controlplane.runtime.providers import ProviderManager
from controlplane.runtime.services import LLMService
from controlplane.runtime.stores.build import store_from_environment

releases = LookupSource(store_from_environment(os.environ), "production")
providers = ProviderManager.from_environment(os.environ)
llm = LLMService(releases, providers)
loop = asyncio.new_event_loop()  # one for all calls: connections belong to the loop that opened them


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return loop.run_until_complete(answer(event))


async def answer(event: dict[str, Any]) -> dict[str, Any]:
    response = await llm.acting_for(
        tenant_id=event["tenant"], user_id=event["user"]
    ).generate_coaching_response(
        event["conversation"],
        "goals",
        event["message"],
        [],
        interaction_code="COACHING_RESPONSE",
        user_tier="premium",
    )
    return {"text": response.text, "release": response.release, "path": response.path}
