"""The lab: starts everything in order, runs commands in it, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from . import cgroups, daemons, database, host, host_check, munge, proc, users
from .config import LabConfig
from .failure import LabError
from .ports import listens
from .processes import Processes, ProcessSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_TIMEOUT_S = 60.0
_POLL_S = 0.1
_SLURM_PORTS = 2  # slurmctld's and slurmdbd's, if only to be left free; the nodes' follow


class Lab:
    """One cluster. Make it with ``Lab(config)`` and ``start()``, or ``Lab.attach(directory)``."""

    def __init__(self, config: LabConfig) -> None:
        beside = config.beside.resolve() if config.beside else None
        self.config = replace(config, directory=config.directory.resolve(), beside=beside)
        self.directory = self.config.directory
        self._shared = beside or self.directory
        self.nodes: tuple[str, ...] = ()
        self.processes = Processes(self.directory / "processes.json")

    # Where things are

    @property
    def slurm_conf(self) -> Path:
        """What SLURM_CONF must say."""
        return self.directory / "slurm" / "slurm.conf"

    @property
    def munge_socket(self) -> Path:
        """The socket of the lab's munged."""
        return munge.socket_of(self._shared / "munge")

    @property
    def spool(self) -> Path:
        """The folder with a folder for each node's agent; prolog and epilog write there."""
        return self._shared / "spool"

    @property
    def quota_file(self) -> Path:
        """The snapshot that the submit plug-in reads."""
        return self._shared / "quota" / "snapshot"

    @property
    def log(self) -> Path:
        """One log for each process."""
        return self.directory / "log"

    def home(self, user: str) -> Path:
        """The user's own folder in the lab: HOME, and where its commands run."""
        return self.directory / "home" / user

    # Life

    @classmethod
    @contextmanager
    def started(cls, config: LabConfig) -> Iterator[Self]:
        """A lab for the length of a block."""
        lab = cls(config)
        lab.start()
        try:
            yield lab
        finally:
            lab.stop()

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """The lab that another process started there.

        Raises:
            LabError: there is none.
        """
        try:
            config = LabConfig.from_json((directory.resolve() / "lab.json").read_text())
        except OSError:
            raise LabError(f"{directory} holds no lab") from None
        lab = cls(config)
        share = host.share_of(lab.directory)
        lab.nodes = tuple(share.nodes) if share else ()
        return lab

    def start(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Starts the cluster and returns when every node is idle; ``say`` hears of each step.

        Raises:
            LabError: a part failed; everything that had started is gone again.
        """
        if reason := host_check.unfit():
            raise LabError(reason)
        host_check.check_directory(self.directory)
        self.directory.mkdir(mode=0o755, parents=True)
        try:
            (self.directory / "lab.json").write_text(self.config.to_json())
            site = self._prepare()
            if self.config.beside is None:
                say("munged and MariaDB")
                self._start_database(site)
            say("slurmdbd, accounts and users")
            self._start_accounting(site)
            say(f"slurmctld and slurmd for {', '.join(self.nodes)}")
            self._start_cluster(site)
        except BaseException:
            self.stop()
            raise

    def stop(self, *, keep_directory: bool = False) -> None:
        """Ends every process of the lab and takes back what it added to the host.

        Raises:
            LabError: a control group could not be removed; everything else is gone.
        """
        if not (self.directory / "lab.json").exists():
            return  # never started, or stopped already
        nodes = [f"slurmd-{node}" for node in self.nodes]
        services = ["slurmctld", "slurmdbd", database.NAME, munge.NAME]  # those that it has
        added = [name for name in self.processes.names() if name not in {*nodes, *services}]
        for name in reversed(added):
            self.processes.stop(name)
        self._end_jobs()
        self.processes.stop(*nodes)
        left = self._end_jobs()
        for name in services:
            self.processes.stop(name)
        try:
            host.give_back(self.directory)
        finally:
            if not keep_directory:
                shutil.rmtree(self.directory)
        if left:
            raise LabError(f"{left[0]} could not be removed: a process stays in it")

    # Commands

    def env(self, user: str = "root") -> dict[str, str]:
        """The whole environment in which the user's commands find this cluster."""
        path = [*map(str, self.config.path), "/usr/local/bin", "/usr/bin", "/bin"]
        path += ["/usr/sbin", "/sbin"] if user == "root" else []
        return {
            "PATH": ":".join(path),
            "HOME": "/root" if user == "root" else str(self.home(user)),
            "USER": user,
            "LOGNAME": user,
            "LANG": "C.UTF-8",
            "SLURM_CONF": str(self.slurm_conf),
            **self.config.environment,
        }

    def run_as(
        self,
        user: str,
        argv: Sequence[str | Path],
        env: Mapping[str, str] | None = None,
        *,
        cwd: Path | None = None,
        stdin: str = "",
        timeout_s: float = _TIMEOUT_S,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command as the user, by default in its home; ``env`` is added to its environment.

        Raises:
            LabError: it failed (with ``check``) or took too long; says what it wrote.
        """
        command = [str(part) for part in argv]
        where = cwd or (self.directory if user == "root" else self.home(user))
        try:
            done = users.run_as(
                user,
                command,
                {**self.env(user), **(env or {})},
                cwd=where,
                stdin=stdin,
                timeout_s=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"{command[0]} took more than {timeout_s:.0f} s") from None
        if check and done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise LabError(f"{' '.join(command)} exited with {done.returncode}: {said}")
        return done

    def slurm(self, *argv: str) -> str:
        """The output of a Slurm command run as root."""
        return self.run_as("root", argv).stdout

    def start_process(
        self,
        name: str,
        argv: Sequence[str | Path],
        env: Mapping[str, str] | None = None,
        *,
        user: str = "root",
    ) -> None:
        """Adds a daemon to the lab, in the foreground; ``processes`` then knows it by its name."""
        self.processes.start(
            ProcessSpec(
                name=name,
                argv=tuple(str(part) for part in argv),
                log=self.log / f"{name}.log",
                user=user,
                env={**self.env(user), **(env or {})},
            )
        )

    def restart_slurmctld(self) -> None:
        """Stops the controller and starts it again; returns when it answers."""
        self.processes.restart("slurmctld")
        self._wait_slurmctld()

    # Waiting

    def wait_until(
        self, condition: Callable[[], bool], what: str, timeout_s: float = _TIMEOUT_S
    ) -> None:
        """Waits for the condition.

        Raises:
            LabError: it did not come true in time.
        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise LabError(f"waited {timeout_s:.0f} s in vain for {what}")
            time.sleep(_POLL_S)

    def wait_nodes_idle(self, timeout_s: float = _TIMEOUT_S) -> None:
        """Waits until every node is up and none runs a job."""

        def idle() -> bool:
            # A row for each node in each partition.
            rows = self.slurm("sinfo", "--noheader", "--Node", "--format=%N %T").splitlines()
            states = dict(row.split() for row in rows)
            return list(states.values()) == ["idle"] * self.config.nodes

        self.wait_until(idle, "idle nodes", timeout_s)

    def job_state(self, job_id: int | str) -> str:
        """As squeue says, e.g. PENDING; what accounting says when the controller forgot the job."""
        queue = ["squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job_id}"]
        history = ["sacct", "-X", "--noheader", "--parsable2", "--format=State", f"--jobs={job_id}"]
        told = (
            self.run_as("root", queue, check=False).stdout.split() or self.slurm(*history).split()
        )
        return told[0] if told else "UNKNOWN"

    def wait_job_state(self, job_id: int | str, *states: str, timeout_s: float = _TIMEOUT_S) -> str:
        """Waits until the job is in one of the states, and says in which."""
        seen = [""]

        def reached() -> bool:
            seen[0] = self.job_state(job_id)
            return seen[0] in states

        try:
            self.wait_until(reached, f"job {job_id} to be {' or '.join(states)}", timeout_s)
        except LabError as error:
            raise LabError(f"{error}; it is {seen[0]}") from None
        return seen[0]

    # Parts of starting and stopping

    def _prepare(self) -> daemons.Site:
        homes = {user.name: str(self.home(user.name)) for user in self.config.users}
        ports = _SLURM_PORTS + self.config.nodes
        share = host.take(self.directory, nodes=self.config.nodes, ports=ports, homes=homes)
        accounts = share if self.config.beside is None else host.share_of(self.config.beside)
        if accounts is None:
            raise LabError(f"{self.config.beside} holds no running lab to stand beside")
        self.nodes = tuple(share.nodes)
        self.log.mkdir()
        for node in self.nodes:
            (self.spool / node / "events").mkdir(parents=True)
        for name in homes:
            self.home(name).mkdir(parents=True)
            shutil.chown(self.home(name), name, name)
        site = daemons.Site(
            slurmctld_port=share.ports[0],
            slurmdbd_port=accounts.ports[1],
            node_ports=dict(zip(share.nodes, share.ports[_SLURM_PORTS:], strict=True)),
            munge_socket=self.munge_socket,
            database_socket=database.socket_of(self._shared / "database"),
            log=self.log,
        )
        daemons.write_files(self.config, site, self.spool, self.quota_file)
        return site

    def _start_database(self, site: daemons.Site) -> None:
        munge.prepare(self.directory / "munge")
        database.prepare(self.directory / "database", self.log / "mariadb-install-db.log")
        self.processes.start(munge.spec(self.directory / "munge", self.log / "munged.log"))
        self.processes.start(database.spec(self.directory / "database", self.log / "mariadbd.log"))
        self.processes.wait_ready(munge.NAME, self.munge_socket.exists, _TIMEOUT_S)
        self.processes.wait_ready(database.NAME, site.database_socket.exists, _TIMEOUT_S)

    def _start_accounting(self, site: daemons.Site) -> None:
        """The accounts come before slurmctld, so that it knows them from its first moment."""
        if self.config.beside is None:
            self.processes.start(daemons.slurmdbd(self.config, site))
            self.processes.wait_ready("slurmdbd", lambda: listens(site.slurmdbd_port), _TIMEOUT_S)
        add = ("sacctmgr", "--immediate", "add")
        here = f"Cluster={self.config.cluster}"
        self.slurm(*add, "cluster", self.config.cluster)
        for account in sorted({user.account for user in self.config.users}):
            self.slurm(*add, "account", account, here, "Description=lab", "Organization=lab")
        for user in self.config.users:
            self.slurm(*add, "user", user.name, f"Account={user.account}", here)

    def _start_cluster(self, site: daemons.Site) -> None:
        self.processes.start(daemons.slurmctld(self.config, site))
        for node in self.nodes:
            self.processes.start(daemons.slurmd(self.config, site, node))
        self._wait_slurmctld()
        self.wait_nodes_idle()

    def _wait_slurmctld(self) -> None:
        def answers() -> bool:
            return self.run_as("root", ["scontrol", "ping"], check=False).returncode == 0

        self.processes.wait_ready("slurmctld", answers, _TIMEOUT_S)

    def _end_jobs(self) -> list[Path]:
        """Kills what runs in the nodes' control groups; returns those that cannot be removed."""
        for pid in proc.with_environment("slurmstepd", f"SLURM_CONF={self.slurm_conf}"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return cgroups.remove(self.nodes)
