"""The FastAPI application: routes behind authentication, errors as one line of JSON."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import Response

from carbonsched import __version__
from carbonsched.errors import (
    AuthenticationError,
    CarbonschedError,
    ForbiddenError,
    RequestError,
)
from carbonsched.web import routes
from carbonsched.web.authentication import Authenticator, Decoder
from carbonsched.web.backend import Backend

MAX_BODY = 16 * 1024 * 1024
_LENGTH = re.compile(r"[0-9]{1,18}")
_LOGGER = logging.getLogger(__name__)
_STATUS = (
    (AuthenticationError, HTTPStatus.UNAUTHORIZED),
    (ForbiddenError, HTTPStatus.FORBIDDEN),
    (RequestError, HTTPStatus.BAD_REQUEST),
)


def create_app(backend: Backend, munge: Decoder) -> FastAPI:
    """The API over a backend, with the credentials that ``munge`` decodes."""
    app = FastAPI(title="carbonsched", version=__version__, docs_url=None, redoc_url=None)
    app.state.backend = backend
    app.middleware("http")(_bounded)
    app.include_router(routes.public)
    app.include_router(routes.signed, dependencies=[Depends(Authenticator(munge))])
    app.add_exception_handler(CarbonschedError, _answer_ours)
    app.add_exception_handler(RequestValidationError, _answer_malformed)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_fault)
    return app


async def _bounded(request: Request, call_next: RequestResponseEndpoint) -> Response:
    length = request.headers.get("content-length", "" if request.method == "POST" else "0")
    if not _LENGTH.fullmatch(length) or "transfer-encoding" in request.headers:
        return _error(HTTPStatus.LENGTH_REQUIRED, "a request with a body states its length")
    if int(length) > MAX_BODY:
        return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_BODY} bytes at once")
    return await call_next(request)


async def _answer_ours(_: Request, error: Exception) -> JSONResponse:
    status = next(
        (status for kind, status in _STATUS if isinstance(error, kind)),
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        _LOGGER.warning("request failed: %s", error)
    return _error(status, str(error))


async def _answer_malformed(_: Request, error: Exception) -> JSONResponse:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    where = ".".join(str(part) for part in first.get("loc", ()))
    return _error(HTTPStatus.BAD_REQUEST, f"{where}: {first.get('msg', 'malformed')}")


async def _answer_http(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _error(status, str(getattr(error, "detail", error)))


async def _answer_fault(_: Request, error: Exception) -> JSONResponse:
    _LOGGER.error("a fault in carbonsched", exc_info=error)
    return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault in the daemon; see its log")


def _error(status: int, message: str) -> JSONResponse:
    """One line, whatever the message quotes; what is not text in UTF-8 becomes a question mark."""
    line = "; ".join(message.splitlines()).encode("utf-8", "replace").decode()
    return JSONResponse({"error": line}, status_code=status)
