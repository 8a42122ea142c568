from tests.rollouts.conftest import app, cheap_passwords, client_as, walk

__all__ = ["app", "cheap_passwords", "client_as", "walk"]
