"""How many CPUs are spoken for in each slot of the time ahead."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]


class Room:
    """A count of free CPUs by slot; the slots are aligned to the epoch and the first holds ``now``.

    A job that touches a slot takes its CPUs for the whole of it.
    """

    def __init__(self, cpus: int, now: int, until_at: int, slot_s: int) -> None:
        self._slot_s = slot_s
        self._base = now // slot_s
        slots = max(1, -(-until_at // slot_s) - self._base)
        self._free = np.full(slots, cpus, dtype=np.int64)

    def hold(self, start_at: int, end_at: int | None, cpus: int) -> None:
        """CPUs that are not to be had in ``[start_at, end_at)``; ``None`` for ever after."""
        first = max(0, start_at // self._slot_s - self._base)
        end = len(self._free) if end_at is None else max(0, self._end(end_at))
        self._free[first:end] -= cpus

    def fits(self, starts: npt.NDArray[np.int64], duration_s: int, cpus: int) -> Flags:
        """For each start, whether ``cpus`` are free throughout ``[start, start + duration_s)``."""
        tight = np.concatenate(([0], np.cumsum(self._free < cpus)))
        last = len(self._free)
        first = np.minimum(starts // self._slot_s - self._base, last)
        end = np.minimum(-(-(starts + duration_s) // self._slot_s) - self._base, last)
        result: Flags = tight[end] == tight[first]
        return result

    def take(self, start_at: int, duration_s: int, cpus: int) -> None:
        """Count a job's CPUs where it runs."""
        first = start_at // self._slot_s - self._base
        self._free[first : self._end(start_at + duration_s)] -= cpus

    def first_fit(self, start_at: int, duration_s: int, cpus: int) -> int | None:
        """The first slot with room from a start on, where the queue will let a job in.

        ``None`` where it fits nowhere: it will not run in the time looked at.
        """
        first = start_at // self._slot_s - self._base
        last = len(self._free)
        if first >= last:
            return None
        lacking = np.flatnonzero(self._free[first:] < cpus) + first
        if not lacking.size or lacking[0] >= min(self._end(start_at + duration_s), last):
            return start_at
        # Else it starts with a slot: the next one, or that after one that lacks CPUs.
        before = np.concatenate(([first], lacking))
        after = np.append(lacking, last + -(-duration_s // self._slot_s))
        fitting = np.flatnonzero((after - before - 1) * self._slot_s >= duration_s)
        slot = int(before[fitting[0]]) + 1
        return (slot + self._base) * self._slot_s if slot < last else None

    def _end(self, at: int) -> int:
        return -(-at // self._slot_s) - self._base
