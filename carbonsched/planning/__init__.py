"""When each waiting job should start: a pure function of what is known now.

The daemon and the simulator call the same :func:`plan`; only clock and cluster differ.
"""

from carbonsched.planning.bounds import Bounds, DelayPolicy, bounds
from carbonsched.planning.expected import Usual, expected_by_hour, last_wait_s
from carbonsched.planning.planner import Planned, plan
from carbonsched.planning.request import (
    Busy,
    ClusterState,
    Expected,
    Pausable,
    Place,
    PlanningJob,
    PlanningParameters,
    PlanningRequest,
    Prices,
    QuotaHold,
    Reserved,
)

__all__ = [
    "Bounds",
    "Busy",
    "ClusterState",
    "DelayPolicy",
    "Expected",
    "Pausable",
    "Place",
    "Planned",
    "PlanningJob",
    "PlanningParameters",
    "PlanningRequest",
    "Prices",
    "QuotaHold",
    "Reserved",
    "Usual",
    "bounds",
    "expected_by_hour",
    "last_wait_s",
    "plan",
]
