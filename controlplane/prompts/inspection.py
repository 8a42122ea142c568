"""What the rules of a release ask about texts, answered by the render workers: no text is parsed where pages are served.

    validate_raws(entries, texts, inspect=inspector(texts))

Parsing one text may take a second by itself. What was found of a text is remembered under its hash, since texts never
change; so the first publish of a process looks at all of them, a later one at what is new.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

from controlplane.prompts.render_pool import RenderPool, shared
from controlplane.runtime.canonical import digest
from controlplane.runtime.profile import MAX_SOURCE_BYTES
from controlplane.runtime.renderer import Problem
from controlplane.runtime.validate import Body, Inspect, inspect_body

# All texts of one job share one second of a processor; an ordinary one takes some milliseconds of it.
_AT_A_TIME: Final = 40
_MOST_SLOW: Final = 3  # so many jobs in which a text took too long
_MOST_REMEMBERED: Final = 20_000
_UNSEEN: Final = Body((), "this was not looked at, because other texts took all the time there is")

_known: OrderedDict[str, Body] = OrderedDict()
_change = threading.Lock()


def inspector(bodies: Mapping[str, str], *, pool: RenderPool | None = None) -> Inspect:
    """Return what says of each of these texts which names it uses and what is wrong with it; it may raise `RenderBusy`.

    Where text after text takes all the time there is, those that are not known yet are refused unseen: a release with such
    a text cannot go live anyway, and a thousand of them must not hold a worker for a thousand seconds.
    """
    unseen: dict[str, Body] = {}

    def inspect(_sha256: str, body: str) -> Body:
        if not _is_readable(body):
            return inspect_body("", body)  # which says so before it parses anything
        sha256 = digest(body.encode())  # of a stranger's bundle, the name need not be
        if sha256 not in _known and sha256 not in unseen:
            unseen.update(_look(pool or shared(), {sha256: body}, bodies.values()))
        return _known.get(sha256) or unseen.get(sha256, _UNSEEN)

    return inspect


def inspect_all(bodies: Iterable[str]) -> list[Body]:
    """Return the names that each text uses and what is wrong with it; may raise `RenderBusy`."""
    texts = dict(enumerate(bodies))
    inspect = inspector({str(number): body for number, body in texts.items()})
    return [inspect("", body) for body in texts.values()]


def _is_readable(body: str) -> bool:
    try:
        return len(body.encode()) <= MAX_SOURCE_BYTES
    except UnicodeEncodeError:
        return False


def _look(pool: RenderPool, first: dict[str, str], others: Iterable[str]) -> dict[str, Body]:
    """Look at what is not known of these texts, some at a time; return what is said of those that took too long."""
    hashed = {digest(body.encode()): body for body in others if _is_readable(body)}
    waiting = {sha256: body for sha256, body in (first | hashed).items() if sha256 not in _known}
    refused: dict[str, Body] = {}
    slow = 0
    while waiting and slow < _MOST_SLOW:
        batch = dict(list(waiting.items())[:_AT_A_TIME])
        answers = pool.inspect(list(batch.values()))
        if isinstance(answers, Problem):
            answers = [answers] * len(batch)
        for sha256, answer in zip(batch, answers, strict=True):
            del waiting[sha256]
            if isinstance(answer, Problem):
                refused[sha256] = Body((), answer.message)
            else:
                _remember(sha256, answer)
        slow += not refused.keys().isdisjoint(batch)
    return refused | dict.fromkeys(waiting, _UNSEEN)


def _remember(sha256: str, found: Body) -> None:
    with _change:
        _known[sha256] = found
        if len(_known) > _MOST_REMEMBERED:
            _known.popitem(last=False)
