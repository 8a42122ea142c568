"""Run the service: `python -m controlplane.runtime.service`."""

import logging
import os
import sys

import uvicorn

from controlplane.runtime.service.http import app_from_environment
from controlplane.runtime.service.settings import ServiceSettings


def main() -> None:
    """Serve until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        settings = ServiceSettings.from_environment(os.environ)
        app = app_from_environment(os.environ)
    except ValueError as problem:
        sys.exit(str(problem))
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
