"""Which versions of a prompt have rendered in this process: what is left when the live one cannot be rendered."""

from collections.abc import Sequence
from typing import NamedTuple

from controlplane.runtime.entries import Parameter
from controlplane.runtime.renderer import CompiledPrompt
from controlplane.runtime.resolver import ResolvedPrompt


class KeptPrompt(NamedTuple):
    """A version that rendered, with the declaration it rendered by.

    Both are kept: the usual reason for a live version to fail is a new parameter that the application does not give yet,
    and by the new declaration every older version would fail with it.
    """

    prompt: ResolvedPrompt
    source: str
    program: CompiledPrompt
    declared: Sequence[Parameter]

    def is_of(self, sha256: str, declared: Sequence[Parameter]) -> bool:
        """Whether it is this text by this declaration."""
        return self.prompt.sha256 == sha256 and (self.declared is declared or self.declared == declared)


class TemplateHistory:
    """The two versions of each prompt that rendered last; safe to share between threads.

    Its size is bounded by the prompts of the releases that were served: codes come from there, never from a request.
    """

    def __init__(self) -> None:
        self._latest: dict[str, KeptPrompt] = {}
        self._earlier: dict[str, KeptPrompt] = {}

    def keep(
        self, prompt: ResolvedPrompt, source: str, program: CompiledPrompt, declared: Sequence[Parameter]
    ) -> None:
        """Remember that this version rendered."""
        latest = self._latest.get(prompt.code)
        if latest is not None and latest.is_of(prompt.sha256, declared):
            return
        if latest is not None:
            self._earlier[prompt.code] = latest
        self._latest[prompt.code] = KeptPrompt(prompt, source, program, declared)

    def good(self, code: str) -> list[KeptPrompt]:
        """The versions that rendered, the latest first."""
        return [kept for kind in (self._latest, self._earlier) if (kept := kind.get(code)) is not None]
