"""The interface of the package carbontracker, for scripts that were written for it."""

from __future__ import annotations

from typing import Any

from carbonsched.epochs.tracker import EpochTracker


class CarbonTracker(EpochTracker):
    """Takes every argument of carbontracker's class of this name and marks the epochs.

    ``epochs`` is the number of epochs that the whole training runs. Every epoch is marked, also
    those after ``monitor_epochs``. The other arguments say how carbontracker measures, predicts
    and logs in the process, which the node's agent and the daemon do here: they have no effect,
    nor has an argument that neither knows. Nothing is printed, asked or written.
    """

    def __init__(self, epochs: int | None = None, *_settings: Any, **_more: Any) -> None:
        super().__init__(epochs)

    def set_api_keys(self, api_keys: Any) -> None:
        """No effect: the site's daemon asks for the grid's intensity."""
