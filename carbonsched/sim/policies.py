"""The policies that a simulation can follow."""

from __future__ import annotations

from carbonsched.planning import PlanningParameters
from carbonsched.sim.carbon import CarbonPolicy
from carbonsched.sim.engine import Decision, Policy, Running, Start, Waiting
from carbonsched.sim.names import IMMEDIATE, knowing_name, told
from carbonsched.sim.peers import NAMES as PEERS
from carbonsched.sim.peers.policy import PeerPolicy
from carbonsched.sim.scenario import Run, Scenario
from carbonsched.sim.truths import knowing


class ImmediatePolicy:
    """Every job may start when it is submitted: a cluster without carbonsched."""

    name = IMMEDIATE
    replan_s: int | None = None

    def decide(
        self, now: int, waiting: tuple[Waiting, ...], running: tuple[Running, ...]
    ) -> Decision:
        """Now, for each."""
        del running
        return Decision(starts={one.job.job_id: Start(at=now) for one in waiting})

    def ended(self, run: Run) -> None:
        """Nothing is learnt."""


def make_policy(name: str, scenario: Scenario, parameters: PlanningParameters) -> Policy:
    """The policy of that name; ``carbon+run-times`` is one that knows a truth.

    Raises:
        RequestError: there is none of that name.
    """
    truths = told(name)
    if name == IMMEDIATE:
        return ImmediatePolicy()
    if name in PEERS:
        return PeerPolicy(name, scenario)
    return CarbonPolicy(scenario, parameters, knowing(scenario, truths), knowing_name(truths))
