"""CPU time that jobs used and no control group shows any more."""

from __future__ import annotations

from collections.abc import Container, Sequence

from carbonsched.node.presence.runs import TrackedJob
from carbonsched.units import NS_PER_S, apportion

HELD_NS = NS_PER_S // 4
"""So much may be the skew of reading one group after the other, and waits for its owner."""


class UnseenCpu:
    """Compares Slurm's whole hierarchy, which forgets nothing, with the groups that are there.

    What the whole grew by, less what the groups grew by, was used by groups that are gone since
    they were last seen. Groups are read one after the other while their jobs run, so the balance
    may be off by a moment's work, either way; it is kept, so nothing adds up over time.
    """

    def __init__(self, hierarchy: int = 0, all_ns: int | None = None, balance_ns: int = 0) -> None:
        self._hierarchy = hierarchy
        self._all_ns = all_ns
        self._balance_ns = balance_ns

    def take_in(self, hierarchy: int, all_ns: int | None, seen_ns: int) -> None:
        """The hierarchy's count now, and what the groups that are there used since the last one."""
        if self._all_ns is None or (all_ns is not None and self._began_anew(hierarchy, all_ns)):
            self._balance_ns = 0
            self._hierarchy, self._all_ns = hierarchy, all_ns
            return
        self._balance_ns -= seen_ns
        if all_ns is not None:
            self._balance_ns += all_ns - self._all_ns
            self._all_ns = all_ns

    def settle(
        self,
        jobs: Sequence[TrackedJob],
        begin_ns: int,
        end_ns: int,
        used: dict[int, int],
        gone: Container[int],
    ) -> int:
        """Add to ``used`` what vanished groups used, by the identity of the run; what is nobody's.

        It goes to the runs that lost a group (``gone``) or ended without one; if there are none, to
        those present that may have had one between two samples; and by CPUs times time present.
        """
        without = [job for job in jobs if id(job) not in used]
        losers = [
            job
            for job in jobs
            if id(job) in gone or (id(job) not in used and job.end_ns is not None)
        ]
        if not losers:
            losers = [job for job in without if _weight(job, begin_ns, end_ns)]
        paid_ns = self._pay_out(owner_known=bool(losers))
        if not losers:
            return paid_ns
        weights = {n: max(1, _weight(job, begin_ns, end_ns)) for n, job in enumerate(losers)}
        for place, share_ns in apportion(paid_ns, weights).items():
            key = id(losers[place])
            used[key] = used.get(key, 0) + share_ns
        return 0

    def _pay_out(self, *, owner_known: bool) -> int:
        least = 0 if owner_known else HELD_NS
        paid = self._balance_ns if self._balance_ns > least else 0
        self._balance_ns -= paid
        return paid

    def _began_anew(self, hierarchy: int, all_ns: int) -> bool:
        """Slurm's top group was removed and made again, and counts from zero."""
        fell = self._all_ns is not None and all_ns < self._all_ns - HELD_NS
        return fell or hierarchy != self._hierarchy

    def to_state(self) -> list[int | None]:
        """For ``state.json``: the constructor's arguments."""
        return [self._hierarchy, self._all_ns, self._balance_ns]


def _weight(job: TrackedJob, begin_ns: int, end_ns: int) -> int:
    """CPUs times time present in an interval."""
    first, last = job.present_ns(begin_ns, end_ns)
    return (job.allocated or 1) * (last - first)
