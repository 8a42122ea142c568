"""Asking for ports on this machine's own address. The answers are good guesses: anybody may take one a moment later."""

import socket

HOST = "127.0.0.1"


def obstacle(port: int) -> str | None:
    """Why no server could listen there now, in words; connections of an earlier one that fade away do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            return "is for the system's own services"
        except OSError:
            return "is taken by another program"
        return None


def any_free() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
