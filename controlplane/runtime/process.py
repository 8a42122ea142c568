"""How a process is called where it tells of itself."""

import os
import re
import secrets
import socket


def process_name() -> str:
    """Return the host, the process id and a random part: no two processes have the same, not even one after the other."""
    host = re.sub(r"[^\x21-\x7e]", "-", socket.gethostname())[:200]
    return f"{host}:{os.getpid()}:{secrets.token_hex(4)}"
