"""Free TCP ports on loopback, below the range that the kernel hands to outgoing connections."""

from __future__ import annotations

import random
import socket

from .failure import LabError

_FIRST, _LAST = 20000, 32000


def free_ports(count: int, taken: set[int]) -> list[int]:
    """That many ports on which nothing listens and which no other lab has reserved."""
    found: list[int] = []
    candidates = list(range(_FIRST, _LAST))
    random.shuffle(candidates)
    for port in candidates:
        if len(found) == count:
            return found
        if port not in taken and _is_free(port):
            found.append(port)
    raise LabError(f"no {count} free ports between {_FIRST} and {_LAST}")


def listens(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
