"""Host lists as Slurm's answers hold them: with words where there is no host."""

from __future__ import annotations

from carbonsched.model.hostlist import expand


def expand_hosts(text: str) -> tuple[str, ...]:
    """The single names; none for ``None assigned``, ``(null)`` and whatever is no host list."""
    try:
        return tuple(expand(text))
    except ValueError:
        return ()
