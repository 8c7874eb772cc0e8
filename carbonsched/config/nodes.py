"""Nodes alike: what they draw, by declaration or by what is in them, and what making them cost."""

from __future__ import annotations

from typing import Self

from pydantic import ValidationInfo, field_validator, model_validator

from carbonsched.config.base import Section, cross_check, option
from carbonsched.config.quantities import (
    HostList,
    Lifetime,
    Megabytes,
    Milligrams,
    Percent,
    Watts,
)
from carbonsched.power import (
    DECLARED_UNCERTAINTY,
    TABLE_UNCERTAINTY,
    GpuPower,
    NodePower,
    gpu_power,
    node_power,
)
from carbonsched.site import NodeClass

_MB_PER_GB = 1024


class NodeClassConfig(Section):
    """Nodes alike in power; used where a node has no meter, and to predict."""

    nodes: HostList = option("The nodes, as a Slurm host list.", example="cn[001-120]")
    cpus: int = option("CPUs of one node as Slurm counts them.", example="128", ge=1, le=1_000_000)
    idle_w: Watts | None = option(
        "What the whole node draws at the wall when idle, without GPUs; with max, or neither and"
        " cpu instead.",
        example="95 W",
        key="idle",
        default=None,
        le=100_000,
    )
    max_w: Watts | None = option(
        "What the whole node draws with all CPUs busy, without GPUs.",
        example="410 W",
        key="max",
        default=None,
        le=100_000,
    )
    uncertainty_pct: Percent | None = option(
        "How far a model of these may be off (standard deviation); none:"
        f" {100 * DECLARED_UNCERTAINTY:.0f} % where idle and max are declared,"
        f" {100 * TABLE_UNCERTAINTY:.0f} % where they are from the tables.",
        example="15 %",
        key="uncertainty",
        default=None,
        gt=0,
        le=100,
    )
    cpu: str | None = option(
        "The processor's model, for its power by the shipped tables where idle and max are not"
        " known.",
        example="AMD EPYC 7742",
        default=None,
        min_length=1,
    )
    sockets: int | None = option(
        "How many processors a node has; required with cpu.",
        example="2",
        default=None,
        ge=1,
        le=64,
    )
    memory_mb: Megabytes | None = option(
        "The node's memory; required with cpu, and the measure for jobs' shares of its power.",
        example="256 GB",
        key="memory",
        default=None,
        ge=1,
        le=1024**3,
    )
    gpus: int = option(
        "GPUs of one node, to be declared where no meter shows them.",
        example="4",
        default=0,
        shown="0",
        ge=0,
        le=64,
    )
    gpu: str | None = option(
        "The GPU's model, for its power by the shipped tables.",
        example="NVIDIA A100 SXM4 80 GB",
        default=None,
        min_length=1,
    )
    gpu_idle_w: Watts | None = option(
        "What one GPU draws when idle; with gpu_max, in place of gpu.",
        example="55 W",
        key="gpu_idle",
        default=None,
        le=10_000,
    )
    gpu_max_w: Watts | None = option(
        "What one GPU draws when busy.",
        example="400 W",
        key="gpu_max",
        default=None,
        le=10_000,
    )
    embodied_mg: Milligrams | None = option(
        "CO2eq emitted in making one node; goes with lifetime. It stands on a line of its own and"
        " is charged to nobody.",
        example="1500 kg",
        key="embodied",
        default=None,
    )
    lifetime_s: Lifetime | None = option(
        "How long a node serves.",
        example="6 years",
        key="lifetime",
        default=None,
        gt=0,
        le=30 * 31_557_600,
    )

    @field_validator("max_w")
    @classmethod
    def _busy_draws_more(cls, value: float | None, info: ValidationInfo) -> float | None:
        idle = info.data.get("idle_w")
        if idle is not None and value is not None and value <= idle:
            raise ValueError(f"a busy node draws more than an idle one; raise it above {idle:g} W")
        return value

    @field_validator("gpu_max_w")
    @classmethod
    def _a_busy_gpu_draws_more(cls, value: float | None, info: ValidationInfo) -> float | None:
        idle = info.data.get("gpu_idle_w")
        if idle is not None and value is not None and value <= idle:
            raise ValueError(f"a busy GPU draws more than an idle one; raise it above {idle:g} W")
        return value

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        for one, other in (
            ("idle_w", "max_w"), ("gpu_idle_w", "gpu_max_w"), ("embodied_mg", "lifetime_s"),
        ):  # fmt: skip
            first, second = getattr(self, one), getattr(self, other)
            if (first is None) != (second is None):
                there, absent = (other, one) if first is None else (one, other)
                raise cross_check(
                    _key(there), f"{_key(absent)} goes with it; write both or neither"
                )
        return self

    @model_validator(mode="after")
    def _power_is_known(self) -> Self:
        if self.idle_w is None:
            if self.cpu is None:
                raise cross_check(
                    None, "says no power; write idle and max, or cpu, sockets and memory"
                )
            for name in ("sockets", "memory_mb"):
                if getattr(self, name) is None:
                    raise cross_check("cpu", f"{_key(name)} goes with it; add it")
        if self.gpu is not None and not self.gpus:
            raise cross_check("gpu", "gpus goes with it: how many of them a node has; add it")
        if self.gpus and self.gpu is None and self.gpu_idle_w is None:
            raise cross_check("gpus", "says no power; write gpu, or gpu_idle and gpu_max")
        return self

    @model_validator(mode="after")
    def _names_are_in_the_tables(self) -> Self:
        self._by_tables()
        return self

    def compiled(self) -> NodeClass:
        """The class with every figure that it declares or that the tables give.

        What is declared counts before what the tables say.
        """
        node, gpu = self._by_tables()
        idle_w, max_w, uncertainty = self.idle_w, self.max_w, DECLARED_UNCERTAINTY
        if idle_w is None or max_w is None:
            assert node is not None  # noqa: S101 - the checks above have seen to it
            idle_w, max_w, uncertainty = node.idle_w, node.max_w, node.uncertainty
        gpu_idle_w, gpu_max_w = self.gpu_idle_w, self.gpu_max_w
        if gpu_idle_w is None or gpu_max_w is None:
            gpu_idle_w, gpu_max_w = (gpu.idle_w, gpu.max_w) if gpu else (0.0, 0.0)
        if self.uncertainty_pct is not None:
            uncertainty = self.uncertainty_pct / 100
        return NodeClass(
            nodes=self.nodes,
            cpus=self.cpus,
            idle_w=idle_w,
            max_w=max_w,
            uncertainty=uncertainty,
            memory_mb=self.memory_mb or 0,
            gpus=self.gpus,
            gpu_idle_w=gpu_idle_w,
            gpu_max_w=gpu_max_w,
        )

    def _by_tables(self) -> tuple[NodePower | None, GpuPower | None]:
        """What the shipped tables say of the parts that are named."""
        node = gpu = None
        if self.cpu is not None and self.sockets is not None and self.memory_mb is not None:
            try:
                memory_gb = max(1, round(self.memory_mb / _MB_PER_GB))
                node = node_power(self.cpu, self.sockets, memory_gb, None)
            except ValueError as error:
                raise cross_check("cpu", str(error)) from None
        if self.gpu is not None:
            try:
                gpu = gpu_power(self.gpu)
            except ValueError as error:
                raise cross_check("gpu", str(error)) from None
        return node, gpu


def _key(name: str) -> str:
    """The field's name in the file."""
    return NodeClassConfig.model_fields[name].alias or name
