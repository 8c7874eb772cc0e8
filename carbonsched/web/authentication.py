"""Who asks: a MUNGE credential over exactly this request."""

from __future__ import annotations

from typing import Protocol

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from carbonsched.errors import AuthenticationError
from carbonsched.transport.munge import Caller
from carbonsched.transport.request import SCHEME, signed_payload

MAX_CREDENTIAL = 16 * 1024


class Decoder(Protocol):
    """What decodes a credential; :class:`carbonsched.transport.munge.Munge` in the daemon."""

    def decode(self, credential: str) -> Caller:
        """Whom the credential proves."""
        ...


class Authenticator:
    """A FastAPI dependency that leaves the caller in ``request.state.caller`` or refuses."""

    def __init__(self, munge: Decoder) -> None:
        self._munge = munge

    async def __call__(self, request: Request) -> None:
        """Prove who asks.

        Raises:
            AuthenticationError: no credential, a bad one, or one made for another request.
        """
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        if scheme != SCHEME or not credential or len(credential) > MAX_CREDENTIAL:
            raise AuthenticationError("this needs a MUNGE credential; use carbonsched's commands")
        caller = await run_in_threadpool(self._munge.decode, credential.strip())
        if caller.payload != signed_payload(request.method, _target(request), await request.body()):
            raise AuthenticationError("the credential was made for another request")
        request.state.caller = caller


def _target(request: Request) -> str:
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    return (path.split(b"?")[0] + (b"?" + query if query else b"")).decode("latin-1")
