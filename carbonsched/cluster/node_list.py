"""``sinfo -N``: the nodes, one row for each partition a node is in."""

from __future__ import annotations

from carbonsched.cluster.values import whole
from carbonsched.errors import ClusterError
from carbonsched.ports import Node

FORMAT = "%N|%c|%T|%R"  # names of nodes and partitions are the administrator's: no bars in them
_WORKING = frozenset({"idle", "mixed", "allocated", "completing", "planned"})
_POWER = "~#%!^-+"  # powered down or changing, planned by backfill: still takes work
_MAINTENANCE = "$"


def read_nodes(text: str) -> list[Node]:
    """The nodes in sinfo's order.

    Raises:
        ClusterError: it is not what was asked for.
    """
    found: dict[str, Node] = {}
    for line in text.splitlines():
        fields = line.split("|")
        cpus = whole(fields[1]) if len(fields) == 4 else None
        if cpus is None:
            raise ClusterError(f"sinfo answered something unexpected: {line!r}")
        name, _, state, partition = fields
        partitions = found[name].partitions if name in found else ()
        found[name] = Node(
            name=name,
            cpus=cpus,
            available=_available(state),
            partitions=(*partitions, partition),
            maintained=_maintained(state),
        )
    return list(found.values())


def _available(state: str) -> bool:
    """A trailing ``*`` means no answer, ``$`` maintenance, ``@`` and ``^`` a reboot ahead."""
    return state.lower().rstrip(_POWER) in _WORKING


def _maintained(state: str) -> bool:
    """``maint`` where it is idle, else what it does, as ``mixed$``."""
    name = state.lower()
    return name == "maint" or (name.endswith(_MAINTENANCE) and name[:-1] in _WORKING)
