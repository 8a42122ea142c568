"""A conversation's history in the shapes that calls need: one text or a list for a prompt, messages for a model."""

from collections.abc import Iterable, Mapping
from typing import Literal

from controlplane.runtime.providers.base import Message

_BEGINNING = "(The conversation begins here.)"
_SPEAKERS = {"assistant": "Coach", "coach": "Coach"}


def as_text(history: Iterable[Mapping[str, object]]) -> str:
    """What has been said, oldest first, a line for each turn: `Coach: …`, `User: …`."""
    turns = [f"{_SPEAKERS.get(role, 'User')}: {said}" for role, said in _turns(history)]
    return "\n".join(turns) or _BEGINNING


def as_messages(history: Iterable[Mapping[str, object]], user_message: str) -> tuple[Message, ...]:
    """The turns as messages, beginning with the user's and never two of one side in a row: providers insist on both."""
    messages: list[Message] = []
    for role, said in [*_turns(history), ("user", user_message)]:
        side: Literal["user", "assistant"] = "assistant" if role in _SPEAKERS else "user"
        if messages and messages[-1].role == side:
            messages[-1] = Message(side, f"{messages[-1].content}\n\n{said}")
        elif messages or side == "user":
            messages.append(Message(side, said))
    return tuple(messages)


def as_list(history: Iterable[Mapping[str, object]]) -> list[dict[str, str]]:
    """The turns as prompts declare them: each with `role` and `text`."""
    return [{"role": role, "text": said} for role, said in _turns(history)]


def _turns(history: Iterable[Mapping[str, object]]) -> list[tuple[str, str]]:
    turns = []
    for turn in history:
        said = turn.get("content", turn.get("text"))
        if not isinstance(said, str):
            raise TypeError(
                f'a turn of the history needs "role" and "content" (or "text"), both strings: {turn!r}'
            )
        if said.strip():
            turns.append((str(turn.get("role", "user")).lower(), said))
    return turns
