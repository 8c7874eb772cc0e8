"""When each waiting job should start: a pure function of what is known now.

The daemon and the simulator call the same :func:`plan`; only clock and cluster differ.
"""

from carbonsched.planning.bounds import Bounds, DelayPolicy, bounds
from carbonsched.planning.planner import plan
from carbonsched.planning.request import (
    Busy,
    ClusterState,
    PlanningJob,
    PlanningParameters,
    PlanningRequest,
    QuotaHold,
)

__all__ = [
    "Bounds",
    "Busy",
    "ClusterState",
    "DelayPolicy",
    "PlanningJob",
    "PlanningParameters",
    "PlanningRequest",
    "QuotaHold",
    "bounds",
    "plan",
]
