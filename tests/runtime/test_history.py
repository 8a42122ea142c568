"""Which versions are remembered: the two that rendered last, whichever call it was."""

from tests.runtime import coaching
from tests.runtime.coaching import Place

# Renders for calls on values, and fails for all others.
SOMETIMES = "{% if topic == 'values' %}Fine: {{ user_message }}{% else %}{{ phase.name }}{% endif %}"


async def test_a_version_that_renders_for_some_calls_only_does_not_push_out_the_one_before() -> None:
    place = Place()
    assert (await place.ask()).template_version == 4
    entries = coaching.documents()
    entries["prompt/coaching_response"] = coaching.prompt("COACHING_RESPONSE", SOMETIMES, version=5)
    place.published.publish(coaching.release(entries, bodies=(SOMETIMES,)), 13)

    versions = [
        (await place.ask(template_parameters={"topic": topic})).template_version
        for topic in ("values", "goals", "values", "values", "goals")
    ]

    assert versions == [5, 4, 5, 5, 4]
