"""One real Slurm cluster for all tests of the session."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy"))

from lab import Lab, LabConfig, unfit  # noqa: E402  # found through the line above


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
def lab(lab_folder):
    """A running cluster of four nodes with our hooks, and the users carbon-ada and carbon-ben."""
    config = LabConfig(
        directory=lab_folder / "lab",
        submit_plugin=ROOT / "slurm" / "job_submit.lua",
        path=(Path(sys.executable).parent,),
    )
    with Lab.started(config) as lab:
        yield lab
