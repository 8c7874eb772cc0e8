"""Wiring: the one place that knows which adapter stands behind which port."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from carbonsched.accounting import Budgets, Embodied, EmbodiedNodes
from carbonsched.cluster.command_line import CommandLineCluster
from carbonsched.config.schema import ClusterConfig, SiteConfig
from carbonsched.errors import ConfigError
from carbonsched.facility.build import build_readers
from carbonsched.intensity.build import Chains, build_chains
from carbonsched.ledger import Ledger
from carbonsched.planning import DelayPolicy, PlanningParameters
from carbonsched.ports import Clock, Pue
from carbonsched.services.access import Access
from carbonsched.services.adopt import AdoptJobs
from carbonsched.services.advice import Advice
from carbonsched.services.audit import Audits
from carbonsched.services.backend import ServiceBackend
from carbonsched.services.budgets import JobBudgets
from carbonsched.services.fetch import FetchIntensity
from carbonsched.services.grid import Grid, Zone
from carbonsched.services.housekeeping import KeepHouse
from carbonsched.services.ingest import TakeReadings
from carbonsched.services.learning import Learning
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.moves import Moves
from carbonsched.services.outlook import IntensityTools, Outlook
from carbonsched.services.own import OwnForecasts
from carbonsched.services.pieces import Pieces, StopPolicy
from carbonsched.services.pilots import Pilots
from carbonsched.services.place import PlaceJobs
from carbonsched.services.plan import PlanStarts
from carbonsched.services.planning_request import PlanningRequests
from carbonsched.services.predict import PredictJobs
from carbonsched.services.presence import Presence
from carbonsched.services.pue import ArchivedPue, ConstantPue, FetchPue, Since, TablePue
from carbonsched.services.quotas import Quotas
from carbonsched.services.reopen import KeepActuals
from carbonsched.services.settle import SettleJobs
from carbonsched.services.shadow import ShadowReports
from carbonsched.services.snapshot import PublishSnapshot, SnapshotFile
from carbonsched.services.statement import Statements
from carbonsched.services.stops import StopRuns
from carbonsched.services.ticks import Ticks, WriterLock
from carbonsched.services.use import Use
from carbonsched.services.views import Views
from carbonsched.transport.munge import Munge

LEDGER = "ledger.db"
LOCK = "writer.lock"
CATCH_UP = "catch-up"
CATCH_UP_EVERY_S = 60.0
"""How often zones are asked for again whose provider's turn had not come: none is paced slower."""
SNAPSHOT_VALID_TICKS = 10
"""For how many quota ticks the submit plug-in trusts a snapshot after the daemon has gone."""


class SystemClock:
    """The host's clock."""

    def now(self) -> int:
        """Whole epoch seconds."""
        return int(time.time())


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A built daemon: its API's backend, its ticks with their periods, its ledger."""

    ledger: Ledger
    backend: ServiceBackend
    ticks: Ticks
    periods_s: dict[str, float]
    munge: Munge
    intensity: IntensityTools

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()


HORIZON_S = 56 * 3600
MOST_SLOTS = 3360
"""A plan looks no more slots ahead, so that short ones do not make it slow."""


def build(config: SiteConfig) -> Application:
    """Wire everything from a checked configuration.

    Raises:
        ConfigError: the state directory cannot be used.
        LedgerError: the ledger cannot be opened.
    """
    clock = SystemClock()
    _prepare_state(config)
    ledger = Ledger(config.site.state_dir / LEDGER)
    lock = WriterLock(config.site.state_dir / LOCK)
    time_zone = config.site.time_zone
    settle_lag_s = config.planning.settle_lag_s
    readers = build_readers(config.clusters)
    clusters = Clusters(
        [
            _managed(one, _pue(one, time_zone, settle_lag_s, ledger, clock))
            for one in config.clusters
        ]
    )
    chains = build_chains(config.zones, clock)
    grid = Grid(ledger.archive, _zones(config, chains), settle_lag_s)
    keeper = KeepActuals(clusters, ledger, clock)
    fetch = FetchIntensity(
        chains.providers, ledger, clock, settle_lag_s, keeper=keeper, writer=lock.held,
        rankings=chains.ranking, own=OwnForecasts(ledger.archive, grid),
    )  # fmt: skip
    adopt = AdoptJobs(clusters, ledger, clock)
    stopping = _stopping(config)
    predict = PredictJobs(clusters, ledger, grid, clock, stopping.cost_s)
    monthly = Budgets.of((one.user, one.account, one.monthly_mg) for one in config.quotas)
    quotas = Quotas(monthly, ledger, predict, time_zone)
    shadow = config.planning.mode == "shadow"
    learning = Learning(clusters, ledger)
    pieces = Pieces(ledger, learning, _policy(config), stopping)
    requests = PlanningRequests(
        ledger, grid, quotas, learning, _policy(config), _parameters(config), pieces,
        shadow=shadow,
    )  # fmt: skip
    moves = Moves(ledger, config.planning.max_moves)
    stops = StopRuns(ledger, pieces, stopping, clock)
    pilots = Pilots(ledger, pieces, shadow=shadow)
    plan = PlanStarts(clusters, ledger, requests, quotas, clock, moves, stops, pilots)
    presence = Presence()
    settle = SettleJobs(
        clusters, ledger, grid, predict, quotas, presence, clock, time_zone,
        _missing_after_s(config),
    )  # fmt: skip
    use = Use(clusters, ledger, grid, settle, clock)
    budgets = JobBudgets(clusters, ledger, predict, use, stopping, clock)
    works = {
        "intensity": fetch.run,
        CATCH_UP: fetch.catch_up,
        **({"pue": FetchPue(readers, ledger, clock, lock.held).run} if readers else {}),
        "adopt": lambda: f"{adopt.run()} jobs pending or active",
        "plan": lambda: f"{predict.run()} jobs predicted, {budgets.run()}, {plan.run()}",
        "settle": settle.run,
        "housekeeping": KeepHouse(ledger, clock).run,
    }
    snapshot = _snapshot(config)
    if snapshot is not None:
        works["quota"] = PublishSnapshot(quotas, clusters, grid, clock.now, snapshot).run
    ticks = Ticks(works, lock, clock, fetch={"intensity", CATCH_UP, "pue"})
    views = Views(clusters, ledger, grid, predict, settle, clock, quotas, budgets)
    statements = Statements(
        config.site.name, time_zone, clusters, ledger, grid, quotas, settle, views, clock
    )
    outlook = Outlook(grid, clock)
    backend = ServiceBackend(
        Access(config.site.operators), lock, ticks, clusters, ledger, adopt, predict, plan,
        TakeReadings(clusters, ledger, presence, clock), quotas,
        Advice(ledger, predict, quotas, clock, time_zone, pieces, budgets),
        PlaceJobs(clusters, ledger, predict, requests, clock), views, statements,
        Audits(clusters, ledger, clock), ShadowReports(clusters, ledger, settle, clock), outlook,
        clock,
    )  # fmt: skip
    return Application(
        ledger=ledger,
        backend=backend,
        ticks=ticks,
        periods_s=_periods(config, works),
        munge=Munge(config.daemon.munge_socket),
        intensity=IntensityTools(
            grid=grid, outlook=outlook, fetch=fetch, keeper=keeper, lock=lock, clock=clock
        ),
    )


def _periods(config: SiteConfig, names: Iterable[str]) -> dict[str, float]:
    """How often each tick comes, in seconds."""
    ticks = config.daemon.ticks
    given = {name: getattr(ticks, f"{name}_s") for name in names if name != CATCH_UP}
    return given | {CATCH_UP: min(CATCH_UP_EVERY_S, ticks.intensity_s)}


def _prepare_state(config: SiteConfig) -> None:
    where = config.site.state_dir
    try:
        where.mkdir(parents=True, exist_ok=True)
        (where / LOCK).touch(mode=0o600)
    except OSError as error:
        raise ConfigError(
            [f"site.state_dir {where}: {error.strerror}; the daemon's user must own it"]
        ) from None


def _managed(cluster: ClusterConfig, pue: Pue) -> ManagedCluster:
    slurm = cluster.slurm
    return ManagedCluster(
        cluster=CommandLineCluster(
            name=cluster.name,
            bin_dir=slurm.bin_dir,
            conf=slurm.conf,
            timeout_s=slurm.timeout_s,
            max_calls_per_s=slurm.max_calls_per_s,
            by_name=slurm.by_name,
        ),
        zone=cluster.zone,
        pue=pue,
        embodied=_embodied(cluster),
        node_classes=tuple(one.compiled() for one in cluster.nodes),
    )


def _zones(config: SiteConfig, chains: Chains) -> dict[str, Zone]:
    """Whose word is asked for in each zone."""
    return {
        zone.name: Zone(
            chain=chains.providers[zone.name].infos,
            ranking=chains.ranking[zone.name].infos if zone.name in chains.ranking else (),
            forecast=zone.forecast,
        )
        for zone in config.zones
    }


def _pue(
    cluster: ClusterConfig, time_zone: str, settle_lag_s: int, ledger: Ledger, clock: Clock
) -> Pue:
    """The PUE that the cluster's configuration declares or points at."""
    pue = cluster.pue
    if pue.constant_ppm is not None:
        return ConstantPue(pue_ppm=pue.constant_ppm)
    if pue.fallback_ppm is not None:
        return ArchivedPue(cluster.name, ledger.pues, pue.fallback_ppm, settle_lag_s, clock)
    table = [Since(day=one.since, pue_ppm=one.pue_ppm) for one in pue.table]
    return TablePue(table, time_zone, clock)


def _embodied(cluster: ClusterConfig) -> Embodied | None:
    """What making the nodes emitted, as far as it is declared."""
    declared = [
        EmbodiedNodes(nodes=one.nodes, mg=one.embodied_mg, lifetime_s=one.lifetime_s)
        for one in cluster.nodes
        if one.embodied_mg is not None and one.lifetime_s is not None
    ]
    return Embodied(declared) if declared else None


def _policy(config: SiteConfig) -> DelayPolicy:
    planning = config.planning
    return DelayPolicy(
        default_max_delay_s=planning.default_max_delay_s,
        max_delay_s=planning.max_delay_s,
        safety_margin_s=planning.safety_margin_s,
    )


def _stopping(config: SiteConfig) -> StopPolicy:
    checkpoints = config.planning.checkpoints
    return StopPolicy(
        enabled=checkpoints.stop,
        signal=checkpoints.signal,
        grace_s=checkpoints.grace_s,
        cost_s=checkpoints.cost_s,
        least_run_s=checkpoints.least_run_s,
    )


def _parameters(config: SiteConfig) -> PlanningParameters:
    planning = config.planning
    return PlanningParameters(
        slot_s=planning.slot_s,
        horizon_s=min(HORIZON_S, max(3600, MOST_SLOTS * planning.slot_s)),
        minimum_gain_pct=planning.minimum_gain_pct,
        minimum_gain_mg=planning.minimum_gain_mg,
    )


def _missing_after_s(config: SiteConfig) -> int:
    """How long after its end a job may still get readings.

    Its last segment is closed by then, delivered, and delivered again after a failure.
    """
    agent = config.agent
    return 2 * agent.segment_s + 6 * round(agent.delivery_s + config.daemon.ticks.settle_s)


def _snapshot(config: SiteConfig) -> SnapshotFile | None:
    if config.daemon.quota_file is None:
        return None
    valid_s = round(SNAPSHOT_VALID_TICKS * config.daemon.ticks.quota_s) + 60
    return SnapshotFile(path=config.daemon.quota_file, valid_s=valid_s)
