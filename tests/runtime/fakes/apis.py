"""The two APIs that are spoken through an SDK, and what a fake of each answers."""

from collections.abc import Callable
from dataclasses import dataclass

from controlplane.runtime.providers.anthropic import AnthropicProvider
from controlplane.runtime.providers.openai import OpenAIProvider
from tests.runtime.fakes import events
from tests.runtime.fakes.server import Reply


@dataclass(frozen=True)
class Api:
    make: Callable[[str], AnthropicProvider | OpenAIProvider]
    answer: dict[str, object]
    texts: Callable[..., tuple[bytes, ...]]
    end: Callable[..., tuple[bytes, ...]]

    def reply(self, *, streaming: bool) -> Reply:
        if not streaming:
            return Reply(body=self.answer)
        return events.streamed(*self.texts("Gut, ", "danke."), *self.end())


APIS = {
    "openai": Api(
        lambda url: OpenAIProvider(api_key="k", base_url=f"{url}/v1"),
        events.OPENAI_ANSWER,
        events.openai_texts,
        events.openai_end,
    ),
    "anthropic": Api(
        lambda url: AnthropicProvider(api_key="k", base_url=url),
        events.ANTHROPIC_ANSWER,
        events.anthropic_texts,
        events.anthropic_end,
    ),
}
