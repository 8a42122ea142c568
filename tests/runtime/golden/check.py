"""What docs/bucketing.md says, in plain Python of any version: checks vectors.json, and prints what comes out otherwise.

It imports nothing but the standard library, and nothing of ours.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
MASK = 2**64 - 1


def turn(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & MASK


def mix(value: int, lane: int) -> int:
    return turn((value + lane * P2) & MASK, 31) * P1 & MASK


def xxh64(data: bytes) -> int:
    words = [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data) // 8 * 8, 8)]
    whole = len(words) // 4 * 4
    hashed = P5
    if whole:
        lanes = [(P1 + P2) & MASK, P2, 0, -P1 & MASK]
        for place in range(whole):
            lanes[place % 4] = mix(lanes[place % 4], words[place])
        hashed = sum(turn(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18))) & MASK  # noqa: B905 - any version
        for lane in lanes:
            hashed = ((hashed ^ mix(0, lane)) * P1 + P4) & MASK
    hashed = (hashed + len(data)) & MASK
    for word in words[whole:]:
        hashed = (turn(hashed ^ mix(0, word), 27) * P1 + P4) & MASK
    rest = data[len(words) * 8 :]
    if len(rest) >= 4:
        hashed = (turn(hashed ^ int.from_bytes(rest[:4], "little") * P1 & MASK, 23) * P2 + P3) & MASK
        rest = rest[4:]
    for byte in rest:
        hashed = turn(hashed ^ byte * P5 & MASK, 11) * P1 & MASK
    hashed = (hashed ^ hashed >> 33) * P2 & MASK
    hashed = (hashed ^ hashed >> 29) * P3 & MASK
    return hashed ^ hashed >> 32


def check(groups: list[dict[str, Any]]) -> int:
    count = 0
    for group in groups:
        for unit, bucket, version in group["vectors"]:
            data = "\0".join([group["algorithm"], group["salt"], group["unit_kind"], unit]).encode()
            first = group["algorithm"] == "v1"
            hashed = int.from_bytes(hashlib.sha256(data).digest()[:8], "big") if first else xxh64(data)
            found, chosen = None, group["variants"][0]
            if unit:
                found = hashed * 100_000 >> 64
                (chosen,) = [
                    each
                    for each in group["variants"]
                    if any(min(pair) <= found < max(pair) for pair in each["ranges"])
                ]
            if (found, chosen["version"]) != (bucket, version):
                print(json.dumps([group["salt"], unit, found, chosen["version"]]))
            count += 1
    return count


print(f"checked {check(json.loads(Path(sys.argv[1]).read_text()))}")
