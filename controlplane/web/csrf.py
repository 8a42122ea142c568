"""Requests that change something must come from our own pages. Browsers say where a request comes from; we ask them.

No token has to be threaded through forms. `SameSite=Lax` on the session cookie stands behind this.
"""

from urllib.parse import urlsplit

from flask import Flask, abort, request

from controlplane.web import problems

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def register(app: Flask) -> None:
    """Check every unsafe request before anything else looks at it."""
    app.before_request(check_origin)


def check_origin() -> None:
    """Refuse an unsafe request unless the browser vouches that it is same-origin."""
    # Under /api/ no cookie is looked at: there is nothing that another site could have a browser do in somebody's name.
    if request.method in SAFE_METHODS or problems.is_called():
        return
    site = request.headers.get("Sec-Fetch-Site")
    allowed = site in {"same-origin", "none"} if site is not None else _origin_is_ours()
    if not allowed:
        abort(
            403,
            "The request did not come from a page of this site. Go back, load the page again and repeat it.",
        )


def _origin_is_ours() -> bool:
    # Browsers leave Sec-Fetch-Site out on plain http to other machines; they still send Origin. The scheme is left
    # out of the comparison because a proxy may end TLS before us.
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc == request.host
