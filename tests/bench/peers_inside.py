"""One peer measuring one job: started by peers.py with the peers' own Python, prints JSON.

Each is used as its documentation's first example does, with its defaults. What is printed are the
joules that it reports for its interval, and when that began and ended.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

EPOCH_S = 10


def carbontracker(seconds: int) -> dict[str, Any]:
    """Epochs of a training loop that only waits; the job's work is the plant's."""
    from carbontracker import constants  # noqa: PLC0415 - only one of the two is wanted
    from carbontracker.tracker import CarbonTracker  # noqa: PLC0415

    epochs = seconds // EPOCH_S
    tracker = CarbonTracker(epochs=epochs, verbose=0)
    thread = tracker.tracker  # it leaves the tracker with the last epoch
    began_ns = time.time_ns()
    for _ in range(epochs):
        tracker.epoch_start()
        time.sleep(EPOCH_S)
        tracker.epoch_end()
    ended_ns = time.time_ns()
    kwh = float(thread.total_energy_per_epoch().sum()) / constants.PUE_2023
    components = thread.components
    parts = {one.name: float(sum(one.energy_usage(thread.epoch_times))) for one in components}
    return answer(began_ns, ended_ns, kwh, parts)


def codecarbon(seconds: int) -> dict[str, Any]:
    """A task as long as the other's epochs."""
    from codecarbon import OfflineEmissionsTracker  # noqa: PLC0415 - only one of the two

    tracker = OfflineEmissionsTracker(
        country_iso_code="DNK", save_to_file=False, log_level="error", measure_power_secs=1
    )
    began_ns = time.time_ns()
    tracker.start()
    time.sleep(seconds // EPOCH_S * EPOCH_S)
    tracker.stop()
    ended_ns = time.time_ns()
    data = tracker.final_emissions_data
    parts = {"cpu": data.cpu_energy, "gpu": data.gpu_energy, "ram (model)": data.ram_energy}
    return answer(began_ns, ended_ns, data.energy_consumed, parts)


def answer(began_ns: int, ended_ns: int, kwh: float, parts: dict[str, float]) -> dict[str, Any]:
    """Joules in place of kilowatt-hours."""
    return {
        "begin_ns": began_ns,
        "end_ns": ended_ns,
        "joules": kwh * 3_600_000,
        "parts": {name: value * 3_600_000 for name, value in parts.items()},
    }


if __name__ == "__main__":
    tool = {"carbontracker": carbontracker, "codecarbon": codecarbon}[sys.argv[1]]
    result = tool(int(sys.argv[2]))
    sys.stdout.write("\nRESULT " + json.dumps(result) + "\n")
    sys.stdout.flush()
