"""How answers leave: security headers, caching, compression, request ids, static files under hashed addresses."""

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, request

from controlplane.audit.identifiers import new_identifier

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
YEAR = 31_536_000
COMPRESSED = {"text/html", "text/css", "text/javascript", "application/json", "image/svg+xml", "text/csv"}


def register(app: Flask) -> None:
    """Attach everything that touches an answer on its way out."""
    app.before_request(_identify)
    app.after_request(_finish)
    app.url_defaults(lambda endpoint, values: _hash_static(app, endpoint, values))


def _identify() -> None:
    g.request_id = new_identifier()


def _finish(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", f"max-age={YEAR}")
    if "request_id" in g:
        response.headers["X-Request-Id"] = g.request_id
    _cache(response)
    return _compress(response)


def _cache(response: Response) -> None:
    """Static files under their hash are kept for ever; pages are never kept: they show what is live, and to whom."""
    if request.endpoint == "static" and response.status_code in {200, 304}:
        forever = f"public, max-age={YEAR}, immutable"
        response.headers["Cache-Control"] = forever if "v" in request.args else "no-cache"
    else:
        response.headers.setdefault("Cache-Control", "no-store")


def _compress(response: Response) -> Response:
    """Pages hold no secret that an attacker could guess at by their length: there are no tokens in our forms."""
    if (
        response.mimetype not in COMPRESSED
        or request.accept_encodings.quality("gzip") == 0
        or response.status_code in {204, 206, 304}
        or (response.is_streamed and request.endpoint != "static")
        or "Content-Encoding" in response.headers
    ):
        return response
    response.direct_passthrough = False
    body = response.get_data()
    response.headers.add("Vary", "Accept-Encoding")
    if len(body) > 800:
        response.set_data(gzip.compress(body, compresslevel=5, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
        etag, _ = response.get_etag()
        if etag:
            response.set_etag(etag, weak=True)
    return response


def _hash_static(app: Flask, endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "static" and "filename" in values and "v" not in values:
        path = Path(app.static_folder or "") / str(values["filename"])
        if path.is_file():
            values["v"] = _hash_of(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _hash_of(path: Path, _changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
