"""The words by which the daemon and the submit plug-in mark a job that a quota holds."""

from __future__ import annotations

import re

QUOTA_NOTE = "carbonsched:quota"
"""How the admin comment of a held job begins, whoever of the two has held it."""

_OWNERS_BEGIN = re.compile(r"carbonsched:quota begin=([0-9]{1,12}) ")


def owners_begin_in(admin_comment: str) -> int | None:
    """The begin time that the owner had asked for when the plug-in put the job off."""
    found = _OWNERS_BEGIN.match(admin_comment)
    return int(found[1]) if found else None


def quota_note(text: str, until_at: int) -> str:
    """The admin comment of a job that the daemon holds.

    The plug-in reads ``until``: an ordinary user may not move the start before it.
    """
    return f"{QUOTA_NOTE} {text} (until={until_at})"
