"""What the agent shows Prometheus."""

from __future__ import annotations

import socket
import time
from urllib.request import urlopen

import pytest

from carbonsched.cli import agent as agent_command


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_prometheus_is_shown_the_same_joules(node, daemon):
    port = free_port()
    node.start(f"--metrics=127.0.0.1:{port}")
    node.work(0.4)
    drawn = 'carbonsched_node_energy_joules_total{domain="cpu",device="package-0"}'
    values = {}

    def scraped():
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        values.update(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        delivered = "carbonsched_last_delivery_timestamp_seconds" in values
        return delivered and float(values.get(drawn, 0)) == pytest.approx(node.used_uj / 1e6)

    node.until(scraped)
    consumed = [float(v) for k, v in values.items() if k.startswith("carbonsched_consumed_")]
    assert sum(consumed) == pytest.approx(node.used_uj / 1e6)
    assert float(values["carbonsched_samples_total"]) > 3
    assert float(values["carbonsched_last_delivery_timestamp_seconds"]) > time.time() - 60
    assert 'carbonsched_job_power_watts{job_id="7"}' in values
    failures = "carbonsched_meter_errors_total"
    assert {key: value for key, value in values.items() if key.startswith(failures)} == {
        f'{failures}{{meter="{key}"}}': "0"
        for key in ("cray", "gpu-hwmon", "hwmon", "nvml", "rapl")
    }
    node.stop()
    node.check_sums()


def test_nothing_is_shown_if_the_site_says_so_and_the_option_says_no(node):
    port = free_port()
    node.site = node.tree.site(sample_s=0.05, segment_s=1, metrics=f"127.0.0.1:{port}")
    node.start("--no-metrics")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    node.stop()


def test_a_port_that_somebody_has_is_said_and_does_not_stop_the_metering(node):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        node.start(f"--metrics={address}")
        node.work(0.3)
        node.stop()
    node.check_sums()
    (line,) = [one for one in node.log.read_text().splitlines() if "agent.metrics" in one]
    assert f"{address}: Address already in use" in line
    assert line.endswith("metering goes on without /metrics")


def test_an_address_that_is_none_is_one_line(tree, capsys):
    arguments = ["--node", "n1", "--site", str(tree.site()), "--metrics=everywhere"]
    paths = [f"--path.sysfs={tree.sysfs}", f"--path.procfs={tree.procfs}"]
    assert agent_command.main([*arguments, *paths]) == 78
    assert "'everywhere' is not HOST:PORT" in capsys.readouterr().err.splitlines()[-1]
