"""Names of users, where Slurm gives only a number."""

from __future__ import annotations

import pwd


def user_name(uid: int) -> str:
    """The user's name on this machine, or the number where nobody has it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
