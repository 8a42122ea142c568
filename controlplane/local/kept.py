"""What the emulator keeps over a restart: the record's evidence, which nobody could write again.

Releases are published again by the worker. Anchors and archived months are written once: without them a restart would look
like somebody who took them away, which is what the record is there to find.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from controlplane.runtime.stores.evidence import FOLDER

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_MARK = f"/{FOLDER}/"
_REGION = "us-east-1"  # whoever asks for the bucket asks whether it is there, and not where


class Keeping:
    """A WSGI application around the emulator that writes what is put below the folder of evidence to a directory."""

    def __init__(self, application: "WSGIApplication", directory: Path) -> None:
        self._application = application
        self._directory = directory

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer once what was put or deleted is on disk as well."""
        said: list[str] = []

        def told(status: str, *more: Any) -> Any:
            said.append(status)
            return start_response(status, *more)

        answer = list(self._application(environ, told))
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] in {"PUT", "DELETE"} and _MARK in path and said[-1].startswith("20"):
            self._keep(*path.lstrip("/").split("/", 1))
        return answer

    def bring_back(self) -> None:
        """Put what was kept into the emulator, before anybody asks."""
        for bucket in self._directory.iterdir() if self._directory.is_dir() else ():
            _backend().create_bucket(bucket.name, _REGION)
            for file in bucket.iterdir():
                if not file.name.endswith(".part"):
                    _backend().put_object(bucket.name, unquote(file.name), file.read_bytes())

    def _keep(self, bucket: str, key: str) -> None:
        # No key can leave the directory: there is no slash in a quoted one, and it has the folder's name in it.
        file = self._directory / quote(bucket, safe="") / quote(key, safe="")
        found = _backend().get_object(bucket, key)
        if found is None:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.part")
        part.write_bytes(found.value)
        part.replace(file)


def _backend() -> Any:
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
