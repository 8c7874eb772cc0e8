"""From the site file and the machine's folders to the parts of an agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from carbonsched.errors import ConfigError
from carbonsched.node.clock import Clock, SystemClock
from carbonsched.node.delivery import Delivery, Poster, Sender
from carbonsched.node.exporter import Exporter, parse_address
from carbonsched.node.journal import Journal
from carbonsched.node.marks import MarkSocket
from carbonsched.node.meters.find import find_panel
from carbonsched.node.meters.model import node_class_of
from carbonsched.node.meters.panel import Panel
from carbonsched.node.metrics import Status
from carbonsched.node.observation import NodeSettings
from carbonsched.node.observing import Observer
from carbonsched.node.presence.cgroups import JobCgroups, NodeCpu
from carbonsched.node.presence.events import Inbox
from carbonsched.node.spool import Spool
from carbonsched.site import AgentSite, NodeClass, Site

SHORTEST_SAMPLE_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """Where the kernel's file systems are mounted."""

    sysfs: Path = Path("/sys")
    procfs: Path = Path("/proc")
    cgroupfs: Path = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the loop works with; ``metrics`` is the address for Prometheus, if any."""

    settings: NodeSettings
    clock: Clock
    panel: Panel
    observer: Observer
    spool: Spool
    inbox: Inbox
    marks: MarkSocket
    delivery: Delivery
    metrics: str | None
    journal: Journal

    def exporter(self, status: Callable[[], Status]) -> Exporter | None:
        """Shows a status to Prometheus, where the site wants that; not started."""
        return None if self.metrics is None else Exporter(self.metrics, status, self.journal)


def wire(
    node: str,
    site: Site,
    roots: Roots,
    connect: Callable[[], Poster],
    journal: Journal,
    clock: Clock | None,
) -> Parts:
    """All parts of a node's agent.

    Raises:
        CarbonschedError: no meter, a spool that cannot be used, or one that another agent uses.
    """
    if site.agent.metrics:
        parse_address(site.agent.metrics)  # nothing is begun that would have to be undone
    clock = clock or SystemClock(roots.procfs)
    node_cpu = NodeCpu(roots.procfs)
    node_class = node_class_of(node, site.node_classes)
    panel = find_panel(node, node_class, site.agent, roots.sysfs, journal)
    cgroups = JobCgroups(roots.cgroupfs, roots.procfs, node)
    spool = Spool(Path(site.agent.spool.replace("%n", node)), journal)
    inbox = Inbox(spool.root, node, journal, clock)
    return Parts(
        settings=_settings(node, site, clock.boot_id, node_class, node_cpu, roots.procfs),
        clock=clock,
        panel=panel,
        observer=Observer(panel, cgroups, node_cpu, inbox, clock),
        spool=spool,
        inbox=inbox,
        marks=MarkSocket(Path(site.agent.socket.replace("%n", node)), cgroups),
        delivery=Delivery(
            spool, connect, site.agent.delivery_s, journal, Sender(site.cluster, node)
        ),
        metrics=site.agent.metrics,
        journal=journal,
    )


def check_periods(agent: AgentSite) -> None:
    """The site file is compiled from checked settings, but somebody may have edited it."""
    for name, least in (("sample_s", SHORTEST_SAMPLE_S), ("delivery_s", SHORTEST_SAMPLE_S)):
        if not isinstance(getattr(agent, name), int | float) or getattr(agent, name) < least:
            raise ConfigError([f"agent.{name} must be at least {least} seconds"])
    if not isinstance(agent.segment_s, int) or agent.segment_s < 1:
        raise ConfigError(["agent.segment_s must be a whole number of seconds, at least 1"])


def _settings(
    node: str,
    site: Site,
    boot_id: str,
    node_class: NodeClass | None,
    node_cpu: NodeCpu,
    procfs: Path,
) -> NodeSettings:
    """What is declared counts, then what the machine shows."""
    cpus = node_cpu.count() if node_class is None else node_class.cpus
    memory_mb = 0 if node_class is None else node_class.memory_mb
    return NodeSettings(
        cluster=site.cluster,
        node=node,
        boot_id=boot_id,
        cpus=max(1, cpus),
        sample_s=site.agent.sample_s,
        segment_s=site.agent.segment_s,
        memory_mb=memory_mb or _memory_mb(procfs),
        idle_w=None if node_class is None else node_class.idle_w,
    )


def _memory_mb(procfs: Path) -> int:
    """The machine's memory by proc(5); 0 if unreadable."""
    try:
        text = (procfs / "meminfo").read_text(encoding="ascii")
        words = next(line for line in text.splitlines() if line.startswith("MemTotal:")).split()
        return int(words[1]) // 1024
    except (OSError, ValueError, IndexError, StopIteration):
        return 0
