"""The library that obeys what was published: read a release, resolve a request, render a prompt, call a model.

Everything in `__all__` is the public door; everything else may change. The base needs only jinja2 and msgspec:
an AWS store, a provider's SDK or the HTTP service is imported where it is used.
"""
