"""Signing in and out, people, tokens."""

from tests.architecture.ways.admin import Admin, Sent
from tests.site import PASSWORD


def sign_in(_: Admin) -> Sent:
    return "/sign-in", {"email": "admin@example.com", "password": PASSWORD}


def sign_out(_: Admin) -> Sent:
    return "/sign-out", {}


def add_somebody(admin: Admin) -> Sent:
    page = "/settings/people/new"
    return admin.filled(page, page, name="Grace Hopper", email="grace@example.com")


def change_password(admin: Admin) -> Sent:
    page = "/settings/profile"
    new = "another-horse-battery"
    return admin.filled(page, page, current=PASSWORD, new=new, again=new)


def change_role(admin: Admin) -> Sent:
    return admin.person("role"), {"role": "editor"}


def make_a_reviewer(admin: Admin) -> Sent:
    return admin.person("reviewer"), {"may_review": "true"}


def disable(admin: Admin) -> Sent:
    return admin.person("disable"), {}


def enable(admin: Admin) -> Sent:
    admin.do(disable(admin))
    return admin.person("enable"), {}


def reset_password(admin: Admin) -> Sent:
    return admin.person("password"), {}


def make_a_token(admin: Admin) -> Sent:
    page = "/settings/tokens/new"
    return admin.filled(page, page, name="pipeline", scopes=["read", "edit"])


def revoke_a_token(admin: Admin) -> Sent:
    page = admin.do(make_a_token(admin))
    return f"{page.link('I have copied it')}/revoke", {"confirm": "pipeline"}
