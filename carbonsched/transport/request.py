"""What a signed request's credential covers, the same words for client and server."""

from __future__ import annotations

import hashlib

SCHEME = "MUNGE"


def signed_payload(method: str, path: str, body: bytes) -> bytes:
    """Method, path with query, and body digest: a credential fits one request and no other."""
    digest = hashlib.sha256(body).hexdigest()
    return f"carbonsched/1\n{method}\n{path}\n{digest}\n".encode()
