"""Prompts that somebody might write to stall, flood, crash or leave the renderer, by family.

`stopped_by` says what holds them: "profile" refuses the text before anything runs, "render" stops it at a bound, "worker"
needs the limit on time around the render (it ends by itself, but late). Whoever builds a render worker runs them all.
"""

from typing import Final, Literal, NamedTuple

StoppedBy = Literal["profile", "render", "worker"]


class Hostile(NamedTuple):
    """A prompt, what it tries, and what stops it."""

    name: str
    source: str
    stopped_by: StoppedBy


def _nested(begin: str, end: str, times: int) -> str:
    return begin * times + "1" + end * times


_DOUBLE: Final = "{% set a = a ~ a %}"
_TENFOLD: Final = "{% set a = [a,a,a,a,a,a,a,a,a,a] %}"
_SQUARE: Final = "{% set a = a * a %}"
_LOOP: Final = "{% for i in range(1000) %}"
_END: Final = "{% endfor %}"

_GROWING: Final = "{% set a = range(250)|join('\u0390\u0390')|replace('\u0390', range(150)|join('\u0390')) %}"
_LINE_ENDS: Final = "{% set a = range(250)|join('\u2028' ~ range(150)|join('\u2028\u2028')) %}"

ESCAPES: Final = [
    Hostile(f"escape: {source[:60]}", source, "profile")
    for source in (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ goal.__init__.__globals__ }}",
        "{{ self.__init__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ range.__globals__ }}",
        "{{ goal['__class__'] }}",
        "{% for c in [1] %}{{ loop['__init__'] }}{% endfor %}",
        "{{ goal|attr('__class__') }}",
        "{{ goal|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
        "{{ [goal]|map(attribute='__class__')|list }}",
        "{{ [goal]|map('attr', '__class__')|list }}",
        "{{ [goal]|groupby('__class__') }}",
        "{{ '{0.__class__}'.format(goal) }}",
        "{{ '%s'|format(goal) }}",
        "{{ goal.format_map({}) }}",
        "{{ ''.join.__self__ }}",
        "{{ cycler('a').__init__.__globals__ }}",
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{{ joiner() }}",
        "{{ namespace(a=1) }}",
        "{{ dict(a=1) }}",
        "{{ _context }}",
        "{{ caller() }}",
        "{{ super() }}",
        "{{ goal.mro() }}",
        "{{ goal.encode() }}",
        "{{ goal.translate({}) }}",
        "{{ (goal)() }}",
        "{{ range(*[1,2]) }}",
        "{{ goal|default(**{}) }}",
        "{% set _x = 1 %}",
        "{% set range = 1 %}",
        "{% set loop = 1 %}",
        "{% include '/etc/passwd' %}",
        "{% include goal %}",
        "{% import 'os' as os %}",
        "{% from 'os' import path %}",
        "{% extends 'base' %}",
        "{% block body %}{% endblock %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% call goal() %}{% endcall %}",
        "{% filter upper %}x{% endfilter %}",
        "{% set x %}text{% endset %}",
        "{% autoescape true %}{{ goal }}{% endautoescape %}",
        "{% for x in [[1]] recursive %}{{ loop(x) }}{% endfor %}",
        "{% do goal.append(1) %}",
        "{% debug %}",
        "{{ goal|safe }}",
        "{{ goal|xmlattr }}",
        "{{ goal|pprint }}",
        "{{ goal|random }}",
        "{{ goal is callable }}",
        "{{ goal is filter('attr') }}",
    )
]

ESCAPES_AT_RUN: Final = [
    Hostile(f"escape at run: {source[:60]}", source, "render")
    for source in (
        "{% set n = '__cl' ~ 'ass__' %}{{ goal[n] }}",
        "{{ [goal]|selectattr('__class__')|list }}",
        "{{ [goal]|join(attribute='__class__') }}",
        "{{ [goal, goal]|sort(attribute='__class__') }}",
        "{{ [goal]|sum(attribute='__class__') }}",
        "{% for c in [1] %}{{ loop['__in' ~ 'it__'] }}{% endfor %}",
        "{% for c in [1] %}{{ loop.iterator }}{% endfor %}",
        "{% set f = goal.upper %}{{ f }}",
        "{{ range }}",
        "{{ {}.items }}",
    )
]

FLOODS: Final = [
    Hostile("repeat of text", "{{ 'a' * 1000000000 }}", "render"),
    Hostile("repeat of text, turned round", "{{ 1000000000 * 'a' }}", "render"),
    Hostile("repeat of a list", "{{ [1] * 1000000000 }}", "render"),
    Hostile("repeat through a variable", "{% set a = 'a' %}{% set n = 1000000000 %}{{ a * n }}", "render"),
    Hostile("text formatting", "{{ '%1000000000d' % 1 }}", "render"),
    Hostile("power", "{{ 10 ** 10 ** 10 }}", "profile"),
    Hostile("power of text", "{{ goal ** 2 }}", "profile"),
    Hostile("number growing", "{% set a = 9 %}" + _SQUARE * 60 + "{{ a }}", "render"),
    Hostile("long number", "{{ " + "9" * 60_000 + " }}", "profile"),
    Hostile("number beyond bounds", "{{ 1e999 }}", "profile"),
    Hostile("rounding to a thousand million places", "{{ 5|round(-1000000000) }}", "render"),
    Hostile("rounding up to many places", "{{ 5|round(1000000000, 'ceil') }}", "render"),
    Hostile("doubling text", "{% set a = goal ~ goal %}" + _DOUBLE * 40 + "{{ a }}", "render"),
    Hostile("adding text", "{% set a = goal %}" + "{% set a = a + a %}" * 40 + "{{ a }}", "render"),
    Hostile("adding lists", "{% set a = [1, 2] %}" + "{% set a = a + a %}" * 40 + "{{ a }}", "render"),
    Hostile("lists in lists", "{% set a = [1] %}" + _TENFOLD * 20 + "{{ a }}", "render"),
    Hostile("lists in lists as JSON", "{% set a = [1] %}" + _TENFOLD * 20 + "{{ a|tojson(8) }}", "render"),
    Hostile("lists in lists by a text filter", "{% set a = [1] %}" + _TENFOLD * 20 + "{{ a|upper }}", "render"),
    Hostile("lists in lists as data", "{% set a = [1] %}" + _TENFOLD * 20 + "{{ a|data }}", "render"),
    Hostile("line ends as data, six times as long", _LINE_ENDS + "{{ a|data }}" * 500, "render"),
    Hostile("letters that grow, printed at once", _GROWING + "{{ a|upper }}" * 500, "render"),
    Hostile("one long text, printed at once", _GROWING + "{{ a }}" * 500, "render"),
    Hostile("JSON, never printed", _GROWING + "{% set b = [a] %}" + _LOOP + "{% if b|tojson %}{% endif %}" + _END + "y", "render"),
    Hostile("lists in lists joined", "{% set a = [1] %}" + _TENFOLD * 20 + "{{ a|join }}", "render"),
    Hostile("lists in lists compared as text", "{% set a = [1] %}" + _TENFOLD * 20 + "{{ a|string|length }}", "render"),
    Hostile("lists in lists put together", "{% set a = [1] %}" + _TENFOLD * 20 + "{{ a ~ a }}", "render"),
    Hostile("objects in objects", "{% set a = {'k': 1} %}" + "{% set a = {'k': a, 'l': a} %}" * 39 + "{{ a }}", "render"),
    Hostile("replacing", "{% set a = 'aaaaaaaaaa' %}" + "{% set a = a|replace('a', a) %}" * 10 + "{{ a }}", "render"),
    Hostile("replacing nothing", "{% set a = goal %}" + "{% set a = a|replace('', a) %}" * 10 + "{{ a }}", "render"),
    Hostile("joining with a long separator", "{{ range(1000)|join('x' ~ range(1000)|join('xxxx')) }}", "render"),
    Hostile("padding: center", "{{ goal|center(1000000000) }}", "profile"),
    Hostile("padding: ljust", "{{ goal.ljust(1000000000) }}", "profile"),
    Hostile("padding: zfill", "{{ goal.zfill(1000000000) }}", "profile"),
    Hostile("padding: expandtabs", "{{ '\\t'.expandtabs(1000000000) }}", "profile"),
    Hostile("padding: indent", "{{ goal|indent(1000000000) }}", "profile"),
    Hostile("padding: format", "{{ '{:>1000000000}'.format(1) }}", "profile"),
    Hostile("padding: tojson", "{{ [1]|tojson(1000000000) }}", "render"),
    Hostile("wrapping", "{{ goal|wordwrap(1) }}", "profile"),
    Hostile("batches", "{{ [1]|batch(1000000000, 'x')|list }}", "profile"),
    Hostile("slices", "{{ [1]|slice(1000000000)|list }}", "profile"),
    Hostile("lorem ipsum", "{{ lipsum(n=100000) }}", "profile"),
    Hostile("a long range", "{% for i in range(1000000000) %}x{% endfor %}", "render"),
    Hostile("a long range by its ends", "{{ range(-9223372036854775807, 9223372036854775807)|list }}", "render"),
    Hostile("output of a loop", _LOOP + "x" * 500 + _END, "render"),
    Hostile("turns of two loops", _LOOP + _LOOP + "x" + _END + _END, "render"),
    Hostile("turns of many loops", (_LOOP + "{% if false %}x{% endif %}" + _END) * 200, "render"),
    Hostile("loops three deep", _LOOP * 3 + "x" + _END * 3, "profile"),
    Hostile("loops eight deep", _LOOP * 8 + "x" + _END * 8, "profile"),
]  # fmt: skip

DEEP: Final = [
    Hostile("parentheses", "{{ " + _nested("(", ")", 20_000) + " }}", "profile"),
    Hostile("lists", "{{ " + _nested("[", "]", 20_000) + " }}", "profile"),
    Hostile("a hundred lists", "{{ " + _nested("[", "]", 100) + " }}", "profile"),
    Hostile("objects", "{{ " + _nested("{'a':", "}", 10_000) + " }}", "profile"),
    Hostile("signs", "{{ " + "-" * 60_000 + "1 }}", "profile"),
    Hostile("negations", "{{ " + "not " * 15_000 + "1 }}", "profile"),
    Hostile("sums", "{{ " + "1+" * 30_000 + "1 }}", "profile"),
    Hostile("fields", "{{ goal" + ".a" * 30_000 + " }}", "profile"),
    Hostile("filters", "{{ goal" + "|e" * 30_000 + " }}", "profile"),
    Hostile("conditions", "{{ " + "1 if 1 else " * 5_000 + "1 }}", "profile"),
    Hostile("ifs", "{% if 1 %}" * 3_000 + "x" + "{% endif %}" * 3_000, "profile"),
    Hostile("elifs", "{% if 1 %}" + "{% elif 1 %}" * 5_000 + "{% endif %}", "profile"),
    Hostile("elements", "{{ 1 }}" * 5_000, "profile"),
    Hostile("open braces", "{{" * 30_000, "profile"),
    Hostile("open comments", "{#" * 30_000, "profile"),
    Hostile("open tags", "{%" * 30_000, "profile"),
    Hostile("a quotation mark", "{{ '" + "x" * 60_000, "profile"),
    Hostile("broken escapes", "{{ '\\N{x}' }}", "profile"),
    Hostile("a zero byte", "a\0b", "profile"),
    Hostile("half a pair", "a\ud800b", "profile"),
    Hostile("too long", "x" * (64 * 1024 + 1), "profile"),
    Hostile("a long name", "{{ goal|" + "x" * 60_000 + " }}", "profile"),
    Hostile("a long tag", "{% " + "x" * 60_000 + " %}", "profile"),
]

_WORDS: Final = "{% set w = range(1000)|join('b ')|upper %}{% set w = w ~ w ~ w ~ w ~ w ~ w ~ w ~ w %}"

WORK: Final = [
    Hostile(
        "sorting in a loop",
        _WORDS + _LOOP + "{% if w.split()|sort|unique|length == 7 %}x{% endif %}" + _END + "y",
        "render",
    ),
    Hostile(
        "text in loops",
        _WORDS + "{% for i in range(90) %}" + _LOOP + "{% if w|replace('B', 'c')|title|wordcount == 7 %}x{% endif %}" + _END + _END,
        "render",
    ),
    Hostile("comparing text in a loop", _WORDS + _LOOP + "{% if w == w|lower %}x{% endif %}" + _END + "y", "render"),
    Hostile("methods in a loop", _WORDS + _LOOP + "{% if w.upper().lower() %}{% endif %}" + _END + "y", "render"),
    Hostile(
        "lists in lists compared",
        "{% set a = [1] %}{% set b = [1] %}"
        + "{% set a = [a,a,a,a,a,a,a,a,a,a] %}{% set b = [b,b,b,b,b,b,b,b,b,b] %}" * 12
        + "{{ 'x' if a == b else 'y' }}",
        "render",
    ),
    Hostile("lists in sums of lists", "{% set a = [1, 2] %}" + "{% set a = [a] + [a] %}" * 60 + "{{ a|length }}", "render"),
    Hostile("many small things in loops", "{% for i in range(90) %}" + _LOOP + "{% set a = 1 + 1 %}" * 700 + _END + _END, "render"),
    Hostile(
        "comparing by a filter",
        "{% set a = range(1000)|list %}{% set a = [a, a, a, a, a, a, a, a] %}"
        "{% set b = range(1000)|list %}{% set b = [b, b, b, b, b, b, b, b] %}"
        + (_LOOP + "{% if [a]|select('eq', b)|list == 7 %}x{% endif %}" + _END) * 100
        + "y",
        "render",
    ),
]  # fmt: skip

# Within every bound, and yet seconds of a processor: only a limit on time stops these.
SLOW: Final = [
    Hostile(
        "much work on short texts",
        "{% set w = 'ab' ~ range(20)|join('-') %}{% for i in range(30) %}"
        + _LOOP
        + "{% set a = w|title|upper|title|upper|title|upper|title|upper|title|upper|title|upper|title|upper %}"
        + _END * 2
        + "y",
        "worker",
    ),
]

HOSTILE: Final = [*ESCAPES, *ESCAPES_AT_RUN, *FLOODS, *DEEP, *WORK, *SLOW]
