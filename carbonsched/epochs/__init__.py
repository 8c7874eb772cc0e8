"""What a training script imports to mark its epochs."""

from __future__ import annotations

from carbonsched.epochs.carbontracker import CarbonTracker
from carbonsched.epochs.tracker import EpochTracker

__all__ = ["CarbonTracker", "EpochTracker"]
