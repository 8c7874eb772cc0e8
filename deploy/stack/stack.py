"""Starts carbonsched on a running lab and asks its commands."""

from __future__ import annotations

import json
import shutil
import socket
import time
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .settings import REACH_S, ClusterPart, StackSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from subprocess import CompletedProcess

    from lab import Lab

DAEMON = "carbonschedd"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentExtras:
    """What a node's agent gets beyond the usual: options of its command line, environment."""

    options: tuple[str | Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherCluster:
    """A lab beside the first one, which the same daemon serves, in a grid zone of its own."""

    lab: Lab
    zone: str
    intensity_files: Path


SITE_FILE = "carbonsched/site.json"
"""Where in a lab's directory the compiled site file lies; CARBONSCHED_SITE must name it."""


class Stack:
    """The daemon and the agents of one lab; ``programs`` holds the installed commands.

    ``extras`` are the agents' by node: other hardware than the host's, for instance. ``others``
    are clusters that the daemon finds by their names, through the first one's slurmdbd.
    """

    def __init__(
        self,
        lab: Lab,
        programs: Path,
        settings: StackSettings,
        extras: Mapping[str, AgentExtras] | None = None,
        others: Sequence[OtherCluster] = (),
    ) -> None:
        self.lab = lab
        self.others = tuple(others)
        self.extras = dict(extras or {})
        self.settings = settings
        self.folder = lab.directory / "carbonsched"
        self.config_file = self.folder / "carbonsched.yaml"
        self.site_file = lab.directory / SITE_FILE
        self._programs = programs
        self.port = _free_port()

    def start(self) -> None:
        """Configure, then start the daemon and an agent on each node."""
        self.folder.mkdir(mode=0o755, exist_ok=True)
        for private in (self.folder / "state", self.lab.quota_file.parent):
            private.mkdir(exist_ok=True)
            shutil.chown(private, "slurm")
        self._configure()
        self.start_daemon()
        for lab in self._labs:
            for node in lab.nodes:
                self.start_agent(node, lab.directory / SITE_FILE)

    def reconfigure(self, settings: StackSettings) -> None:
        """Other settings for the daemon and csbatch; the agents keep theirs."""
        self.settings = settings
        self._configure()
        self.lab.processes.restart(DAEMON)
        self.wait_daemon()

    def _configure(self) -> None:
        self.config_file.write_text(self._yaml())
        self.admin("config", "check", self.config_file)
        for lab in self._labs:
            self._compile(lab)

    def start_daemon(self) -> None:
        """As user slurm: an ordinary operator's rights are enough."""
        program = self._programs / "carbonsched"
        argv: list[str | Path] = [program, "daemon", "--config", self.config_file]
        self.lab.start_process(DAEMON, argv, {"PYTHONUNBUFFERED": "1"}, user="slurm")
        self.wait_daemon()

    def wait_daemon(self) -> None:
        """Until it answers and every tick has run once."""
        self.lab.processes.wait_ready(DAEMON, self._healthy, 3 * REACH_S)

    def start_agent(self, node: str, site_file: Path | None = None) -> None:
        """As root, like slurmd; with the site file of its cluster, by default the first one's."""
        program = self._programs / "carbonsched"
        site = site_file or self.site_file
        argv: list[str | Path] = [program, "agent", "--node", node, "--site", site]
        extras = self.extras.get(node, AgentExtras())
        environment = {"PYTHONUNBUFFERED": "1", **extras.environment}
        name = f"agent-{node}"
        self.lab.start_process(name, [*argv, *extras.options], environment, user="root")
        marks = self.lab.spool / node / "agent.sock"
        self.lab.processes.wait_ready(name, marks.exists, REACH_S)

    def admin(self, *argv: str | Path) -> str:
        """The output of a ``carbonsched`` subcommand run as root."""
        return self.lab.run_as("root", [self._programs / "carbonsched", *argv]).stdout

    def run(
        self, user: str, command: str, *argv: str | Path, **options: Any
    ) -> CompletedProcess[str]:
        """One of the users' commands, run by a user."""
        return self.lab.run_as(user, [self._programs / command, *argv], **options)

    def submit(self, user: str, *argv: str | Path, **options: Any) -> tuple[int, str]:
        """Submit with ``csbatch --parsable``-like output: the job's id, and what csbatch told."""
        done = self.run(user, "csbatch", *argv, **options)
        return int(done.stdout.split()[-1].split(";")[0]), done.stderr

    def queue(self, user: str) -> list[dict[str, Any]]:
        """What csqueue knows of a user's jobs."""
        return list(json.loads(self.run(user, "csqueue", "--json").stdout)["jobs"])

    def jobs(self, user: str, *argv: str) -> list[dict[str, Any]]:
        """What csacct knows of a user's jobs."""
        return list(json.loads(self.run(user, "csacct", "--json", *argv).stdout)["jobs"])

    def job(self, user: str, job_id: int) -> dict[str, Any] | None:
        """What csacct knows of one job today, ``None`` before carbonsched has seen it."""
        found = [row for row in self.jobs(user) if row["job_id"] == job_id]
        return found[-1] if found else None

    def evidence(self, user: str, job_id: int) -> dict[str, Any]:
        """A job with its chain of evidence."""
        return self.jobs(user, "-j", str(job_id), "--evidence")[-1]

    @property
    def _labs(self) -> list[Lab]:
        return [self.lab, *(other.lab for other in self.others)]

    def _compile(self, lab: Lab) -> None:
        """A cluster's site file; where it is the only one it needs no name."""
        which = ("--cluster", lab.config.cluster) if self.others else ()
        site_file = lab.directory / SITE_FILE
        site_file.parent.mkdir(mode=0o755, exist_ok=True)
        self.admin("config", "compile", self.config_file, *which, "-o", site_file)
        site_file.chmod(0o644)

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/v1/health", timeout=REACH_S
            ) as answer:
                health = json.load(answer)
        except (OSError, ValueError):
            return False
        seen = set(health["ticks"])
        return seen >= {"intensity", "adopt", "plan", "settle", "quota"}

    def _parts(self) -> list[ClusterPart]:
        conf = self.lab.slurm_conf
        first = _part(self.lab, conf, intensity_files=self.settings.intensity_files)
        others = [
            _part(one.lab, conf, zone=one.zone, intensity_files=one.intensity_files, by_name=True)
            for one in self.others
        ]
        return [first, *others]

    def _yaml(self) -> str:
        hour_s = self.settings.hour_s
        return self.settings.yaml(
            folder=self.folder,
            spool=self.lab.spool,
            munge=self.lab.munge_socket,
            quota_file=self.lab.quota_file,
            clusters=self._parts(),
            port=self.port,
            # The record begins at a whole slot, so that recorded hours and slots are aligned.
            begin_at=int(time.time() // hour_s * hour_s),
        )


def _part(lab: Lab, slurm_conf: Path, **fields: Any) -> ClusterPart:
    return ClusterPart(
        name=lab.config.cluster,
        slurm_conf=slurm_conf,
        nodes=lab.nodes,
        cpus=lab.config.node_cpus,
        **fields,
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
