"""Listing by folders is where implementations of S3 differ: what keeps recorded calls is held to its contract on a second one."""

from tests.runtime.decision_contract import DecisionContract


class TestDecisionsOnAnotherStore(DecisionContract):
    pass
