"""Which meters a node has."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from carbonsched.errors import MeterError
from carbonsched.node.journal import Journal
from carbonsched.node.meters.choice import Sources
from carbonsched.node.meters.cray import CrayMeter
from carbonsched.node.meters.gpu_hwmon import GpuHwmonMeter
from carbonsched.node.meters.hwmon import HwmonMeter
from carbonsched.node.meters.ipmi import IpmiMeter
from carbonsched.node.meters.limited import LimitedBoard, LimitedGpus, Worker
from carbonsched.node.meters.model import ModelledGpus, ModelMeter
from carbonsched.node.meters.nvml import NvmlMeter
from carbonsched.node.meters.panel import Panel
from carbonsched.node.meters.rapl import RaplMeter
from carbonsched.node.meters.sources import Source
from carbonsched.site import AgentSite, NodeClass


def find_panel(
    node: str, node_class: NodeClass | None, agent: AgentSite, sysfs: Path, journal: Journal
) -> Panel:
    """The node's meters, and its declared model where it has one; never a default wattage.

    Raises:
        MeterError: a meter is there but refuses, or there is neither meter nor model.
        ConfigError: the node's power class does not make sense, or IPMI is set and cannot be had.
    """
    model = None if node_class is None else ModelMeter(node_class)
    modelled_gpus = ModelledGpus(node_class) if node_class and node_class.gpus else None
    max_w = None if node_class is None else node_class.max_w
    declared_gpus = 0 if node_class is None else node_class.gpus
    rapl = Source(RaplMeter.key, lambda: RaplMeter.find(sysfs, max_w, journal))
    cray = Source(CrayMeter.key, lambda: CrayMeter.find(sysfs, journal, declared_gpus))
    gpus = (_nvml(sysfs, journal), _gpu_hwmon(sysfs, journal))
    hwmon = _hwmon(sysfs, journal)
    rapl.start()
    failures = [_started(source, journal) for source in (cray, hwmon)]
    for source in gpus:
        _started(source, journal)
    has_board = hwmon.meter is not None and hwmon.meter.has_node
    needs_ipmi = cray.meter is None and not has_board
    panel = Panel(
        Sources(
            rapl=rapl,
            cray=cray,
            gpus=gpus,
            hwmon=hwmon,
            ipmi=_ipmi(agent, journal, needed=needs_ipmi),
            model=model,
            modelled_gpus=modelled_gpus,
            declared_gpus=declared_gpus,
        ),
        journal,
    )
    if not panel.sees_system and model is None:
        panel.close()
        raise next((one for one in failures if one is not None), None) or MeterError(
            f"node {node} has no power meter under {sysfs} and no power class; declare cpus, idle"
            " and max for it in the cluster's 'nodes' and run 'carbonsched config compile'"
        )
    return panel


def _started(source: Source[Any], journal: Journal) -> MeterError | None:
    """Look for a meter without which the node may do; what is wrong with it is said."""
    try:
        source.start()
    except MeterError as error:
        journal.trouble(f"meter {source.key}", f"{error}; not used")
        return error
    return None


def _nvml(sysfs: Path, journal: Journal) -> Source[LimitedGpus]:
    worker = Worker("nvml")

    def find() -> LimitedGpus | None:
        meter = NvmlMeter.find(journal, sysfs)
        return None if meter is None else LimitedGpus(meter, worker)

    return Source(NvmlMeter.key, find, worker)


def _gpu_hwmon(sysfs: Path, journal: Journal) -> Source[LimitedGpus]:
    worker = Worker("gpu-hwmon")

    def find() -> LimitedGpus | None:
        meter = GpuHwmonMeter.find(sysfs, journal)
        return None if meter is None else LimitedGpus(meter, worker)

    return Source(GpuHwmonMeter.key, find, worker)


def _hwmon(sysfs: Path, journal: Journal) -> Source[LimitedBoard]:
    worker = Worker("hwmon")

    def find() -> LimitedBoard | None:
        meter = HwmonMeter.find(sysfs, journal)
        return None if meter is None else LimitedBoard(meter, worker)

    return Source(HwmonMeter.key, find, worker)


def _ipmi(agent: AgentSite, journal: Journal, *, needed: bool) -> IpmiMeter | None:
    if agent.ipmi_s and not needed:
        journal.say("the board's own meter is used: agent.ipmi_s is not needed here")
        return None
    return IpmiMeter.start(
        agent.ipmi_s, journal, lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    )
