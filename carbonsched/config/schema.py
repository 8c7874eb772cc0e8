"""The whole configuration."""

from __future__ import annotations

from carbonsched.config.base import Section, option
from carbonsched.config.clusters import ClusterConfig, SlurmConfig
from carbonsched.config.facility import PueConfig, PuePrometheusConfig, PueSinceConfig
from carbonsched.config.general import AgentConfig, DaemonConfig, SiteSection, TicksConfig
from carbonsched.config.nodes import NodeClassConfig
from carbonsched.config.own_series import FileConfig, ReplayConfig, StaticConfig
from carbonsched.config.policy import PlanningConfig, QuotaConfig
from carbonsched.config.providers import (
    EdsConfig,
    EiaConfig,
    ElectricityMapsConfig,
    EnergyChartsConfig,
    EntsoeConfig,
    GsfConfig,
    NesoConfig,
    ProviderConfig,
    WattTimeConfig,
)
from carbonsched.config.zones import ZoneConfig

__all__ = [
    "AgentConfig",
    "ClusterConfig",
    "DaemonConfig",
    "EdsConfig",
    "EiaConfig",
    "ElectricityMapsConfig",
    "EnergyChartsConfig",
    "EntsoeConfig",
    "FileConfig",
    "GsfConfig",
    "NesoConfig",
    "NodeClassConfig",
    "PlanningConfig",
    "ProviderConfig",
    "PueConfig",
    "PuePrometheusConfig",
    "PueSinceConfig",
    "QuotaConfig",
    "ReplayConfig",
    "SiteConfig",
    "SiteSection",
    "SlurmConfig",
    "StaticConfig",
    "TicksConfig",
    "WattTimeConfig",
    "ZoneConfig",
]


class SiteConfig(Section):
    """What one site decides.

    Read it with :func:`carbonsched.config.loader.load`, which also holds the rules between
    sections: names are unique, a cluster's zone exists.
    """

    site: SiteSection = option("Who and where the site is.", example=None)
    daemon: DaemonConfig = option("Where carbonschedd listens and is reached.", example=None)
    clusters: tuple[ClusterConfig, ...] = option("The Slurm clusters.", example=None, min_length=1)
    zones: tuple[ZoneConfig, ...] = option(
        "Grid zones and the providers of their intensity.",
        example=None,
        min_length=1,
    )
    planning: PlanningConfig = option(
        "The bounds within which starts are moved.", example=None, default=PlanningConfig()
    )
    quotas: tuple[QuotaConfig, ...] = option("Monthly budgets.", example=None, default=())
    agent: AgentConfig = option(
        "Paths and periods of the agent on each node.", example=None, default=AgentConfig()
    )
