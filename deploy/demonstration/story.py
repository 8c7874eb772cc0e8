"""What happens in the demonstration, and the checks that it really did."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbonsched.units import format_duration, format_energy, format_mass

if TYPE_CHECKING:
    from stack import Stack

    from .telling import Telling

ADA, BEN = "carbon-ada", "carbon-ben"
EPOCHS = 6
MAX_DELAY = "2min"
PATIENCE_S = 240.0
SETTLE_PATIENCE_S = 60.0
TRAIN = Path(__file__).with_name("train.py")
_BUSY = "timeout 8 sha256sum /dev/zero || true"
_LONG = "timeout 1700 sha256sum /dev/zero || true"  # another script, of which nothing is known


class Story:
    """Five jobs of two users, told as they go."""

    def __init__(self, stack: Stack, telling: Telling, reports: Path) -> None:
        self._stack = stack
        self._telling = telling
        self._reports = reports
        self._jobs: dict[str, tuple[str, int]] = {}
        self._said: dict[str, set[str]] = {}
        self._checks: list[tuple[str, bool]] = []

    def tell(self) -> bool:
        """Tell it all; returns whether every step really happened."""
        self._explain()
        self._telling.chapter("A training, and a job that can wait")
        self._submit_ada()
        self._watch("training")
        self._telling.chapter("A job that cannot wait, one beyond its quota, and a plain sbatch")
        self._submit_ben()
        self._watch("training", "deferred", "immediate", "plain")
        self._settle()
        self._show_commands()
        self._show_reports()
        self._check_quota()
        self._cancel_held()
        return self._verdict()

    def _explain(self) -> None:
        settings = self._stack.settings
        self._telling.chapter("This is a REPLAY of recorded data")
        self._telling.lines(
            f"Intensities and forecasts of Germany from {settings.record_start} (CarbonCast),",
            f"one recorded hour in {settings.hour_s:g} s, so six hours of waiting take"
            f" {6 * settings.hour_s:g} s.",
            "Slurm, the jobs and the training are real. These nodes have no power meter:",
            "energy is modelled from allocation and CPU time, and every figure says so.",
        )

    def _submit_ada(self) -> None:
        script = self._script(ADA)
        self._submit(
            "training", ADA, "csbatch", "--carbon-now", f"--carbon-epochs={EPOCHS}",
            "--time=2", "--cpus-per-task=2", "--job-name=digits", script,
        )  # fmt: skip
        self._submit(
            "deferred", ADA, "csbatch", f"--carbon-max-delay={MAX_DELAY}", "--time=1",
            "--cpus-per-task=2", "--job-name=nightly", f"--wrap={_BUSY}; {_BUSY}",
        )  # fmt: skip

    def _submit_ben(self) -> None:
        self._submit(
            "immediate", BEN, "csbatch", "--carbon-now", "--time=1", "--job-name=urgent",
            f"--wrap={_BUSY}",
        )  # fmt: skip
        self._submit(
            "held", BEN, "csbatch", "--time=30", "--ntasks=8", "--job-name=too-much",
            f"--wrap={_LONG}",
        )  # fmt: skip
        self._submit("plain", BEN, "sbatch", "--time=1", "--job-name=plain", f"--wrap={_BUSY}")

    def _script(self, user: str) -> Path:
        script = self._stack.lab.home(user) / "train.sh"
        python = shutil.which("python", path=self._stack.lab.env(user)["PATH"])
        script.write_text(f"#!/bin/sh\nexec {python} {TRAIN} {EPOCHS}\n")
        return script

    def _submit(self, what: str, user: str, command: str, *argv: str | Path) -> None:
        shown = " ".join(f"'{word}'" if " " in str(word) else str(word) for word in argv)
        self._telling.command(user, f"{command} {shown}")
        if command == "csbatch":
            job_id, told = self._stack.submit(user, *argv)
        else:
            done = self._stack.lab.run_as(user, [command, *argv])
            job_id, told = int(done.stdout.split()[-1]), ""
        self._telling.output(f"Submitted batch job {job_id}\n{told}")
        self._jobs[what] = (user, job_id)

    def _watch(self, *whats: str) -> None:
        """Follow the jobs until these have ended, telling what happens to any of them."""
        deadline = time.monotonic() + PATIENCE_S
        waiting = set(whats)
        while waiting and time.monotonic() < deadline:
            queue = {row["job_id"]: row for user in (ADA, BEN) for row in self._stack.queue(user)}
            for what, (_, job_id) in self._jobs.items():
                if job_id in queue:
                    self._notice(what, queue[job_id])
                elif what in waiting and self._ended(what):
                    self._once(what, "ENDED", f"{what} job {job_id} has ended")
                    waiting.discard(what)
            time.sleep(0.5)
        self._check(f"these jobs have run: {', '.join(whats)}", happened=not waiting)

    def _ended(self, what: str) -> bool:
        user, job_id = self._jobs[what]
        row = self._stack.job(user, job_id)
        return row is not None and row["ended_at"] is not None

    def _notice(self, what: str, row: dict[str, Any]) -> None:
        name = f"{what} job {row['shown_id']}"
        if row["plan_reason"] in {"cleaner", "quota"}:
            self._once(what, "waits", f"{name} waits ({row['plan_reason']})")
        if row["state"] == "RUNNING":
            self._once(what, "RUNNING", f"{name} runs")
        prediction = row["prediction"]
        if prediction and prediction["source"] == "epochs":
            weight = (
                f"{format_mass(prediction['mg'])} ({format_mass(prediction['mg_low'])} to"
                f" {format_mass(prediction['mg_high'])})"
            )
            self._once(
                what,
                "epochs",
                f"{name}: epoch {row['epoch']} of {row['epochs']} seen; the whole job will take"
                f" {format_duration(prediction['duration_s'])},"
                f" {format_energy(prediction['energy_j'])}, {weight}",
            )

    def _once(self, what: str, event: str, text: str) -> None:
        said = self._said.setdefault(what, set())
        if event not in said:
            said.add(event)
            self._telling.step(text)

    def _settle(self) -> None:
        """Wait until every job's last readings are priced with what the grid really did."""
        self._telling.step("waiting for the last readings and the grid's figures for them")
        deadline = time.monotonic() + SETTLE_PATIENCE_S
        open_jobs = [what for what in self._jobs if what != "held"]
        while open_jobs and time.monotonic() < deadline:
            open_jobs = [what for what in open_jobs if self._row(what).get("provisional", True)]
            time.sleep(1)
        self._check("every job that ran is settled with final figures", happened=not open_jobs)

    def _show_commands(self) -> None:
        self._telling.chapter("What users see")
        for user, command, *argv in (
            (BEN, "csqueue", "--why"),
            (ADA, "csacct"),
            (BEN, "csacct"),
            (ADA, "csacct", "-j", str(self._jobs["deferred"][1]), "--evidence"),
        ):
            self._show(user, command, *argv)

    def _show_reports(self) -> None:
        self._telling.chapter("The monthly reports")
        for user in (ADA, BEN):
            self._show(user, "csreport")
            page = self._stack.lab.home(user) / "report.html"
            self._stack.run(user, "csreport", "--format", "html", "-o", page)
            kept = self._reports / f"{user}.html"
            shutil.copyfile(page, kept)
            self._telling.step(f"the same as a page with charts: {kept}")
            self._check(f"the page of {user} has its charts", happened="plotly" in kept.read_text())

    def _show(self, user: str, command: str, *argv: str) -> None:
        self._telling.command(user, " ".join([command, *argv]))
        self._telling.output(self._stack.run(user, command, *argv).stdout)

    def _cancel_held(self) -> None:
        user, job_id = self._jobs["held"]
        self._stack.lab.run_as(user, ["scancel", str(job_id)])

    def _verdict(self) -> bool:
        """Check in the ledger, through the API, that what was told is so."""
        self._check_deferral()
        self._check_training()
        for what in ("immediate", "plain"):
            row = self._row(what)
            self._check(f"the {what} job was metered and charged", happened=(row["mg"] or 0) > 0)
            self._check(f"the {what} job was not delayed by us", happened=row["deferred_s"] == 0)
        self._telling.chapter("Did it really happen?")
        for text, happened in self._checks:
            self._telling.verdict(text, happened=happened)
        return all(happened for _, happened in self._checks)

    def _check_deferral(self) -> None:
        row = self._stack.evidence(*self._jobs["deferred"])
        waited = row["deferred_s"] >= 2 * self._stack.settings.hour_s
        self._check("the job that could wait waited for a cleaner hour", happened=waited)
        saved = row["saved_mg"] is not None and row["saved_mg"] > 0
        self._check("and saved against starting at once, by what the grid did", happened=saved)
        evidence = row["evidence"]
        joules = sum(one["energy_j"] for one in evidence)
        grams = sum(float(one["mg"]) for one in evidence)
        adds_up = joules == row["energy_j"] and round(grams) == row["mg"]
        self._check("its readings add up to its report line", happened=bool(evidence) and adds_up)

    def _check_training(self) -> None:
        row = self._row("training")
        predicted = "epochs" in self._said.get("training", set())
        self._check("the training was predicted from its first epochs", happened=predicted)
        self._check("the training completed", happened=row["state"] == "COMPLETED")

    def _check_quota(self) -> None:
        user, job_id = self._jobs["held"]
        note = self._stack.lab.slurm("scontrol", "show", "job", str(job_id))
        held = "carbonsched:quota" in note and "BeginTime" in note
        self._check(f"the job beyond {user}'s quota is put off, and Slurm says why", happened=held)

    def _row(self, what: str) -> dict[str, Any]:
        user, job_id = self._jobs[what]
        return self._stack.job(user, job_id) or {}

    def _check(self, text: str, *, happened: bool) -> None:
        self._checks.append((text, happened))
