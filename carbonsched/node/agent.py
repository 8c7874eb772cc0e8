"""The agent's one loop: sample, keep, hand over; wait for the next sample, a mark or a signal."""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Callable
from types import FrameType

from carbonsched.errors import ConfigError, MeterError
from carbonsched.node.accounts.metering import Metering
from carbonsched.node.clock import Clock
from carbonsched.node.delivery import Poster
from carbonsched.node.journal import Journal
from carbonsched.node.mark_gate import MarkGate
from carbonsched.node.marks import SentMark
from carbonsched.node.metrics import Status
from carbonsched.node.wiring import Roots, check_periods, wire
from carbonsched.site import Site
from carbonsched.units import NS_PER_S

STOP_PATIENCE_S = 5.0
KEEP_SAMPLES = 10
"""As long as nothing begins, ends or closes, the state is written once in so many samples..."""
KEEP_NS = 10 * NS_PER_S
"""...or when it is this old. Counters run on while no agent does, so the successor of one that was
killed knows what has been used since; it only divides that in one piece."""


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
        check_periods(site.agent)
        self._journal = journal
        parts = wire(node, site, roots, connect, journal, clock)
        self._clock = parts.clock
        self._settings = parts.settings
        self._panel = parts.panel
        self._observer = parts.observer
        self._spool = parts.spool
        self._inbox = parts.inbox
        self._marks = parts.marks
        self._delivery = parts.delivery
        self._handled: set[str] = set()
        self._gate = MarkGate(self._clock.steady_ns())
        self._stopping = False
        self._samples_left = 0
        self._kept_ns = self._clock.steady_ns()
        self._metering = self._resume()
        self._status = self._look_at_self(failed=True)
        self._exporter = parts.exporter(lambda: self._status)
        journal.say(
            f"metering with {self._panel.name}, segments of {site.agent.segment_s} s"
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
        try:
            self._start_exporter()
            self._delivery.start()
            while not self._stopping:
                self.sample()
                self._wait(wake)
            self._finish()
        finally:
            signal.set_wakeup_fd(before)
            wake.close()
            waker.close()
            self._marks.close()
            self._panel.close()
            self._spool.close()

    def _start_exporter(self) -> None:
        """Nobody's port may keep the node from being metered."""
        if self._exporter is None:
            return
        try:
            self._exporter.start()
        except ConfigError as error:
            self._journal.say(f"{error}; metering goes on without /metrics")

    def sample(self) -> None:
        """Observe, account, and keep what must not be lost."""
        if self._advance():
            self._samples_left -= 1
            if self._keeping_is_due():
                self._keep()

    def _keeping_is_due(self) -> bool:
        if self._handled or self._metering.closed or self._samples_left <= 0:
            return True
        return self._clock.steady_ns() - self._kept_ns >= KEEP_NS

    def _advance(self) -> bool:
        """Observe and account; ``False`` if the meter could not be read."""
        self._metering.jobs.end_from_slurm(self._delivery.ended())
        try:
            seen = self._observer.look(self._handled, self._metering.jobs.sluids())
        except MeterError as error:
            self._journal.trouble("meter", f"{error}; the next reading covers this time too")
            self._status = self._look_at_self(failed=True)
            return False
        self._journal.over("meter", "the meter can be read again")
        advanced = self._metering.advance(seen)
        if advanced:
            self._handled.update(event.name for event in seen.events)
            if (present := self._metering.jobs.present()) != self._delivery.present:
                self._delivery.present = present
                self._samples_left = 0
            self._status = self._look_at_self(failed=False)
        return advanced

    def _look_at_self(self, *, failed: bool) -> Status:
        """The snapshot that Prometheus is shown."""
        totals = self._metering.totals
        return Status(
            node=self._settings.node,
            meter=self._panel.name,
            spool=self._spool.root,
            quality=totals.quality,
            samples=totals.samples,
            sampled_at=None if totals.sampled_ns is None else totals.sampled_ns / NS_PER_S,
            delivered_at=self._delivery.delivered_at,
            node_uj=dict(totals.node_uj),
            consumed_uj=dict(totals.consumed_uj),
            job_w=None if failed else totals.job_w,
            # All from the start: a counter that appears later loses its first increase.
            meter_errors=dict.fromkeys(self._panel.keys, 0) | self._panel.errors,
            marks_ignored=self._marks.ignored,
            postponed=self._delivery.postponed,
        )

    def _keep(self) -> None:
        """State first, then the outbox, then the events go: see ``spool``."""
        state = self._metering.to_state() | {"handled": sorted(self._handled)}
        if not self._spool.save_state(state, durable=bool(self._metering.closed)):
            return
        self._samples_left, self._kept_ns = KEEP_SAMPLES, self._clock.steady_ns()
        if self._handled:
            self._inbox.forget(self._handled)
            self._handled = self._inbox.left(self._handled)
        waiting = [one for one in self._metering.closed if not self._spool.put(one)]
        self._metering.closed = waiting

    def _resume(self) -> Metering:
        fresh = self._metering_anew()
        state = self._spool.load_state()
        if state is None:
            return fresh
        resumed = self._metering_anew()
        try:
            resumed.load(state)
            self._handled = {str(name) for name in state["handled"]}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._spool.set_state_aside(f"{type(error).__name__}: {error}")
            return fresh
        return resumed

    def _metering_anew(self) -> Metering:
        return Metering(self._settings, self._panel, self._journal, self._clock.wall_ns())

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
        """Sample at once, so that the epoch's energy is that of its own interval.

        One sample is enough for marks that were sent before it, as the end of an epoch and the
        start of the next one are where the node is busy.
        """
        now_ns = self._clock.steady_ns()
        if self._gate.is_known(sent, now_ns):
            return
        if not self._gate.admits(now_ns):
            self._journal.trouble("marks", "more epoch marks than the node can meter: some ignored")
            self._marks.ignored += 1
            return
        known = self._metering.covers(sent.job_id, sent.mark.at_ns)
        if not known and not self._advance():
            self._marks.ignored += 1
            return
        job = self._metering.jobs.latest(sent.job_id)
        if job is None or job.uid not in (None, sent.uid):
            self._marks.ignored += 1
        else:
            self._metering.mark(job, sent.uid, sent.mark)
            self._gate.remember(sent, now_ns)
        self._keep()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _finish(self) -> None:
        self._advance()
        self._metering.close_early()
        self._keep()
        self._keep()  # once more without what the outbox has now
        self._delivery.stop(STOP_PATIENCE_S)
        if self._exporter is not None:
            self._exporter.stop()
        ignored = f"; {self._marks.ignored} marks ignored" if self._marks.ignored else ""
        self._journal.say(f"stopped{ignored}")
