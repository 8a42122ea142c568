"""Programs that call the site of a test."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.tokens.stage import Program, program_of

ProgramOf = Callable[..., Program]


@pytest.fixture
def program(app: Flask, first_data: Session) -> ProgramOf:
    """A program with a token of somebody of the role asked for."""
    return lambda role, **given: program_of(app, first_data, role, **given)
