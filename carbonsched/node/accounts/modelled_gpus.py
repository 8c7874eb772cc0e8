"""GPUs of which only declared power is known: they draw more than idle where a job has them."""

from __future__ import annotations

from collections.abc import Sequence

from carbonsched.model.energy import Domain, Quality
from carbonsched.node.meters.meter import DomainEnergy
from carbonsched.node.meters.model import as_allocated
from carbonsched.node.presence.stays import Stay


def by_allocation(
    energies: tuple[DomainEnergy, ...], stays: Sequence[Stay], length_ns: int
) -> tuple[DomainEnergy, ...]:
    """The same energies with those of modelled GPUs as they were allocated.

    A panel tells no modelled GPU where the whole node is metered, so there is no sum that this
    could spoil.
    """
    return tuple(
        as_allocated(one, _had_ns(one.device, stays), length_ns) if _is_modelled_gpu(one) else one
        for one in energies
    )


def _is_modelled_gpu(energy: DomainEnergy) -> bool:
    return energy.domain is Domain.GPU and energy.quality is Quality.MODELLED


def _had_ns(device: str, stays: Sequence[Stay]) -> int:
    """Presence times share of those who could use it, summed."""
    had_ns = 0
    for stay in stays:
        numerator, denominator = stay.gpus.get(device, (0, 1))
        if not stay.suspended:
            had_ns += (stay.end_ns - stay.begin_ns) * numerator // denominator
    return had_ns
