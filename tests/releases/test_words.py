import pytest
from hypothesis import given

from controlplane.releases import words
from controlplane.releases.compose import Document
from controlplane.releases.diff import diff
from tests.releases.documents import PREMIUM, configuration, gate, interaction, prompt, variant
from tests.releases.strategies import entry_sets, unhurried


def sentence(key: str, before: Document | None, after: Document | None) -> str:
    (change,) = diff({key: before} if before else {}, {key: after} if after else {})
    return words.sentence(change)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (PREMIUM, "COACHING_RESPONSE · premium"),
        ("configuration/COACHING_RESPONSE/default/*", "COACHING_RESPONSE · default"),
        ("configuration/COACHING_RESPONSE/premium/acme", "COACHING_RESPONSE · premium · tenant acme"),
        ("configuration/*/default/*", "Every interaction · default"),
        ("gate/COACHING_RESPONSE", "Gate of COACHING_RESPONSE"),
        ("prompt/coaching_response", "Template coaching_response"),
        ("model/CLAUDE_3_HAIKU", "Model CLAUDE_3_HAIKU"),
        ("tier/premium", "Tier premium"),
        ("interaction/COACHING_RESPONSE", "Interaction COACHING_RESPONSE"),
    ],
)
def test_an_entry_is_called_what_people_call_it(key: str, name: str) -> None:
    assert words.entry_name(key) == name


def test_a_changed_configuration_says_what_changes_and_not_its_version() -> None:
    assert (
        sentence(PREMIUM, configuration(variant(3)), configuration(variant(4, model="CLAUDE_3_HAIKU")))
        == "COACHING_RESPONSE · premium: model CLAUDE_3_5_SONNET → CLAUDE_3_HAIKU"
    )


def test_many_changed_fields_are_counted() -> None:
    after = variant(
        4, model="X", temperature=None, max_tokens=10, top_p=0.5, fallbacks=["A", "B"], active=False
    )

    assert sentence(PREMIUM, configuration(variant(3)), configuration(after)) == (
        "COACHING_RESPONSE · premium: model CLAUDE_3_5_SONNET → X, temperature 0.7 → not set, "
        "max tokens 1024 → 10, top p not set → 0.5, and 2 more fields"
    )


def test_a_pin_is_told_as_the_templates_version() -> None:
    pinned = {"code": "coaching_response", "version": 2, "sha256": "b" * 64}

    assert (
        sentence(PREMIUM, configuration(), configuration(variant(prompt=pinned)))
        == "COACHING_RESPONSE · premium: template version follows the live version → 2"
    )


def test_a_rollout_is_told_in_shares() -> None:
    started = configuration(
        variant(3, ranges=[[0, 90_000]]), variant(4, model="X", ranges=[[90_000, 100_000]])
    )

    assert sentence(PREMIUM, configuration(variant(3)), started) == (
        "COACHING_RESPONSE · premium: version 3 100 % → 90 %, version 4 0 % → 10 %"
    )


def test_a_template_is_told_by_its_version() -> None:
    assert sentence("prompt/a", prompt(1), prompt(2, sha256="b" * 64)) == "Template a: version 1 → 2"


def test_a_gate_is_told_in_steps_of_a_thousandth_of_a_percent() -> None:
    assert sentence("gate/A", gate([0, 100_000]), gate([0, 1])) == "Gate of A: share 100 % → 0.001 %"


def test_long_texts_are_not_repeated() -> None:
    before, after = interaction(description="x" * 300), interaction(description="y" * 300)

    assert sentence("interaction/A", before, after) == "Interaction A: description changed"


def test_what_comes_says_what_it_is_and_what_goes_that_it_went() -> None:
    assert (
        sentence(PREMIUM, None, configuration(variant(model="X"))) == "COACHING_RESPONSE · premium: new (X)"
    )
    assert sentence("prompt/a", None, prompt(7)) == "Template a: new (version 7)"
    assert sentence("gate/A", None, gate([0, 10_000])) == "Gate of A: new (10 %)"
    assert sentence("tier/gold", {"name": "Gold", "rank": 3}, None) == "Tier gold: removed"


def test_a_release_of_few_changes_tells_each_and_of_many_how_many_of_what() -> None:
    few = diff({}, {"prompt/a": prompt(1), "tier/b": {}})
    many = diff({}, {PREMIUM: configuration(), "prompt/a": prompt(1), "prompt/b": prompt(1), "tier/b": {}})

    assert words.release_sentence(few) == "Template a: new (version 1); Tier b: new"
    assert words.release_sentence(many) == "4 entries: 1 configuration, 2 templates and 1 tier"
    assert words.release_sentence([]) == "nothing changed"


@unhurried
@given(entry_sets(), entry_sets())
def test_every_change_has_its_own_words(before: dict[str, Document], after: dict[str, Document]) -> None:
    for change in diff(before, after):
        told = words.sentence(change)
        assert told.startswith(words.entry_name(change.key) + ": ")
        assert "\n" not in told
        assert not told.endswith(": ")
