"""One look at everything: meters, control groups, events, clocks."""

from __future__ import annotations

from collections.abc import Mapping

from carbonsched.node.clock import Clock
from carbonsched.node.meters.panel import Panel
from carbonsched.node.observation import Observation
from carbonsched.node.presence.cgroups import JobCgroups, NodeCpu
from carbonsched.node.presence.events import Event, Inbox
from carbonsched.node.presence.gpus import resolve


class Observer:
    """Reads what a sample needs."""

    def __init__(
        self, panel: Panel, cgroups: JobCgroups, node_cpu: NodeCpu, inbox: Inbox, clock: Clock
    ) -> None:
        self._panel = panel
        self._cgroups = cgroups
        self._node_cpu = node_cpu
        self._inbox = inbox
        self._clock = clock

    def look(self, handled: set[str], sluids: Mapping[str, int]) -> Observation:
        """The instant first, then counters, then events: one of later than that waits its turn.

        ``handled`` are names of events that were taken in before, ``sluids`` the jobs of which the
        prolog told under which name Slurm keeps their control group.

        Raises:
            MeterError: the meter on which all the others build cannot be read.
        """
        wall_ns, steady_ns = self._clock.wall_ns(), self._clock.steady_ns()
        meters = self._panel.read(steady_ns)
        cgroups = self._cgroups.read(sluids)
        node_cpu_ns = self._node_cpu.busy_ns() if self._panel.sees_system else None
        events = tuple(self._inbox.read(wall_ns, handled))
        self._find_gpus(events)
        return Observation(
            wall_ns=wall_ns,
            steady_ns=steady_ns,
            meters=meters,
            cgroups=cgroups,
            events=events,
            node_cpu_ns=node_cpu_ns,
        )

    def _find_gpus(self, events: tuple[Event, ...]) -> None:
        """Look again, once, if a job was given a GPU that is not known: an instance made lately."""
        if not events:
            return
        known = self._panel.gpus()
        if any(resolve(event.gpus, event.visible, known).unknown for event in events):
            self._panel.look()
