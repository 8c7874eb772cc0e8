"""The agent's one loop: sample, keep, hand over; wait for the next sample, a mark or a signal."""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from carbonsched.errors import ConfigError, MeterError
from carbonsched.node.cgroups import JobCgroups, NodeCpu
from carbonsched.node.clock import Clock, SystemClock
from carbonsched.node.delivery import Delivery, Poster
from carbonsched.node.events import Event, Inbox
from carbonsched.node.journal import Journal
from carbonsched.node.marks import MarkSocket, SentMark
from carbonsched.node.metering import Metering, NodeSettings, Observation
from carbonsched.node.meters import Meter, choose_meter, node_class_of
from carbonsched.node.spool import Spool
from carbonsched.site import AgentSite, Site
from carbonsched.units import NS_PER_S

MARKS_A_SECOND = 20
"""Marks beyond this rate are ignored: each one costs a sample, and a job may not tax the node."""
STOP_PATIENCE_S = 5.0
SHORTEST_SAMPLE_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """Where the kernel's file systems are mounted."""

    sysfs: Path = Path("/sys")
    procfs: Path = Path("/proc")
    cgroupfs: Path = Path("/sys/fs/cgroup")


class Agent:
    """Meters one node until it is told to stop."""

    def __init__(
        self,
        node: str,
        site: Site,
        roots: Roots,
        connect: Callable[[], Poster],
        journal: Journal,
        clock: Clock | None = None,
    ) -> None:
        _check_periods(site.agent)
        self._journal = journal
        self._clock = clock or SystemClock(roots.procfs)
        self._node_cpu = NodeCpu(roots.procfs)
        node_class = node_class_of(node, site.node_classes)
        self._meter: Meter = choose_meter(node, node_class, roots.sysfs)
        self._settings = NodeSettings(
            cluster=site.cluster,
            node=node,
            boot_id=self._clock.boot_id,
            cpus=node_class.cpus if node_class is not None else max(1, self._node_cpu.count()),
            sample_s=site.agent.sample_s,
            segment_s=site.agent.segment_s,
        )
        self._cgroups = JobCgroups(roots.cgroupfs, roots.procfs, node)
        self._spool = Spool(Path(site.agent.spool.replace("%n", node)), journal)
        self._inbox = Inbox(self._spool.root, node, journal)
        self._marks = MarkSocket(Path(site.agent.socket.replace("%n", node)), self._cgroups)
        self._delivery = Delivery(self._spool, connect, site.agent.delivery_s, journal)
        self._handled: set[str] = set()
        self._marks_left = float(MARKS_A_SECOND)
        self._marks_refilled_ns = self._clock.steady_ns()
        self._stopping = False
        self._metering = self._resume()
        journal.say(
            f"metering with {self._meter.name}, segments of {site.agent.segment_s} s"
            f" to {site.daemon_url}"
        )

    def run(self) -> None:
        """Until SIGTERM or SIGINT; then close what is open, keep it, and try to deliver it."""
        wake, waker = socket.socketpair()
        for end in (wake, waker):
            end.setblocking(False)  # noqa: FBT003 - the socket's own signature
        before = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._delivery.start()
        try:
            while not self._stopping:
                self.sample()
                self._wait(wake)
            self._finish()
        finally:
            signal.set_wakeup_fd(before)
            wake.close()
            waker.close()
            self._marks.close()
            self._spool.close()

    def sample(self) -> None:
        """Observe, account, keep."""
        if self._advance():
            self._keep()

    def _advance(self) -> bool:
        """Observe and account; ``False`` if the meter could not be read."""
        try:
            seen = self._observe()
            advanced = self._metering.advance(seen)
        except MeterError as error:
            self._journal.trouble("meter", f"{error}; the next reading covers this time too")
            return False
        self._journal.over("meter", "the meter can be read again")
        if advanced:
            self._handled.update(event.name for event in seen.events)
        return advanced

    def _observe(self) -> Observation:
        """Counters first, then events: an event of later than the counters waits its turn."""
        counters = self._meter.read()
        readings = tuple(self._cgroups.read())
        node_cpu_ns = self._node_cpu.busy_ns() if self._meter.sees_system else None
        wall_ns, steady_ns = self._clock.wall_ns(), self._clock.steady_ns()
        events: tuple[Event, ...] = tuple(self._inbox.read(wall_ns, self._handled))
        return Observation(
            wall_ns=wall_ns,
            steady_ns=steady_ns,
            counters=counters,
            readings=readings,
            events=events,
            node_cpu_ns=node_cpu_ns,
        )

    def _keep(self) -> None:
        """State first, then the outbox, then the events go: see ``spool``."""
        state = self._metering.to_state() | {"handled": sorted(self._handled)}
        if not self._spool.save_state(state, durable=bool(self._metering.closed)):
            return
        if self._handled:
            self._inbox.forget(self._handled)
            self._handled = self._inbox.left(self._handled)
        waiting = [one for one in self._metering.closed if not self._spool.put(one)]
        self._metering.closed = waiting

    def _resume(self) -> Metering:
        fresh = Metering(self._settings, self._meter, self._journal, self._clock.wall_ns())
        state = self._spool.load_state()
        if state is None:
            return fresh
        resumed = Metering(self._settings, self._meter, self._journal, self._clock.wall_ns())
        try:
            resumed.load(state)
            self._handled = {str(name) for name in state["handled"]}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._spool.set_state_aside(f"{type(error).__name__}: {error}")
            return fresh
        return resumed

    def _wait(self, wake: socket.socket) -> None:
        """Until the next sample is due, taking in marks as they come."""
        due_ns = self._clock.steady_ns() + self._until_next_sample_ns()
        while not self._stopping:
            left_s = (due_ns - self._clock.steady_ns()) / NS_PER_S
            if left_s <= 0:
                return
            ready, _, _ = select.select([self._marks.fileno(), wake.fileno()], [], [], left_s)
            if self._marks.fileno() in ready:
                for sent in self._marks.receive():
                    self._take_mark(sent)

    def _until_next_sample_ns(self) -> int:
        """Samples fall on whole periods of the wall clock, and so on every grid line."""
        period_ns = max(1, round(self._settings.sample_s * NS_PER_S))
        now_ns = self._clock.wall_ns()
        grid_ns = self._settings.segment_s * NS_PER_S
        return min(period_ns - now_ns % period_ns, grid_ns - now_ns % grid_ns)

    def _take_mark(self, sent: SentMark) -> None:
        """Sample at once, so that the epoch's energy is that of its own interval."""
        if not self._mark_allowed() or not self._advance():
            self._marks.ignored += 1
            return
        job = self._metering.jobs.latest(sent.job_id)
        if job is None or job.uid not in (None, sent.uid):
            self._marks.ignored += 1
        else:
            self._metering.mark(job, sent.uid, sent.mark)
        self._keep()

    def _mark_allowed(self) -> bool:
        now_ns = self._clock.steady_ns()
        refill = (now_ns - self._marks_refilled_ns) / NS_PER_S * MARKS_A_SECOND
        self._marks_left = min(float(MARKS_A_SECOND), self._marks_left + refill)
        self._marks_refilled_ns = now_ns
        if self._marks_left < 1:
            self._journal.trouble("marks", "more epoch marks than the node can meter: some ignored")
            return False
        self._marks_left -= 1
        return True

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _finish(self) -> None:
        self._advance()
        self._metering.close_early()
        self._keep()
        self._keep()  # once more without what the outbox has now
        self._delivery.stop(STOP_PATIENCE_S)
        ignored = f"; {self._marks.ignored} marks ignored" if self._marks.ignored else ""
        self._journal.say(f"stopped{ignored}")


def _check_periods(agent: AgentSite) -> None:
    """The site file is compiled from checked settings, but somebody may have edited it."""
    for name, least in (("sample_s", SHORTEST_SAMPLE_S), ("delivery_s", SHORTEST_SAMPLE_S)):
        if not isinstance(getattr(agent, name), int | float) or getattr(agent, name) < least:
            raise ConfigError([f"agent.{name} must be at least {least} seconds"])
    if not isinstance(agent.segment_s, int) or agent.segment_s < 1:
        raise ConfigError(["agent.segment_s must be a whole number of seconds, at least 1"])
