"""ipmitool at the process boundary: a program of that name on PATH that prints what it prints."""

from __future__ import annotations

import os
import time

import pytest

from carbonsched.errors import ConfigError, MeterError
from carbonsched.model.energy import Domain, Quality
from carbonsched.node.meters.ipmi import IpmiMeter, power_w

NS = 1_000_000_000
J = 1_000_000

ANSWER = """
    Instantaneous power reading:                   {watts} Watts
    Minimum during sampling period:                175 Watts
    Maximum during sampling period:                242 Watts
    Average power reading over sample period:      190 Watts
    IPMI timestamp:                           Sun Mar  6 15:13:42 2022
    Sampling period:                          00123893 Seconds.
    Power reading state is:                   {state}


"""


@pytest.fixture
def ipmitool(tmp_path, monkeypatch):
    """Installs a program; what it does next is in a file that it sources."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    answer = tmp_path / "answer.sh"

    def install(script):
        answer.write_text(script)
        path = folder / "ipmitool"
        path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n. {answer}\n')
        path.chmod(0o755)

    return install


def says(watts, state="activated"):
    return f"cat <<'END'\n{ANSWER.format(watts=watts, state=state)}END\n"


def until(condition, limit_s=5.0):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def meter_of(journal, clock=lambda: 0, limit_s=5.0):
    return IpmiMeter(10.0, journal, clock, limit_s)


@pytest.mark.parametrize("state", ["activated", "deactivated"])
def test_power_is_read_whatever_the_controller_says_of_its_state(state):
    assert power_w(ANSWER.format(watts="  212", state=state)) == 212


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        (ANSWER.format(watts="0", state="deactivated"), "0 W is no node's power"),
        (ANSWER.format(watts="65535", state="activated"), "65535 W is no node's power"),
        ("", "no power in its answer"),
        ("\x00\xff garbage \n Instantaneous power reading: many Watts", "no power in its answer"),
    ],
)
def test_what_is_no_power_is_refused(output, fault):
    with pytest.raises(ValueError, match=fault):
        power_w(output)


def test_the_thread_asks_and_samples_only_take_what_is_there(ipmitool, journal, tmp_path):
    ipmitool(says(212))
    meter = IpmiMeter.start(10.0, journal, lambda: 5 * NS)
    try:
        until(lambda: meter._last is not None)
        before, after = meter.read(5 * NS), meter.read(6 * NS)
        (one,) = meter.between(before, after, NS, 0)
        assert (one.domain, one.device) == (Domain.NODE, "ipmi dcmi")
        assert (one.energy_uj, one.quality) == (212 * J, Quality.SAMPLED)
        assert (tmp_path / "calls").read_text() == "dcmi power reading\n"
    finally:
        meter.close()


def test_a_value_is_held_for_three_periods_and_then_lost(ipmitool, journal):
    ipmitool(says(212))
    meter = meter_of(journal)
    with pytest.raises(MeterError, match="has not answered yet"):
        meter.read(0)
    meter.ask()
    assert meter.read(30 * NS)["ipmi dcmi.uw"] == 212 * J
    with pytest.raises(MeterError, match="ipmitool"):
        meter.read(30 * NS + 1)


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (
            (
                "echo 'Could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0:"
                " No such file or directory' >&2; exit 1"
            ),
            "status 1: Could not open device at /dev/ipmi0",
        ),
        ("echo '    DCMI request failed because: Invalid command (c1)'; exit 255", "Invalid comm"),
        (says(0, "deactivated"), "0 W is no node's power"),
        ("printf '\\377\\376\\000garbage'", "no power in its answer"),
        ("exec sleep 60", "no answer within 0.2 s"),
        ("kill -9 $$", "status -9"),
    ],
)
def test_failures_are_counted_and_said_once_and_the_last_value_stays(
    ipmitool, journal, log, script, fault
):
    meter = meter_of(journal, limit_s=0.2 if "sleep" in script else 5.0)
    ipmitool(says(212))
    meter._limit_s = 5.0
    meter.ask()
    ipmitool(script)
    meter._limit_s = 0.2 if "sleep" in script else 5.0
    meter.ask()
    meter.ask()
    assert meter.failures == 2
    assert log.getvalue().count(fault) == 1
    assert meter.read(NS)["ipmi dcmi.uw"] == 212 * J
    with pytest.raises(MeterError, match=fault.split(":", maxsplit=1)[0]):
        meter.read(40 * NS)
    ipmitool(says(99))
    meter._limit_s = 5.0
    meter.ask()
    assert "ipmitool answers again" in log.getvalue()
    assert meter.read(NS)["ipmi dcmi.uw"] == 99 * J


def test_it_is_off_unless_it_is_asked_for(journal):
    assert IpmiMeter.start(0, journal, lambda: 0) is None


def test_settings_that_cannot_work_are_refused(journal, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"agent\.ipmi_s must be 0, or at least 10 s"):
        IpmiMeter.start(5, journal, lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="there is no ipmitool; install it"):
        IpmiMeter.start(30, journal, lambda: 0)
