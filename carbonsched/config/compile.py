"""The small file for nodes and submit hosts, made from the site's configuration."""

from __future__ import annotations

from carbonsched.config.schema import ClusterConfig, SiteConfig
from carbonsched.errors import RequestError
from carbonsched.site import AgentSite, Site


def compile_site(config: SiteConfig, cluster: str | None = None) -> Site:
    """What the nodes of one cluster need to know; ``None`` for a site's only cluster.

    In shadow mode there is no lease: no job waits for its plan.

    Raises:
        RequestError: no such cluster, or none named where there are several.
    """
    chosen = _choose(config.clusters, cluster)
    agent, daemon = config.agent, config.daemon
    return Site(
        cluster=chosen.name,
        daemon_url=daemon.url,
        munge_socket=daemon.munge_socket,
        lease_s=0 if config.planning.mode == "shadow" else daemon.lease_s,
        submit_timeout_s=daemon.submit_timeout_s,
        agent=AgentSite(
            socket=agent.socket,
            spool=agent.spool,
            sample_s=agent.sample_s,
            segment_s=agent.segment_s,
            delivery_s=agent.delivery_s,
            metrics=agent.metrics,
            ipmi_s=agent.ipmi_s,
        ),
        node_classes=tuple(one.compiled() for one in chosen.nodes),
    )


def _choose(clusters: tuple[ClusterConfig, ...], name: str | None) -> ClusterConfig:
    known = ", ".join(one.name for one in clusters)
    if name is None:
        if len(clusters) > 1:
            raise RequestError(f"the site has several clusters ({known}); choose with --cluster")
        return clusters[0]
    for one in clusters:
        if one.name == name:
            return one
    raise RequestError(f"no cluster {name!r} in the configuration; there are {known}")
