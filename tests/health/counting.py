"""Processes that count calls, and the heartbeats they would write."""

import datetime as dt
import json

from controlplane.runtime.metrics import Metrics

BEGUN = dt.datetime(2026, 11, 24, 9, 0, tzinfo=dt.UTC)


class Counting:
    """A process since a moment: `beat` is what it would tell at another."""

    def __init__(self, name: str = "host:1:a", *, started: dt.datetime = BEGUN) -> None:
        self.name = name
        self.started = started
        self.metrics = Metrics("production")
        self.left_out = 0

    def answered(
        self,
        count: int = 1,
        *,
        version: int | None = 1,
        tier: str | None = "premium",
        row: str | None = "premium/*",
        interaction: str = "COACHING_RESPONSE",
        seconds: float = 1.0,
        model: str = "LARGE",
        tokens: int = 100,
    ) -> None:
        for _ in range(count):
            self.metrics.answered(
                interaction,
                tier,
                model,
                version,
                path="configuration",
                seconds=seconds,
                input_tokens=10,
                output_tokens=tokens,
                cost=0.5,
                configuration=row,
            )

    def failed(self, count: int = 1, kind: str = "timeout", *, version: int = 1) -> None:
        for _ in range(count):
            self.metrics.error(
                "COACHING_RESPONSE",
                kind,
                tier="premium",
                model="LARGE",
                variant=version,
                configuration="premium/*",
            )

    def stepped_down(self, step: str, *, version: int = 1) -> None:
        self.metrics.fallback(
            "COACHING_RESPONSE",
            step,
            "because",
            tier="premium",
            model="LARGE",
            variant=version,
            configuration="premium/*",
        )

    def beat(self, at: dt.datetime) -> bytes:
        told = {
            "started": self.started.isoformat(),
            "written": at.isoformat(),
            "metrics": self.metrics.totals(),
            "variants_left_out": self.left_out,
        }
        return json.dumps(told).encode()
