"""The Unix datagram socket on which jobs mark their epochs.

The kernel says who sent a datagram (SO_PASSCRED) and when (SO_TIMESTAMPNS), the sender's control
group says in which job. Whatever is not a mark of a job's own owner is counted and forgotten.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from carbonsched.errors import ConfigError
from carbonsched.node.mark_format import MAX_MARK_BYTES, Mark, parse_marks
from carbonsched.node.presence.cgroups import JobCgroups
from carbonsched.units import NS_PER_S

MAX_SOCKET_PATH = 107
MOST_AT_ONCE = 64
_CREDENTIALS = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid
_SO_TIMESTAMPNS = 35
"""Of socket(7), which Python does not name; what comes with a datagram has the same number."""
_TIMESPEC = struct.Struct("qq")
_ANCILLARY = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(_TIMESPEC.size)
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class SentMark:
    """A mark and the kernel's word on who sent it from which job."""

    job_id: int
    uid: int
    mark: Mark


class MarkSocket:
    """Receives marks; a socket that an earlier agent left behind is replaced."""

    def __init__(self, path: Path, cgroups: JobCgroups) -> None:
        self._path = path
        self._cgroups = cgroups
        self._job_of_pid: dict[tuple[int, int], int] = {}
        self.ignored = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            self._bind()
        except OSError as error:
            self._socket.close()
            remedy = "run the agent as root, or name another agent.socket"
            raise ConfigError([f"socket {path}: {error.strerror or error}; {remedy}"]) from None

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def close(self) -> None:
        """Take the socket away."""
        self._socket.close()
        with suppress(OSError):
            self._path.unlink()

    def receive(self) -> Iterator[SentMark]:
        """Marks that have arrived, at most some at once; never waits."""
        for _ in range(MOST_AT_ONCE):
            try:
                data, ancillary, flags, _ = self._socket.recvmsg(MAX_MARK_BYTES, _ANCILLARY)
            except OSError:
                return
            sent = () if flags & socket.MSG_TRUNC else self._identify(data, ancillary)
            self.ignored += not sent
            yield from sent

    def _bind(self) -> None:
        if len(os.fsencode(self._path)) > MAX_SOCKET_PATH:
            raise OSError(f"longer than the {MAX_SOCKET_PATH} bytes of a socket's path")
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if self._path.is_socket():
            self._path.unlink()
        self._socket.bind(str(self._path))
        self._path.chmod(0o666)

    def _identify(
        self, data: bytes, ancillary: list[tuple[int, int, bytes]]
    ) -> tuple[SentMark, ...]:
        told = {kind: content for level, kind, content in ancillary if level == socket.SOL_SOCKET}
        if socket.SCM_CREDENTIALS not in told:
            return ()
        pid, uid, _ = _CREDENTIALS.unpack_from(told[socket.SCM_CREDENTIALS])
        job_id = self._job(pid, uid)
        if job_id is None:
            return ()
        sent_ns = None
        if _SO_TIMESTAMPNS in told:
            seconds, rest_ns = _TIMESPEC.unpack_from(told[_SO_TIMESTAMPNS])
            sent_ns = seconds * NS_PER_S + rest_ns
        try:
            return tuple(SentMark(job_id, uid, one) for one in parse_marks(data, sent_ns))
        except ValueError:
            return ()

    def _job(self, pid: int, uid: int) -> int | None:
        """The sender's job; remembered, as its process may end right after its last mark."""
        if pid <= 0:
            return None
        key = (pid, uid)
        job_id = self._cgroups.job_of_process(pid)
        if job_id is None and not self._cgroups.process_exists(pid):
            return self._job_of_pid.get(key)
        if job_id is not None:
            if len(self._job_of_pid) >= _REMEMBERED:
                self._job_of_pid.clear()
            self._job_of_pid[key] = job_id
        return job_id
