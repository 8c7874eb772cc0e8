"""Real Slurm clusters for the tests of the session: one bare, one with carbonsched on it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy"), str(Path(__file__).parent)]

from lab import Lab, LabConfig, unfit  # noqa: E402  # found through the line above
from plant_trial import PlantTrial  # noqa: E402
from scene import Scene  # noqa: E402
from trial import ADA, Grid, Trial  # noqa: E402

PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="session")
def lab_folder():
    """A folder that every user can enter, for labs; pytest's own temporary folders are private."""
    reason = unfit()
    if reason is not None:
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="carbonsched-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def programs():
    """Where the installed commands lie."""
    return PROGRAMS


@pytest.fixture(scope="session")
def lab(lab_folder):
    """A running cluster of four nodes with our hooks, and the users carbon-ada and carbon-ben."""
    config = LabConfig(
        directory=lab_folder / "lab",
        submit_plugin=ROOT / "slurm" / "job_submit.lua",
        path=(PROGRAMS,),
    )
    with Lab.started(config) as lab:
        yield lab


@pytest.fixture(scope="session")
def trial(lab_folder):
    """Another such cluster, with the daemon and the agents of carbonsched; see trial.py."""
    with Lab.started(Trial.config(lab_folder / "trial", PROGRAMS)) as lab:
        yield Trial(lab, PROGRAMS, Grid(lab_folder / "grid"))


@pytest.fixture(scope="session")
def stack(trial):
    """The daemon and the agents on the trial's cluster."""
    return trial.stack


@pytest.fixture(scope="session")
def metered(lab_folder):
    """Another such cluster, whose nodes have the hardware of a power plant; see plant_trial.py."""
    folder = lab_folder / "metered"
    folder.mkdir(mode=0o755)
    with Lab.started(PlantTrial.config(folder / "lab", PROGRAMS)) as lab:
        trial = PlantTrial(lab, PROGRAMS, Grid(folder / "grid"), folder / "plant")
        try:
            yield trial
        finally:
            trial.plant.stop()


@pytest.fixture
def scene(tmp_path):
    """Makes a node of a power plant and its agent, without Slurm; closed in the end."""
    made = []

    def make(**script):
        made.append(Scene(tmp_path, **script))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def requeued(trial):
    """A job sent back to the queue after its first readings; Slurm holds it for two minutes."""
    job, _ = trial.csbatch(
        ADA, "--carbon-now", "--time=1", "--job-name=requeued", "--requeue", "--wrap", "sleep 9"
    )
    trial.wait_state(job, "RUNNING")
    trial.until(lambda: trial.rows(job)[0]["energy_j"], "its first reading in the ledger")
    trial.lab.slurm("scontrol", "requeue", str(job))
    trial.until(lambda: trial.shown(job, "JobState") == "PENDING", "the second run to wait")
    return job
