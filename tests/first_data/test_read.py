"""The rows of the first data agree with one another."""

from controlplane.first_data import read

MODELS = {model["code"]: model for model in read.read_models()}
CONFIGURATIONS = read.read_configurations()


def test_it_is_the_whole_of_a_first_installation() -> None:
    assert [tier["code"] for tier in read.read_tiers()] == ["free", "basic", "premium", "enterprise"]
    assert [environment["code"] for environment in read.read_environments()] == ["staging", "production"]
    assert (len(read.read_interactions()), len(MODELS), len(CONFIGURATIONS)) == (14, 12, 16)


def test_every_interaction_has_a_configuration_for_all_tiers() -> None:
    for_all = {row["interaction"] for row in CONFIGURATIONS if row["tier"] is None}

    assert for_all == {interaction["code"] for interaction in read.read_interactions()}


def test_no_two_configurations_are_for_the_same_interaction_and_tier() -> None:
    keys = [(row["interaction"], row["tier"]) for row in CONFIGURATIONS]

    assert len(keys) == len(set(keys))
    assert {tier for _, tier in keys} <= {None, *(tier["code"] for tier in read.read_tiers())}


def test_configurations_name_active_models_and_ask_for_no_more_than_these_give() -> None:
    for row in CONFIGURATIONS:
        model = MODELS[row["model"]]
        assert model["active"]
        assert (row["max_tokens"] or 0) <= model["max_output_tokens"]
        assert row["temperature"] is None or "temperature" in model["parameters"]
        assert all(MODELS[code]["active"] for code in row["fallbacks"])
