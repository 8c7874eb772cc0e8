from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from carbonsched.config.example import example
from carbonsched.config.fields import keys_of, sections_of
from carbonsched.config.loader import loads
from carbonsched.config.notes import notes
from carbonsched.config.reference import reference
from carbonsched.config.schema import (
    EdsConfig,
    EiaConfig,
    ElectricityMapsConfig,
    EnergyChartsConfig,
    EntsoeConfig,
    GsfConfig,
    ReplayConfig,
    SiteConfig,
)

ROOT = Path(__file__).parents[3]
PUE = ("clusters", 0, "pue")
NOT_SHOWN = (
    ReplayConfig, EdsConfig, ElectricityMapsConfig, EnergyChartsConfig, EntsoeConfig, EiaConfig,
    GsfConfig,
)  # fmt: skip
"""One of each sort of provider is enough for an example; the rest is in the reference."""
REFERENCE = ROOT / "docs" / "reference" / "configuration.md"


def test_the_example_is_good_and_complete():
    config = loads(example(), "example")
    assert [zone.name for zone in config.zones] == ["DE"]
    assert [one.user or one.account for one in config.quotas] == ["*", "alice", "physics"]
    assert config.daemon.quota_file is not None
    assert config.zones[0].providers[0].forecasts is not None
    waiting = [SiteConfig]
    while waiting:
        section = waiting.pop()
        for key, field in keys_of(section).items():
            left_out = section in NOT_SHOWN or key in {"constant", "region", "postcode", "key_env"}
            assert left_out or re.search(rf"^[ #-]*{key}:", example(), re.MULTILINE), key
            waiting += sections_of(field.annotation)


def test_the_keys_that_are_commented_out_are_good_as_well():
    keys = (
        "munge_socket|bin_dir|conf|zone_in_file|metrics|ipmi|uncertainty|cpu|sockets|memory|gpus"
        "|gpu|gpu_idle|gpu_max|embodied|lifetime"
    )
    text, count = re.subn(rf"^( *)# ({keys}): ", r"\1\2: ", example(), flags=re.MULTILINE)
    assert count == len(keys.split("|"))
    config = loads(text, "example")
    assert config.clusters[0].slurm.bin_dir == Path("/opt/slurm/bin")
    assert config.clusters[0].nodes[0].compiled().gpu_max_w == 400


@pytest.mark.parametrize("chosen", ["table", "file", "prometheus"])
def test_each_way_to_say_a_pue_that_changes_is_good(chosen, plain):
    """As a person would: uncomment the block, and remove the other ways."""
    lines = example().splitlines()
    first = lines.index("    # pue:")
    last = lines.index("    #   fallback: 1.3")
    block = [line.replace("    # ", "    ", 1) for line in lines[first : last + 1]]
    lines[first - 2 : last + 1] = block
    document = plain("\n".join(lines))
    pue = document["clusters"][0]["pue"]
    assert set(pue) == {"table", "file", "prometheus", "fallback"}
    kept = {chosen, *({"fallback"} if chosen != "table" else ())}
    document["clusters"][0]["pue"] = {key: value for key, value in pue.items() if key in kept}
    assert getattr(loads(yaml.safe_dump(document), "example").clusters[0].pue, chosen)


def test_the_other_zone_of_the_example_is_good():
    lines = example().splitlines()
    first = lines.index("  # - name: GB")
    lines[first : first + 5] = [line.replace("  # ", "  ", 1) for line in lines[first : first + 5]]
    assert [zone.name for zone in loads("\n".join(lines), "example").zones] == ["DE", "GB"]


def test_the_ranking_of_the_example_is_good():
    lines = example().splitlines()
    first = lines.index("    # ranking:")
    block = [line.replace("    # ", "    ", 1) for line in lines[first : first + 8]]
    lines[first : first + 8] = block
    ranking = loads("\n".join(lines), "example").zones[0].ranking
    assert [one.series_info("DE").kind for one in ranking] == ["marginal"]


def test_the_example_fits_a_terminal():
    assert max(len(line) for line in example().splitlines()) <= 80


def test_the_reference_page_is_current():
    assert REFERENCE.read_text(encoding="utf-8") == reference(), (
        "run: carbonsched config reference > docs/reference/configuration.md"
    )


def test_the_yaml_of_the_handbook_is_good(plain):
    page = (ROOT / "docs" / "how-to" / "configure.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(blocks) > 4
    for block in blocks:
        document = plain(example()) | plain(block)
        providers = document["zones"][0]["providers"]
        wanted = {cluster["zone"] for cluster in document["clusters"]}
        missing = wanted - {zone["name"] for zone in document["zones"]}
        document["zones"] += [{"name": name, "providers": providers} for name in sorted(missing)]
        assert loads(yaml.safe_dump(document), "handbook")


def test_the_file_to_deploy_is_the_example():
    assert (ROOT / "deploy" / "etc" / "carbonsched.yaml").read_text(encoding="utf-8") == example()


def test_notes_say_what_is_seldom_meant(config):
    zones = [
        {"name": "NO", "providers": [
            {"kind": "replay", "start": "2021-07-05T00:00Z", "begin": "2026-11-20T08:00Z",
             "hour": "10s"}]},
        {"name": "GB", "providers": [{"kind": "neso"}]},
    ]  # fmt: skip
    quotas = [{"user": "a", "monthly": "1 kg"}]
    mode = {("planning",): {"mode": "shadow"}}
    found = list(notes(config({("zones",): zones, ("quotas",): quotas, **mode})))
    assert [note.split(":")[0].split(" replays")[0] for note in found] == [
        "quotas are counted but bind nobody",
        "daemon.listen_host is 127.0.0.1",
        "planning.mode is shadow",
        "cluster hpc has no node classes",
        "zone NO",
        "zone GB feeds no cluster",
    ]


def test_notes_on_a_zone_without_forecasts_or_files(config):
    source = {
        "kind": "file", "provider": "p", "actual": "/nowhere/x.csv", "signal": "average",
        "basis": "production", "gas": "CO2", "scope": "direct",
    }  # fmt: skip
    found = list(notes(config({("zones", 0, "providers"): [source]})))
    assert "zone NO: /nowhere/x.csv is not on this host" in found
    assert "zone NO has no forecasts: no job will be deferred for it" in found


def test_notes_on_a_pue_that_changes(config):
    found = list(notes(config({PUE: {"file": "/nowhere/pue.csv", "fallback": "1.2"}})))
    assert "cluster hpc: /nowhere/pue.csv is not on this host" in found
    found = list(notes(config({PUE: {"table": [{"since": "2026-01-01", "pue": "1.21"}]}})))
    assert "cluster hpc: before 2026-01-01 the PUE is taken to be 1.21 too" in found


@pytest.mark.parametrize(
    ("lines", "noted"),
    [
        (["PriorityType=priority/multifactor", "PriorityWeightAge=1000"], True),
        (["prioritytype = priority/multifactor # ours", "PRIORITYWEIGHTAGE=1000"], True),
        (["PriorityType=priority/multifactor", "PriorityWeightAge=0"], False),
        (["PriorityType=priority/multifactor"], False),
        (["PriorityType=priority/basic", "PriorityWeightAge=1000"], False),
        (
            [
                "PriorityType=priority/multifactor",
                "PriorityWeightAge=1000",
                "PriorityFlags=FAIR_TREE,accrue_always",
            ],
            False,
        ),
    ],
)
def test_a_slurm_conf_by_which_waiting_loses_age_is_noted(config, tmp_path, lines, noted):
    conf = tmp_path / "slurm.conf"
    conf.write_text("\n".join(["ClusterName=lab", *lines, ""]))
    found = list(notes(config({("clusters", 0, "slurm", "conf"): str(conf)})))
    assert any(f"{conf} has no PriorityFlags=ACCRUE_ALWAYS" in note for note in found) == noted


def test_a_slurm_conf_that_is_not_there_is_not_noted(config):
    found = notes(config({("clusters", 0, "slurm", "conf"): "/nowhere/slurm.conf"}))
    assert not any("ACCRUE_ALWAYS" in note for note in found)
