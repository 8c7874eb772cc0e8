"""The way from a training to its node's agent."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

SOCKET_VARIABLE = "CARBONSCHED_AGENT_SOCKET"


class AgentLink:
    """A socket to whoever listens at ``path``."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._refused: tuple[int, int] | None = None
        self._socket: socket.socket | None = None
        with suppress(Exception):
            _new_socket().close()  # whatever is to be loaded is loaded now, not in an epoch

    def open(self) -> Callable[[bytearray], int] | None:
        """What sends a datagram, if somebody listens; a socket of before is closed.

        Asked first, as a call that fails costs more than the rest. Nobody can listen again on a
        socket that refused: a new agent makes a new one.

        Raises:
            OSError, ValueError: the machine has no socket for us, or the path can be none.
        """
        self.close()
        if self._refused is not None:
            if self._refused == _identity(self._path):
                return None
            self._refused = None
        if not os.access(self._path, os.W_OK):
            return None
        made = _new_socket()
        try:
            made.connect(self._path)
        except OSError as error:
            made.close()
            if isinstance(error, ConnectionRefusedError):
                self._refused = _identity(self._path)
            return None
        self._socket = made
        return made.send

    def close(self) -> None:
        """No socket is left."""
        ours, self._socket = self._socket, None
        if ours is not None:
            ours.close()

    def anew(self) -> AgentLink:
        """One to the same agent that shares no socket with this one."""
        return AgentLink(self._path)


def link_to_agent() -> AgentLink | None:
    """Where the node's agent listens, or ``None`` outside a job of a site that has one."""
    named = os.environ.get(SOCKET_VARIABLE)
    if named:
        return AgentLink(named)
    with suppress(Exception):
        from carbonsched.site import load_site  # noqa: PLC0415 - it loads more than all of ours

        path = load_site().agent.socket
        node = os.environ.get("SLURMD_NODENAME")
        if node or "%n" not in path:
            return AgentLink(path.replace("%n", node or ""))
    return None


def _new_socket() -> socket.socket:
    import socket  # noqa: PLC0415 - it loads as much as all of ours

    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    return socket.socket(socket.AF_UNIX, kind)


def _identity(path: str) -> tuple[int, int] | None:
    """Which file is at ``path`` now."""
    try:
        found = os.stat(path)  # noqa: PTH116 - pathlib costs more to load than all of ours
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns
