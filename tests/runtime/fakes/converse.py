"""Amazon Bedrock's Converse: a whole answer, and the frames of a stream.

A frame is: total length, length of the headers, CRC of these two, headers, payload, CRC of everything before
(`application/vnd.amazon.eventstream`).
"""

import json
import struct
from zlib import crc32

from tests.runtime.fakes.server import Reply

ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Gut, "}, {"text": "danke."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 21, "outputTokens": 4, "totalTokens": 25},
    "metrics": {"latencyMs": 12},
}


def frame(event: str, payload: object, *, message_type: str = "event") -> bytes:
    kind = ":event-type" if message_type == "event" else ":exception-type"
    named = {":message-type": message_type, kind: event, ":content-type": "application/json"}
    headers = b"".join(_header(name, value) for name, value in named.items())
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    prelude += struct.pack(">I", crc32(prelude))
    message = prelude + headers + body
    return message + struct.pack(">I", crc32(message))


def _header(name: str, value: str) -> bytes:
    text = 7
    return (
        struct.pack(">B", len(name))
        + name.encode()
        + struct.pack(">BH", text, len(value.encode()))
        + value.encode()
    )


def texts(*words: str) -> tuple[bytes, ...]:
    """The beginning of a stream, with these pieces of text."""
    pieces = [frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": each}}) for each in words]
    return (frame("messageStart", {"role": "assistant"}), *pieces)


def end(reason: str = "end_turn") -> tuple[bytes, ...]:
    return (
        frame("contentBlockStop", {"contentBlockIndex": 0}),
        frame("messageStop", {"stopReason": reason}),
        frame("metadata", {"usage": ANSWER["usage"], "metrics": {"latencyMs": 12}}),
    )


def failed(exception: str, message: str) -> bytes:
    return frame(exception, {"message": message}, message_type="exception")


def streamed(*chunks: bytes, then: str = "end") -> Reply:
    return Reply(
        chunks=chunks,
        headers={"Content-Type": "application/vnd.amazon.eventstream"},
        then=then,  # type: ignore[arg-type]
    )


def refused(status: int, error: str, message: str) -> Reply:
    return Reply(status=status, body={"message": message}, headers={"x-amzn-ErrorType": error})
