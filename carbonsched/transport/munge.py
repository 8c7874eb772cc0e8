"""MUNGE credentials through libmunge: who asks, and that nobody else can ask the same again.

libmunge is what Slurm itself authenticates with, so it is wherever Slurm is. It keeps its own time
limits towards munged (two seconds a message).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from carbonsched.errors import AuthenticationError, ExternalError

_OPT_SOCKET = 8  # munge_opt_t MUNGE_OPT_SOCKET in munge.h
_LIBRARY = "libmunge.so.2"
# EMUNGE_BAD_ARG (an empty credential) and EMUNGE_BAD_CRED .. EMUNGE_CRED_UNAUTHORIZED in munge.h
_REJECTED = frozenset({2, *range(8, 19)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whom a credential proves."""

    uid: int
    gid: int
    payload: bytes


class Munge:
    """Encodes and decodes credentials at one munged, the system's unless a socket is named."""

    def __init__(self, socket: str | None = None) -> None:
        self._socket = socket
        self._library = _load()

    def encode(self, payload: bytes) -> str:
        """A credential of this process's user over the payload.

        Raises:
            ExternalError: munged cannot be reached.
        """
        credential = ctypes.c_char_p()
        with _Context(self._library, self._socket) as context:
            status = self._library.munge_encode(
                ctypes.byref(credential), context, payload, len(payload)
            )
            if status:
                raise self._unavailable(status)
            text = (credential.value or b"").decode("ascii")
            self._library.free(credential)
        return text

    def decode(self, credential: str) -> Caller:
        """Whom the credential proves; each one is accepted once.

        Raises:
            AuthenticationError: malformed, forged, expired or replayed.
            ExternalError: munged cannot be reached.
        """
        payload = ctypes.c_void_p()
        length = ctypes.c_int()
        uid, gid = ctypes.c_uint32(), ctypes.c_uint32()
        with _Context(self._library, self._socket) as context:
            status = self._library.munge_decode(
                credential.encode("ascii", "replace"),
                context,
                ctypes.byref(payload),
                ctypes.byref(length),
                ctypes.byref(uid),
                ctypes.byref(gid),
            )
            body = ctypes.string_at(payload, length.value) if payload.value else b""
            self._library.free(payload)
        if status in _REJECTED:
            raise AuthenticationError(f"credential refused: {self._text(status)}")
        if status:
            raise self._unavailable(status)
        return Caller(uid=uid.value, gid=gid.value, payload=body)

    def _text(self, status: int) -> str:
        return str(self._library.munge_strerror(status).decode())

    def _unavailable(self, status: int) -> ExternalError:
        where = self._socket or "the default socket"
        return ExternalError(f"munged at {where}: {self._text(status)}; is munged running?")


class _Context:
    """A libmunge context that is destroyed when its block ends."""

    def __init__(self, library: ctypes.CDLL, socket: str | None) -> None:
        self._library = library
        self._pointer = ctypes.c_void_p(library.munge_ctx_create())
        if socket is not None:
            library.munge_ctx_set(
                self._pointer, ctypes.c_int(_OPT_SOCKET), ctypes.c_char_p(socket.encode())
            )

    def __enter__(self) -> ctypes.c_void_p:
        return self._pointer

    def __exit__(self, *_: object) -> None:
        self._library.munge_ctx_destroy(self._pointer)


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise ExternalError(f"{_LIBRARY} is not installed; install MUNGE's library") from None
    library.munge_ctx_create.restype = ctypes.c_void_p
    library.munge_ctx_destroy.argtypes = [ctypes.c_void_p]
    library.munge_strerror.restype = ctypes.c_char_p
    library.free.argtypes = [ctypes.c_void_p]
    return library
