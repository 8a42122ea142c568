"""The families of `docs`' hostile texts, a few of each, and the signs by which a leak shows.

`tests.runtime.hostile` has all that the profile and the renderer are held to, one by one. Here stand those that every place
where an author's text is worked on has to bear (`test_doors.py`), and that an unguarded Jinja does not (`test_control.py`).
"""

from typing import Final

from tests.runtime.hostile import HOSTILE

_KNOWN: Final = {each.name: each.source for each in HOSTILE}


def _of(*names: str) -> dict[str, str]:
    return {name: _KNOWN[name] for name in names}


_NEVER_DONE: Final = (
    "{% for a in range(90000) %}{% for b in range(90000) %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}"
)

FAMILIES: Final[dict[str, dict[str, str]]] = {
    "loops": {
        "two loops": "{% for a in range(1000) %}{% for b in range(1000) %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}",
        "two long loops": _NEVER_DONE,
        "loops that write": "{% for a in range(1000) %}{% for b in range(1000) %}" + "x" * 500 + "{% endfor %}{% endfor %}",
        "a recursive loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        **_of("turns of many loops", "loops eight deep", "much work on short texts"),
    },
    "repeats": _of("repeat of text", "repeat of a list", "repeat through a variable", "number growing", "power of text"),
    "formatting": _of("text formatting", "padding: format", "padding: tojson", "rounding to a thousand million places"),
    "padding": _of("padding: center", "padding: ljust", "padding: zfill", "padding: expandtabs", "padding: indent"),
    "splitting": {
        "splitting in a loop": "{% set w = range(1000)|join(',') %}{% set w = w ~ w ~ w ~ w ~ w ~ w ~ w ~ w %}"
        "{% for a in range(1000) %}{% for b in range(1000) %}{% if w.split(',')|length == 7 %}x{% endif %}{% endfor %}{% endfor %}",
        **_of("wrapping", "batches", "slices", "sorting in a loop"),
    },
    "expansion": {
        "doubling": "{% set a = 'x' %}" + "{% set a = a ~ a ~ a ~ a %}" * 40 + "{{ a }}",
        "doubling lists": "{% set a = [1] %}" + "{% set a = a + a + a + a %}" * 40 + "{{ a|length }}",
        **_of("lists in lists", "lists in lists as JSON", "objects in objects", "replacing", "line ends as data, six times as long"),
    },
    "deep structure": {
        "a long chain": "{{ name" + ".a" * 20_000 + " }}",
        **_of("parentheses", "objects", "signs", "ifs", "elifs", "open braces", "a hundred lists", "half a pair", "a zero byte", "too long"),
    },
    "folding while compiling": {
        "a power of powers": "{% if 9 ** 9 ** 9 ** 9 %}x{% endif %}",
        "a text that is never printed": "{% if 'a' * 3000000000 %}x{% endif %}",
        "a padded constant": "{% if false %}{{ 'x'|center(3000000000) }}{% endif %}x",
        "a formatted constant": "{% if false %}{{ '%03000000000d' % 1 }}{% endif %}x",
    },
    "escapes": {
        "the classes of Python": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "classes by attr": "{{ ''|attr('__class__') }}",
        "classes by format": "{{ '{0.__class__}'.format(name) }}",
        "globals by cycler": "{{ cycler.__init__.__globals__.os.environ }}",
        "globals by lipsum": "{{ lipsum.__globals__['os'].environ }}",
        "globals of a function": "{{ range.__globals__ }}{{ range }}",
        "a file": "{% include '/etc/passwd' %}",
        "an import": "{% from 'os' import environ %}{{ environ }}",
        "the template itself": "{{ self }}{{ self.__init__.__globals__ }}",
    },
}  # fmt: skip

HARMLESS: Final = "Hello {{ name }}"

# What Python's own objects look like as text, and what the environment of a server holds.
_LEAKS: Final = (
    "<class",
    "<function",
    "<built-in",
    "<module",
    " object at 0x",
    "environ(",
    "PATH=",
    "root:x:",
    "<Template",
)


def leak_in(text: str) -> str | None:
    """Return the sign of something that no template may bring out, or None."""
    return next((sign for sign in _LEAKS if sign in text), None)
