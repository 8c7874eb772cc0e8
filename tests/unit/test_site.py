"""The site file of nodes and submit hosts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import ConfigError
from carbonsched.site import DEFAULT_PATH, AgentSite, NodeClass, Site, load_site, site_path

SITE = Site(
    cluster="hpc",
    daemon_url="http://head:8470",
    munge_socket="/run/munge/other",
    lease_s=60,
    agent=AgentSite(spool="/spool/%n", segment_s=30),
    node_classes=(NodeClass(nodes="n[1-4]", cpus=64, idle_w=95.5, max_w=410.0),),
)


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "site.json"
    path.write_text(SITE.to_json(), encoding="utf-8")
    assert load_site(path) == SITE


@given(st.text(min_size=1), st.text(), st.integers(0, 10**6), st.floats(0.1, 1e4))
def test_any_names_survive_the_file(cluster, url, lease_s, watts):
    site = Site(
        cluster=cluster, daemon_url=url, lease_s=lease_s,
        node_classes=(NodeClass(nodes="n1", cpus=1, idle_w=watts, max_w=watts * 2),),
    )  # fmt: skip
    assert Site.from_json(site.to_json()) == site


def test_defaults_need_only_the_cluster_and_the_daemon():
    assert Site.from_json('{"cluster": "a", "daemon_url": "b"}') == Site(
        cluster="a", daemon_url="b"
    )


def test_the_environment_names_another_file(monkeypatch, tmp_path):
    monkeypatch.setenv("CARBONSCHED_SITE", str(tmp_path / "else.json"))
    assert site_path() == tmp_path / "else.json"
    monkeypatch.setenv("CARBONSCHED_SITE", "")
    assert str(site_path()) == DEFAULT_PATH


def changed(**values):
    return json.dumps(json.loads(SITE.to_json()) | values)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("[]", "expected an object"),
        ("null", "expected an object"),
        ("{}", "cluster"),
        (changed(colour="green"), "unknown key 'colour'"),
        (changed(agent={"colour": 1}), "unknown key 'colour'"),
        (changed(agent=[]), "expected an object"),
        (changed(node_classes=[{"nodes": "n1"}]), "cpus"),
        (changed(node_classes=[5]), "must be a mapping"),
        (changed(cluster=5), "cluster is 5"),
        (changed(daemon_url=None), "daemon_url is None"),
        (changed(lease_s=True), "lease_s is True"),
        (changed(lease_s=-1), "negative"),
        (changed(submit_timeout_s="3"), "submit_timeout_s is '3'"),
        (changed(submit_timeout_s=0), "negative"),
    ],
)
def test_anything_else_is_one_line_with_the_remedy(tmp_path, text, why):
    path = tmp_path / "site.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    (line,) = caught.value.problems
    assert "\n" not in line
    assert line.startswith(f"{path}: not a site file (")
    assert why in line
    assert line.endswith("; write it with 'carbonsched config compile'")


def test_bytes_that_are_no_text_are_no_site_file(tmp_path):
    path = tmp_path / "site.json"
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match="not a site file"):
        load_site(path)


def test_an_absent_file_or_a_directory_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.json: No such file or directory; write it"):
        load_site(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="Is a directory; write it"):
        load_site(tmp_path)
