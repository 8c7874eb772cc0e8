"""The connection of one exchange, which another thread can end."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import ConnectionPool


class Line(requests.Session):
    """A session for one exchange; ``proxies`` says whether those of the environment are used."""

    def __init__(self, *, proxies: bool) -> None:
        super().__init__()
        self.trust_env = proxies
        self._connections: list[Any] = []
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(self._connections))

    def cut(self) -> None:
        """End the exchange for whoever waits in it: no time limit ends a header that drips.

        What has no connection yet, such as a name look-up, is not ended; cut it again.
        """
        for connection in self._connections:
            sock = connection.sock
            # An SSLSocket's own shutdown takes away what a thread may just be reading with.
            if isinstance(sock, socket.socket):
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Remembers the connections that it makes: a session keeps them to itself."""

    def __init__(self, made: list[Any]) -> None:
        super().__init__()
        self._made = made

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> ConnectionPool:
        """The pool that requests would use, through a proxy or not."""
        pool: Any = super().get_connection_with_tls_context(request, verify, proxies, cert)
        make = pool.ConnectionCls

        def made(*args: Any, **more: Any) -> Any:
            connection = make(*args, **more)
            self._made.append(connection)
            return connection

        pool.ConnectionCls = made
        return cast("ConnectionPool", pool)
