"""``scontrol show partition -o``: the partitions with their states and bounds, one a line."""

from __future__ import annotations

import re

from carbonsched.cluster.values import limit_s, whole
from carbonsched.errors import ClusterError
from carbonsched.ports import Partition

_FIRST = "PartitionName="
_FIELD = re.compile(r"(?:^| )(PartitionName|MaxNodes|MaxTime|MinNodes|State)=(\S+)")


def read_partitions(text: str) -> list[Partition]:
    """The partitions in Slurm's order.

    Raises:
        ClusterError: it is not what was asked for.
    """
    return [_read(line) for line in text.splitlines() if line.startswith(_FIRST)]


def _read(line: str) -> Partition:
    fields = dict(_FIELD.findall(line))
    try:
        return Partition(
            name=fields["PartitionName"],
            state=fields["State"].upper(),
            max_time_s=limit_s(fields["MaxTime"]),
            max_nodes=whole(fields["MaxNodes"]),
            min_nodes=whole(fields["MinNodes"]) or 0,
        )
    except KeyError as error:
        raise ClusterError(f"scontrol tells a partition without {error}: {line!r}") from None
