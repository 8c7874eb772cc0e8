"""A Slurm cluster by its command line: squeue, sacct, sinfo and scontrol."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from carbonsched.cluster import history, node_list, partitions, queue_json, queue_text, reservations
from carbonsched.cluster.commands import Answer, SlurmCommands, first_line
from carbonsched.cluster.delimited import new_delimiter
from carbonsched.cluster.rate import TokenBucket
from carbonsched.cluster.standing import read_standing
from carbonsched.errors import ClusterError, ClusterRefusedError
from carbonsched.model.job import Job
from carbonsched.ports import Node, Partition, Reservation, Standing

MAX_NOTE = 1024
_IDS_A_CALL = 1000
_INVALID_FIELD = "invalid field"  # sacct's word on a field that it does not have
_UNKNOWN_JOB = "invalid job id"
_MOVED = ": No error"  # scontrol's word on the tasks of an array that it did move


class _UnknownFieldError(ClusterError):
    """This sacct does not know a field that was asked for."""


class CommandLineCluster:
    """One cluster, reached by Slurm's commands. Implements :class:`carbonsched.ports.Cluster`.

    ``bin_dir`` holds the commands (``None``: the path), ``conf`` is slurm.conf (``None``: Slurm's
    default). Each command may take ``timeout_s``; slurmctld is asked at most
    ``max_calls_per_s`` times a second. ``by_name`` tells every command the cluster's name, which
    slurmdbd then finds, for a slurm.conf that is another cluster's.
    """

    def __init__(
        self,
        name: str,
        bin_dir: Path | None,
        conf: Path | None,
        timeout_s: float,
        max_calls_per_s: float,
        now: Callable[[], float] = time.time,
        *,
        by_name: bool = False,
    ) -> None:
        self._name = name
        self._which = (f"--clusters={name}",) if by_name else ()
        self._commands = SlurmCommands(bin_dir, conf, timeout_s, TokenBucket(max_calls_per_s))
        self._now = now
        self._writes_json = True
        self._tells_energy = True

    @property
    def name(self) -> str:
        """Slurm's ClusterName."""
        return self._name

    def jobs(self) -> Sequence[Job]:
        """Every pending and active job; a pending array is one row with ``tasks``.

        Raises:
            ClusterError: squeue failed, or answered neither JSON nor delimited output.
        """
        return [job for job in self._queue() if not job.ended]

    def job(self, job_id: int) -> Job | None:
        """One job that slurmctld still knows, else ``None``.

        Raises:
            ClusterError: squeue failed.
        """
        return next((job for job in self._queue() if job.key.job_id == job_id), None)

    def history(self, since_at: int, until_at: int) -> Sequence[Job]:
        """Jobs of the database that were there in ``[since_at, until_at)``, each run by itself.

        Nobody can tell an empty answer from a database that failed: sacct says both with status 0.

        Raises:
            ClusterError: sacct failed.
        """
        delimiter = new_delimiter()
        window = ("-S", history.format_time(since_at), "-E", history.format_time(until_at))
        text, fields = self._jobs_of_database(delimiter, *window)
        ids = history.job_ids(text, fields, delimiter)
        return history.read_history(self._name, text, delimiter, self._restarts(ids), fields)

    def runs(self, job_ids: Sequence[int]) -> Sequence[Job]:
        """All that the database knows of these ids, whenever it was.

        Raises:
            ClusterError: sacct failed.
        """
        found: list[Job] = []
        for first in range(0, len(job_ids), _IDS_A_CALL):
            some = ",".join(str(one) for one in job_ids[first : first + _IDS_A_CALL])
            delimiter = new_delimiter()
            text, fields = self._jobs_of_database(delimiter, "-j", some)
            counts = history.count_restarts(history.read_runs(text, delimiter, fields))
            found += history.read_history(self._name, text, delimiter, counts, fields)
        return found

    def nodes(self) -> Sequence[Node]:
        """The nodes and whether they can take work.

        Raises:
            ClusterError: sinfo failed.
        """
        answer = self._ask_controller("sinfo", "-h", "-N", "-a", "-o", node_list.FORMAT)
        _check("sinfo", answer)
        return node_list.read_nodes(answer.output)

    def partitions(self) -> Sequence[Partition]:
        """The partitions, those that are down or hidden too.

        Raises:
            ClusterError: scontrol failed.
        """
        answer = self._ask_controller("scontrol", "-a", "show", "partition", "-o")
        _check("scontrol", answer)
        return partitions.read_partitions(answer.output)

    def reservations(self) -> Sequence[Reservation]:
        """Reservations of nodes, maintenance among them, that are or will be.

        Raises:
            ClusterError: scontrol failed.
        """
        answer = self._ask_controller("scontrol", "show", "reservation", "-o")
        _check("scontrol", answer)
        return reservations.read_reservations(answer.output)

    def set_start(self, job_id: int, start_at: int, note: str) -> None:
        """Move a pending job's earliest start and leave an admin comment, in one call.

        Of an array, the tasks that have not started are moved; of a heterogeneous job, all parts.

        Raises:
            ClusterRefusedError: nothing of the job is pending any more, or it is not ours to move.
            ClusterUnavailableError: slurmctld does not answer.
        """
        # uts<epoch seconds>, which Slurm's parse_time() reads from 22.05 to 26.11: a local time has
        # clock changes, and now+N seconds is a second late if one ends while scontrol starts.
        start = f"uts{start_at}" if start_at > self._now() else "now"
        answer = self._ask_controller(
            "scontrol",
            "update",
            f"JobId={job_id}",
            f"StartTime={start}",
            f"AdminComment={_one_line(note)}",
        )
        said = answer.complaint + answer.output
        if answer.status != 0 and _MOVED not in said:
            raise ClusterRefusedError(f"job {job_id} was not moved: {first_line(said)}")

    def standing(self, job_id: int) -> Standing | None:
        """How one job stands now, ``None`` where slurmctld does not know it (any more).

        Raises:
            ClusterError: scontrol failed.
        """
        answer = self._ask_controller("scontrol", "show", "job", str(job_id))
        if answer.status != 0 and _UNKNOWN_JOB in answer.complaint.lower():
            return None
        _check("scontrol", answer)
        return read_standing(answer.output)

    def signal(self, job_id: int, name: str) -> None:
        """Send a signal to a running job: its batch script and all its steps.

        Raises:
            ClusterRefusedError: the job is not there any more, or not ours to signal.
            ClusterUnavailableError: slurmctld does not answer.
        """
        # --full: without it the batch script gets none, with --batch nothing but that.
        answer = self._ask_controller("scancel", "--full", f"--signal={name}", str(job_id))
        if answer.status != 0:
            complaint = first_line(answer.complaint)
            raise ClusterRefusedError(f"job {job_id} got no signal: {complaint}")

    def cancel(self, job_id: int) -> None:
        """End a job that waits or runs.

        Raises:
            ClusterRefusedError: the job is not there any more, or not ours to end.
            ClusterUnavailableError: slurmctld does not answer.
        """
        answer = self._ask_controller("scancel", str(job_id))
        if answer.status != 0:
            complaint = first_line(answer.complaint)
            raise ClusterRefusedError(f"job {job_id} was not ended: {complaint}")

    def remark(self, job_id: int, note: str) -> None:
        """Leave an admin comment on a job.

        Raises:
            ClusterRefusedError: the job is not there any more, or not ours to change.
            ClusterUnavailableError: slurmctld does not answer.
        """
        answer = self._ask_controller(
            "scontrol", "update", f"JobId={job_id}", f"AdminComment={_one_line(note)}"
        )
        if answer.status != 0:
            said = first_line(answer.complaint + answer.output)
            raise ClusterRefusedError(f"job {job_id} got no comment: {said}")

    def requeue(self, job_id: int, *, ended: bool) -> None:
        """Put a running job back into the queue, or one that has ``ended``, never the other.

        Raises:
            ClusterRefusedError: slurmctld does not know the job, or it may not be requeued.
            ClusterUnavailableError: slurmctld does not answer.
        """
        which = () if ended else ("Incomplete",)  # else one that ends just now would run again
        answer = self._ask_controller("scontrol", "requeue", *which, str(job_id))
        if answer.status != 0:
            said = first_line(answer.complaint + answer.output)
            raise ClusterRefusedError(f"job {job_id} was not requeued: {said}")

    def _ask_controller(self, program: str, *words: str) -> Answer:
        return self._commands.ask_controller(program, *self._which, *words)

    def _queue(self) -> list[Job]:
        if self._writes_json:
            answer = self._ask_controller("squeue", "--json")
            if answer.status == 0:
                with contextlib.suppress(ClusterError):
                    return queue_json.read_queue(self._name, answer.output)
            elif _lacks_json(answer):
                self._writes_json = False
        return self._queue_as_text()

    def _queue_as_text(self) -> list[Job]:
        delimiter = new_delimiter()
        answer = self._ask_controller(
            "squeue", "-h", "-a", "-t", "all", "-O", queue_text.queue_format(delimiter)
        )
        _check("squeue", answer)
        return queue_text.read_queue(self._name, answer.output, delimiter)

    def _restarts(self, ids: Sequence[int]) -> dict[tuple[int, int], int]:
        """Restart counts need all runs of these jobs, the ones before the window too."""
        runs: list[history.Run] = []
        for first in range(0, len(ids), _IDS_A_CALL):
            some = ",".join(str(one) for one in ids[first : first + _IDS_A_CALL])
            delimiter = new_delimiter()
            text = self._sacct(history.RUN_FIELDS, delimiter, "-j", some)
            runs.extend(history.read_runs(text, delimiter))
        return history.count_restarts(runs)

    def _jobs_of_database(self, delimiter: str, *words: str) -> tuple[str, tuple[str, ...]]:
        """Rows of jobs and their fields: with Slurm's own energy unless this sacct has none."""
        if self._tells_energy:
            fields = (*history.FIELDS, history.ENERGY)
            with contextlib.suppress(_UnknownFieldError):
                return self._sacct(fields, delimiter, *words), fields
            self._tells_energy = False
        return self._sacct(history.FIELDS, delimiter, *words), history.FIELDS

    def _sacct(self, fields: Sequence[str], delimiter: str, *words: str) -> str:
        answer = self._commands.ask_accounting(
            "sacct",
            "--allusers",
            "--allocations",
            "--duplicates",
            "--noheader",
            "--parsable",  # ends each field with the delimiter, the last one too
            f"--delimiter={delimiter}",
            f"--format={','.join(fields)}",
            f"--cluster={self._name}",
            *words,
        )
        if answer.status != 0 and _INVALID_FIELD in answer.complaint.lower():
            raise _UnknownFieldError(f"sacct: {first_line(answer.complaint)}")
        _check("sacct", answer)
        return answer.output


def _check(program: str, answer: Answer) -> None:
    if answer.status != 0:
        raise ClusterError(f"{program}: {first_line(answer.complaint)}")


def _lacks_json(answer: Answer) -> bool:
    """Whether this squeue will never write JSON: too old, or built without a serializer."""
    said = answer.complaint.lower()
    return any(words in said for words in ("unrecognized option", "serializer", "plugin"))


def _one_line(note: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in note)
    return printable.encode()[:MAX_NOTE].decode("utf-8", "ignore")
