"""A script that runs for a moment: one look at the store, one answer.

CONTROLPLANE_STORE_DIRECTORY=… python script.py "Are our values real?"
"""

import asyncio
import os
import sys

from controlplane.runtime import Client
from controlplane.runtime.providers import ProviderManager
from controlplane.runtime.services import LLMService
from controlplane.runtime.stores.build import store_from_environment


async def main(message: str) -> None:
    client = Client(store_from_environment(os.environ), "production")
    client.refresh()  # once; a program that stays calls start() instead
    providers = ProviderManager.from_environment(os.environ)
    service = LLMService(client, providers, tenant_id="acme", user_id="u-17")
    answer = await service.generate_coaching_response(
        "c-1", "core_values", message, [], interaction_code="COACHING_RESPONSE", user_tier="premium"
    )
    print(answer.text)
    print(f"{answer.model_code}, release {answer.release}: {answer.why}", file=sys.stderr)
    await providers.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
