"""Nodes and GPUs by the names of their parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.power import (
    GPU_IDLE_SHARE,
    IDLE_SHARE,
    MEMORY_W_PER_GB,
    TABLE_UNCERTAINTY,
    gpu_power,
    node_power,
)
from carbonsched.power.tables import cpus, gpus, plain


@pytest.mark.parametrize(
    ("written", "name", "tdp_w"),
    [
        ("AMD EPYC 7742", "AMD EPYC 7742", 225),
        ("AMD EPYC 7742 64-Core Processor", "AMD EPYC 7742", 225),
        ("epyc 9654 96-core processor", "AMD EPYC 9654", 360),
        ("Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz", "Intel Xeon Gold 6148", 150),
        ("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", "Intel Xeon E5-2680 v4", 120),
        ("Intel(R) Xeon(R) CPU E3-1240 V2 @ 3.40GHz", "Intel Xeon E3-1240 v2", 69),
        ("INTEL(R) XEON(R) PLATINUM 8480+", "Intel Xeon Platinum 8480+", 350),
        ("AMD Ryzen 5 2500X Quad-Core Processor", "AMD Ryzen 5 2500X", 65),
        ("12th Gen Intel(R) Core(TM) i7-12700K", "Intel Core i7-12700K", 190),
    ],
)
def test_a_cpu_as_the_kernel_or_a_person_writes_it(written, name, tdp_w):
    assert cpus().find(written) == (name, tdp_w)


@pytest.mark.parametrize(
    ("written", "name", "tdp_w"),
    [
        ("A100 SXM4 80 GB", "A100 SXM4 80 GB", 400),
        ("NVIDIA A100-SXM4-80GB", "A100 SXM4 80 GB", 400),
        ("Tesla V100-SXM2-16GB", "Tesla V100-SXM2-16GB", 300),
        ("V100 PCIe 16 GB", "Tesla V100-PCIE-16GB", 250),
        ("NVIDIA GeForce RTX 3090", "RTX 3090", 350),
        ("NVIDIA L40S", "L40S", 350),
    ],
)
def test_a_gpu_as_the_driver_or_a_person_writes_it(written, name, tdp_w):
    assert gpus().find(written) == (name, tdp_w)


def test_a_node_by_the_rule():
    node = node_power("AMD EPYC 7742", 2, 256, "A100 SXM4 80 GB")
    assert node.max_w == round(2 * 225 + 256 * MEMORY_W_PER_GB, 1) == 545.4
    assert node.idle_w == round((2 * 225 + 256 * MEMORY_W_PER_GB) * IDLE_SHARE, 1) == 136.3
    assert (node.gpu_idle_w, node.gpu_max_w) == (400 * GPU_IDLE_SHARE, 400)
    assert node.uncertainty == TABLE_UNCERTAINTY
    assert node.source == (
        "2 x AMD EPYC 7742 at 225 W (CodeCarbon), 256 GB at 0.3725 W, idle 25%;"
        " GPU A100 SXM4 80 GB at 400 W (ML CO2 Impact), idle 15%"
    )


def test_a_node_without_gpus_has_no_watts_of_them():
    node = node_power("AMD EPYC 7742", 1, 0, None)
    assert (node.max_w, node.gpu_idle_w, node.gpu_max_w) == (225, 0, 0)
    assert "GPU" not in node.source


def test_one_gpu_alone():
    assert gpu_power("t4").max_w == 70
    assert gpu_power("t4").idle_w == 10.5


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("7742", "near: AMD EPYC 7742; declare idle and max in watts"),
        ("EPYC 7749", "near: AMD EPYC 7742,"),
        ("Xeon Gold 6148 v9", "near: Intel Xeon Gold 6148; declare"),
        ("no such thing at all, really", "is not known; declare idle and max"),
        ("", "is not known; declare idle and max"),
    ],
)
def test_an_unknown_cpu_is_an_error_that_helps(written, near):
    with pytest.raises(ValueError, match="the power of CPU") as caught:
        node_power(written, 2, 64, None)
    assert near in str(caught.value)


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("NVIDIA H100 80GB HBM3", "near: H100 SXM, H100 NVL; declare the GPU's idle and max"),
        ("MI250X", "is not known; declare the GPU's idle and max"),
    ],
)
def test_an_unknown_gpu_is_an_error_that_helps(written, near):
    for ask in (lambda: gpu_power(written), lambda: node_power("AMD EPYC 7742", 2, 64, written)):
        with pytest.raises(ValueError, match="the power of GPU") as caught:
            ask()
        assert near in str(caught.value)


@pytest.mark.parametrize(("sockets", "memory_gb"), [(0, 64), (-1, 64), (2, -1)])
def test_numbers_that_make_no_sense_are_refused(sockets, memory_gb):
    with pytest.raises(ValueError, match="at least 1 socket"):
        node_power("AMD EPYC 7742", sockets, memory_gb, None)


def test_the_tables_hold_plausible_watts_and_find_their_own_names():
    for table, least, most in ((cpus(), 4000, 600), (gpus(), 30, 1000)):
        assert len(table.rows) > least
        for name, watts in table.rows.values():
            assert 0 < watts <= most
            assert table.find(name)[1] >= watts


@given(st.text())
def test_any_text_has_a_plain_form(text):
    assert plain(text) == " ".join(plain(text).split())
    assert plain(f"Intel(R) {text}  CPU") == plain(text)
