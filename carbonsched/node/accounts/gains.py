"""What each job gained between two samples."""

from __future__ import annotations

from collections.abc import Sequence

from carbonsched.model.energy import Quality, worse
from carbonsched.node.accounts.attribution import Cells
from carbonsched.node.accounts.tallies import Cell, Tally
from carbonsched.node.presence.jobs import TrackedJob
from carbonsched.node.presence.stays import Owner, Stay


class Gains:
    """Microjoules and quality by owner over one interval, piece by piece.

    All of it is ``partial`` after a ``gap``, and a job's if it is not known what it had, or when.
    """

    def __init__(
        self, stays: Sequence[tuple[TrackedJob, Stay]], length_ns: int, *, gap: bool
    ) -> None:
        self.stays = stays
        self._length_ns = length_ns
        self._gap = gap
        self._jobs = {job.owner: job for job, _ in stays}
        self._gained_uj: dict[Owner, int] = {}
        self.quality: dict[Owner, Quality] = {}

    def tally(self, owner: Owner, cells: Cells) -> Tally:
        """Take in an owner's cells of a piece, for the piece's segment."""
        job = self._jobs.get(owner)
        doubt = self._gap or not (job is None or job.certain)
        tally = Tally(uid=None if job is None else job.uid)
        for domain, (energy_uj, uncertainty_uj, found) in cells.get(owner, {}).items():
            quality = worse(found, Quality.PARTIAL) if doubt else found
            tally.cells[domain] = Cell(energy_uj, uncertainty_uj, quality)
            self._gained_uj[owner] = self._gained_uj.get(owner, 0) + energy_uj
            self.quality[owner] = worse(self.quality.get(owner, quality), quality)
        return tally

    def credit(self) -> None:
        """Tell each job what it gained."""
        for job, _ in self.stays:
            job.gained_uj = self._gained_uj.get(job.owner, 0)
            job.energy_uj += job.gained_uj

    def mean_w(self, job: TrackedJob) -> float:
        """A job's mean power over the interval, in watts."""
        # Microjoules a nanosecond are kilowatts.
        return self._gained_uj.get(job.owner, 0) * 1000 / self._length_ns

    def job_w(self) -> dict[int, float]:
        """Mean powers by job id of those that were there, runs of one job added up."""
        watts: dict[int, float] = {}
        for job, stay in self.stays:
            if stay.end_ns > stay.begin_ns or self._gained_uj.get(job.owner):
                watts[job.job_id] = watts.get(job.job_id, 0.0) + self.mean_w(job)
        return watts
