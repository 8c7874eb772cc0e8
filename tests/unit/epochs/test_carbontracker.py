"""A script written for carbontracker runs when its import line is changed."""

from __future__ import annotations

import pytest

from carbonsched.epochs import CarbonTracker

# The names and defaults of CarbonTracker.__init__ in carbontracker 2.4.7 from PyPI (wheel
# carbontracker-2.4.7-py3-none-any.whl, carbontracker/tracker.py), read on 2026-11-28.
SIGNATURE = {
    "epochs": None, "epochs_before_pred": 1, "monitor_epochs": -1, "update_interval": 1,
    "interpretable": True, "stop_and_confirm": False, "ignore_errors": False, "components": "all",
    "devices_by_pid": False, "log_dir": None, "log_file_prefix": "", "verbose": 1,
    "decimal_precision": 12, "api_keys": None, "sim_cpu": None, "sim_cpu_tdp": None,
    "sim_cpu_util": None, "sim_gpu": None, "sim_gpu_watts": None, "sim_gpu_util": None,
}  # fmt: skip
SCRIPT = """
from carbontracker.tracker import CarbonTracker

tracker = CarbonTracker(epochs=3, epochs_before_pred=2, monitor_epochs=2, log_dir="/nonexistent/x",
                        components="gpu", verbose=2, stop_and_confirm=True)
tracker.set_api_keys({"electricitymaps": "secret"})
for epoch in range(3):
    tracker.epoch_start()
    tracker.epoch_end()
tracker.stop()
print("trained")
"""
MARKS = [(event, number, 3) for number in (1, 2, 3) for event in ("start", "end")]


def test_a_script_runs_with_its_import_line_changed(agent, capsys):
    code = SCRIPT.replace("carbontracker.tracker", "carbonsched.epochs")
    exec(compile(code, "train.py", "exec"), {})  # noqa: S102 - as a user's script would run
    assert agent.told() == MARKS
    said = capsys.readouterr()
    assert (said.out, said.err) == ("trained\n", "")


@pytest.mark.parametrize("by_name", [True, False])
def test_every_argument_of_carbontracker_is_taken(agent, by_name):
    values = SIGNATURE | {"epochs": 3}
    tracker = CarbonTracker(**values) if by_name else CarbonTracker(*values.values())
    for _ in range(3):
        tracker.epoch_start()
        tracker.epoch_end()
    tracker.stop()
    tracker.stop()
    tracker.epoch_start()
    assert agent.told() == [*MARKS, ("start", 4, 3)]


def test_what_neither_knows_and_what_is_missing_does_not_stop_a_training(agent):
    tracker = CarbonTracker(colour="red", monitor_epochs=0, epochs_before_pred=-7)
    tracker.epoch_start()
    tracker.stop()
    assert agent.told() == [("start", 1, None)]
