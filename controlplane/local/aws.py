"""DynamoDB and S3 over HTTP on this machine: the moto server, with one request at a time.

    python -m controlplane.local.aws --port 4566 --keep evidence

Moto takes no locks of its own: with requests side by side, conditional writes have several winners and transactions
tear. One lock around each whole request makes it sober. Over a restart it keeps
the record's evidence alone, where it is told to (`kept`); the worker publishes again.
"""

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controlplane.local.kept import Keeping
from controlplane.local.ports import HOST

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.serving import BaseWSGIServer

HEALTH_PATH = "/_healthz"  # no bucket can be called that


class OneAtATime:
    """A WSGI application that lets the one inside see a single request at a time, from first byte to last."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer health questions at once; read a request to its end before waiting for the turn."""
        if environ["PATH_INFO"] == HEALTH_PATH:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"ok\n"]
        _read_body(environ)  # outside of the lock, or one slow sender would stop everybody
        with self._lock:
            answer = self._application(environ, start_response)
            try:
                return list(answer)
            finally:
                close = getattr(answer, "close", None)
                if close is not None:
                    close()


def _read_body(environ: "WSGIEnvironment") -> None:
    length = environ.get("CONTENT_LENGTH")
    if length:
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))
    elif environ.get("wsgi.input_terminated"):  # sent in chunks
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read())


def make_server(port: int, *, keep: Path | None = None) -> "BaseWSGIServer":
    """The server, bound and loaded: whoever gets an answer gets all later ones quickly.

    `keep` is the directory of what stays over a restart.
    """
    # The emulator is for programs on this machine: a web page open in somebody's browser has no business with it.
    os.environ.setdefault("MOTO_DISABLE_GLOBAL_CORS", "true")
    os.environ["MOTO_PORT"] = str(port)
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server as make_werkzeug_server

    _look_in_one_partition()

    class Quiet(MotoRequestHandler):
        """A line for every request would fill the disk: the worker and every runtime poll all day."""

        def log_request(self, *_args: Any, **_kwargs: Any) -> None:
            pass

    dispatcher = DomainDispatcherApplication(create_backend_app)
    whole = dispatcher if keep is None else Keeping(dispatcher, keep)
    server = make_werkzeug_server(HOST, port, OneAtATime(whole), threaded=True, request_handler=Quiet)
    for service in ("s3", "dynamodb"):
        dispatcher.get_application(_request_to(service))
    if isinstance(whole, Keeping):
        whole.bring_back()
    return server


def _look_in_one_partition() -> None:
    """Have moto answer a query from its partition: it sorts the whole table first, which takes seconds with 10,000 entries."""
    from moto.dynamodb.models.table import Table

    whole = Table.query

    def query(table: Any, hash_key: Any, *arguments: Any, **named: Any) -> Any:
        items = table.items
        if not table.all_indexes():  # then what is asked for can only be the table's own key
            table.items = {hash_key: items[hash_key]} if hash_key in items else {}
        try:
            return whole(table, hash_key, *arguments, **named)
        finally:
            table.items = items

    if Table.query.__module__ == Table.__module__:  # not done yet
        Table.query = query  # type: ignore[method-assign, assignment]


def _request_to(service: str) -> dict[str, str]:
    """As much of a signed request as moto looks at when it chooses, and so loads, a service."""
    return {
        "HTTP_HOST": HOST,
        "PATH_INFO": "/",
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/{service}/aws4_request, Signed",
        "HTTP_X_AMZ_TARGET": "DynamoDB_20120810.ListTables",
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m controlplane.local.aws", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--keep", type=Path, help="Where the record's evidence stays over a restart.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    given = parser.parse_args(argv)
    make_server(given.port, keep=given.keep).serve_forever()


if __name__ == "__main__":
    main()
