"""What the APIs of OpenAI and Anthropic send, whole and as server-sent events."""

import json
from typing import Any

from tests.runtime.fakes.server import Reply

OPENAI_ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "vendor.model-1-2026",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Gut, danke."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 21, "completion_tokens": 4, "total_tokens": 25},
}
ANTHROPIC_ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "vendor.model-1",
    "content": [{"type": "text", "text": "Gut, "}, {"type": "text", "text": "danke."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 21, "output_tokens": 4},
}


def streamed(*chunks: bytes, then: str = "end") -> Reply:
    return Reply(chunks=chunks, headers={"Content-Type": "text/event-stream"}, then=then)  # type: ignore[arg-type]


def event(data: object, name: str | None = None) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def openai_texts(*words: str) -> tuple[bytes, ...]:
    return tuple(_chunk({"content": word}) for word in words)


def openai_end(reason: str | None = "stop") -> tuple[bytes, ...]:
    usage = {"choices": [], "usage": OPENAI_ANSWER["usage"], "object": "chat.completion.chunk"}
    return (_chunk({}, reason), event(usage), event("[DONE]"))


def _chunk(delta: object, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return event({"id": "1", "object": "chat.completion.chunk", "choices": [choice]})


def anthropic_texts(*words: str) -> tuple[bytes, ...]:
    message = {**ANTHROPIC_ANSWER, "content": [], "stop_reason": None}
    start = {"type": "message_start", "message": message}
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
        for word in words
    ]
    return (event(start, "message_start"), *(event(delta, "content_block_delta") for delta in deltas))


def anthropic_end(reason: str = "end_turn") -> tuple[bytes, ...]:
    delta = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 4}}
    return (event(delta, "message_delta"), event({"type": "message_stop"}, "message_stop"))


def openai_refused(
    status: int, *, kind: str, code: str | None = None, message: str = "no", **headers: str
) -> Reply:
    body = {"error": {"message": message, "type": kind, "code": code, "param": None}}
    return Reply(status=status, body=body, headers={n.replace("_", "-"): v for n, v in headers.items()})


def anthropic_refused(status: int, *, kind: str, message: str = "no", **headers: str) -> Reply:
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return Reply(status=status, body=body, headers={n.replace("_", "-"): v for n, v in headers.items()})
