"""Runs one training as a job: its epochs are marked to the node's agent and to Carbontracker.

python tests/bench/prediction/train.py NAME SEED FOLDER

``record.py`` submits it. Carbontracker's own log comes to lie in FOLDER.
"""

from __future__ import annotations

import sys

import torch
from carbontracker.tracker import CarbonTracker
from held_out import HELD_OUT
from trainings import TRAININGS, Training

from carbonsched.epochs import EpochTracker


def main() -> int:
    """Train."""
    name, seed, folder = sys.argv[1:]
    torch.manual_seed(int(seed))
    torch.set_num_threads(1)
    training = (TRAININGS | HELD_OUT)[name]()
    train(training, folder)
    return 0


def train(training: Training, folder: str) -> None:
    """All epochs, or as many as the training's own rule lets it have."""
    ours = EpochTracker(epochs=training.epochs)
    other = CarbonTracker(
        epochs=training.epochs, monitor_epochs=-1, components="cpu", log_dir=folder, verbose=0
    )
    for epoch in range(training.epochs):
        other.epoch_start()
        ours.epoch_start()
        for number in range(training.batches * training.passes):
            training.step(epoch, number % training.batches)
            ours.step()
        stopping = training.after(epoch)
        ours.epoch_end()
        other.epoch_end()
        if stopping:
            break
    ours.stop()
    other.stop()


if __name__ == "__main__":
    raise SystemExit(main())
