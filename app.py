"""The WSGI application, `app:app`; run as a program it starts everything on this machine, as `./run` does.

The application is made when a server asks for it, not on import: the program that starts everything neither needs Flask
nor has a database yet.
"""

import os
import sys


def __getattr__(name: str) -> object:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from controlplane.config import Settings
    from controlplane.runtime.signing import Verifier
    from controlplane.web.app import create_app

    application = globals()[name] = create_app(
        Settings.from_environment(os.environ), verifier=Verifier.from_environment(os.environ)
    )
    return application


if __name__ == "__main__":
    from controlplane.local.supervise import main

    sys.exit(main())
