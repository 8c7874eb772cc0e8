"""CPU time of processes that belong to no job."""

from __future__ import annotations

from carbonsched.units import NS_PER_S

OWED_NS = NS_PER_S


class SystemCpu:
    """The node's CPU time less its jobs', over many samples never more than that.

    ``/proc/stat`` counts in ticks, and not at the instant at which control groups are read, so the
    difference of one sample may be less than nothing. Later ones pay for that; were it merely
    dropped, what jobs use would become the system's, a tick of jitter at a time.
    """

    def __init__(self, owed_ns: int = 0) -> None:
        self.owed_ns = owed_ns
        """What samples to come have to pay."""

    def beyond(self, jobs_ns: int, other_ns: int, whole_ns: int) -> int:
        """Nanoseconds of a sample; at least ``other_ns``, which control groups of no job counted.

        No more than a second is owed: jobs whose CPU time is found late may bring much of it.
        """
        left_ns = whole_ns - jobs_ns - self.owed_ns
        told_ns = max(other_ns, left_ns)
        self.owed_ns = min(told_ns - left_ns, OWED_NS)
        return told_ns
