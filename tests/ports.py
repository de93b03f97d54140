"""A port for a server or a group of ranks that a test starts."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Of loopback; nobody else's yet."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])
