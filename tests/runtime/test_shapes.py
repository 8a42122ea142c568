from controlplane.runtime.entries import Configuration
from controlplane.runtime.shapes import type_problems


def test_every_field_that_is_wrong_is_named_not_only_the_first() -> None:
    variants = [
        {"version": "x", "model": "LARGE", "prompt": {"code": 1}, "ranges": [[0, "a"]]},
        {"version": 1, "model": 2, "prompt": {}, "ranges": [], "effective_from": "2026-01-01T00:00:00"},
        3,
    ]

    assert list(type_problems(Configuration, {"salt": 1, "variants": variants})) == [
        ("salt", "text is needed, not a whole number"),
        ("variants[0].version", "a whole number is needed, not text"),
        ("variants[0].prompt.code", "text is needed, not a whole number"),
        ("variants[0].ranges[0][1]", "a whole number is needed, not text"),
        ("variants[1].model", "text is needed, not a whole number"),
        ("variants[1].prompt.code", "is missing"),
        ("variants[1].effective_from", "the moment needs a time zone, as in 2026-01-31T09:00:00Z"),
        ("variants[2]", "an object is needed"),
    ]


def test_what_should_hold_others_and_does_not_is_one_problem() -> None:
    assert list(type_problems(Configuration, {"salt": "a1", "variants": 3})) == [
        ("variants", "a list is needed, not a whole number")
    ]
    assert list(type_problems(Configuration, [])) == [("", "an object is needed")]
