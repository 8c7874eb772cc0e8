"""What the daemon says of readings that it does not take."""

from __future__ import annotations

import json
from dataclasses import replace

from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.transport.munge import Caller

START = 1_792_998_000
HOUR = 3600


def over_the_wire(reading):
    return json.loads(json.dumps(reading.to_wire()))


def test_only_what_a_mend_may_let_in_is_to_be_sent_again(site):
    """A daemon's clock that was behind, or a cluster that was missing, costs no reading."""
    job = site.slurm.submit()
    ahead = site.segment(job, START + 2 * HOUR)
    elsewhere = replace(site.segment(job, START), cluster="new")
    other = site.segment(job, START - 300, energy_j=31_000)
    site.deliver(site.segment(job, START - 300))
    epoch = over_the_wire(
        EpochRecord(
            cluster="new", node="n1", job_id=1, restarts=0, uid=1, epoch=1, epochs=None,
            started_ms=START * 1000, duration_ms=5, energy_millij=9, relative_sd=None, samples=0,
            quality=Quality.MODELLED,
        )
    )  # fmt: skip
    wires = [*map(over_the_wire, (ahead, elsewhere, other)), {"total_j": 5}]
    refused = site.take.take(Caller(uid=0, gid=0, payload=b""), wires, [epoch])["refused"]
    assert [(one["list"], one["index"], one["retry"]) for one in refused] == [
        ("segments", 0, True),
        ("segments", 1, True),
        ("segments", 2, False),
        ("segments", 3, False),
        ("epochs", 0, True),
    ]
    assert "clocks" in refused[0]["error"]
    assert "'new' is not managed" in refused[1]["error"]
    site.clock.at += 2 * HOUR
    assert site.deliver(ahead)["accepted"] == 1
