"""What a failed exchange says about itself, in a few words without addresses or keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT_S = 86_400
_LONGEST_REASON = 160
_KEYS = ("error", "message", "msg", "detail", "title")


def retry_after_s(header: str | None, now: datetime, missed_s: int = 60) -> int:
    """Seconds to wait by a ``Retry-After`` header: seconds or an HTTP date, 1 s to a day.

    ``missed_s`` where there is none or where it cannot be read.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        wait_s = int(text) if len(text) < 10 else LONGEST_WAIT_S
    else:
        try:
            moment = parsedate_to_datetime(text)
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            wait_s = round((aware - now).total_seconds())
        except (ValueError, OverflowError):
            wait_s = missed_s
    return min(max(wait_s, 1), LONGEST_WAIT_S)


def reason(body: bytes, scrubbed: Callable[[str], str]) -> str:
    """The reason that a body gives: a JSON text under a usual name, or one plain short line.

    ``scrubbed`` takes secrets out of it first: cut or escaped they could not be found any more.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace").strip()
        plain = text.isprintable() and len(text) <= _LONGEST_REASON and text[:1] not in "<{["
        return ascii(scrubbed(text))[1:-1] if plain else ""
    for _ in range(2):
        if not isinstance(document, dict):
            break
        found = [document.get(key) for key in _KEYS]
        document = next((one for one in found if one), None)
    if not isinstance(document, str):
        return ""
    return ascii(scrubbed(document)[:_LONGEST_REASON])[1:-1]


def cause(error: BaseException) -> str:
    """The innermost reason in a few words: libraries nest it and print addresses of objects."""
    chain = list(_nested(error))
    for one in reversed(chain):
        if isinstance(one, OSError) and isinstance(one.strerror, str):
            return f"cannot be reached: {one.strerror}"
    return f"the connection failed ({type(chain[-1]).__name__})"


def _nested(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = [getattr(error, "reason", None), *error.args, error.__cause__, error.__context__]
        error = next((one for one in inner if isinstance(one, BaseException)), None)
