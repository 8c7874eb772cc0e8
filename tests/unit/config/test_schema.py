from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from carbonsched.config.base import Section
from carbonsched.config.compile import compile_site
from carbonsched.config.fields import keys_of, kind_of, sections_of
from carbonsched.config.schema import SiteConfig
from carbonsched.errors import RequestError
from carbonsched.power import TABLE_UNCERTAINTY, gpu_power, node_power
from carbonsched.site import AgentSite, NodeClass, Site

FILE = {
    "kind": "file",
    "provider": "utility",
    "actual": "/srv/no.csv",
    "signal": "average",
    "basis": "consumption",
    "gas": "CO2",
    "scope": "direct",
}
PUE = ("clusters", 0, "pue")
NODE = {"nodes": "n[1-4]", "cpus": "4", "idle": "90 W", "max": "200 W"}
PARTS = {"nodes": "n1", "cpus": "4", "cpu": "AMD EPYC 7742", "sockets": "2", "memory": "256 GB"}
PROMETHEUS = {"url": "http://prom:9090", "query": "building_pue"}
STATIC = {"kind": "static", "g_per_kwh": "30", "source": "a report", "year": "2024"}
REPLAY = {
    "kind": "replay",
    "start": "2021-07-05T00:00Z",
    "begin": "2026-11-20T08:00Z",
    "hour": "10s",
}
PROVIDERS = ("zones", 0, "providers")
RANKING = ("zones", 0, "ranking")
EDS = {"kind": "eds", "area": "DK1"}
NESO = {"kind": "neso"}
EIA = {"kind": "eia", "respondent": "CISO", "key_file": "/etc/eia.key"}
WATTTIME = {
    "kind": "watttime", "username": "u", "region": "DK", "key_file": "/etc/wt.key",
    "signal": "co2_moer",
}  # fmt: skip
COUNTRY = {"kind": "static", "country": "DNK"}
NODES = ("clusters", 0, "nodes")


def every_section():
    waiting, seen = [SiteConfig], []
    while waiting:
        section = waiting.pop()
        seen.append(section)
        for field in section.model_fields.values():
            waiting += sections_of(field.annotation)
    return seen


@pytest.mark.parametrize("section", every_section(), ids=lambda one: one.__name__)
def test_every_key_is_described_and_its_example_is_accepted(section, plain):
    assert section.__doc__
    for key, field in keys_of(section).items():
        assert field.description, key
        assert field.description.endswith((".", "?")), key
        if sections_of(field.annotation):
            continue
        value = plain(field.examples[0])
        adapter = TypeAdapter(field.rebuild_annotation())
        adapter.validate_python(value)


def test_what_is_left_away_has_the_documented_default(config):
    site = config({})
    assert site.daemon.lease_s == 120
    assert site.daemon.submit_timeout_s == 3.0
    assert site.daemon.ticks.plan_s == 60.0
    assert site.planning.default_max_delay_s == 0
    assert site.planning.slot_s == 900
    stops = site.planning.checkpoints
    assert (stops.stop, stops.signal) == (True, "USR1")
    assert (stops.grace_s, stops.cost_s, stops.least_run_s) == (120, 300, 1800)
    assert site.quotas == ()
    assert site.site.operators == ()
    assert site.site.state_dir == Path("/var/lib/carbonsched")


def test_defaults_pass_their_own_checks(config):
    for section in every_section():
        for key, field in keys_of(section).items():
            extra = field.json_schema_extra or {}
            if "shown" in extra:
                value = TypeAdapter(field.rebuild_annotation()).validate_python(extra["shown"])
                assert value == field.default, (section, key)
    assert config({}).agent.sample_s == AgentSite().sample_s


def test_values_arrive_in_their_units(config):
    site = config(
        {
            ("daemon", "lease"): "20s",
            ("daemon", "ticks"): {"adopt": "2500ms"},
            ("planning",): {"slot": "10s", "minimum_gain": "1.5 %", "minimum_gain_mass": "2 mg"},
            ("quotas",): [{"user": "*", "monthly": "1.5 t"}],
            NODES: [{"nodes": "n[1-4]", "cpus": "4", "idle": "90 W", "max": "0.2 kW"}],
            ("clusters", 0, "pue"): "1.234567",
        }
    )
    assert (site.daemon.lease_s, site.daemon.ticks.adopt_s) == (20, 2.5)
    assert site.planning.slot_s == 10
    assert (site.planning.minimum_gain_pct, site.planning.minimum_gain_mg) == (1.5, 2)
    assert site.quotas[0].monthly_mg == 1_500_000_000
    assert site.clusters[0].nodes[0].max_w == 200
    assert site.clusters[0].pue.constant_ppm == 1_234_567


def test_how_running_jobs_are_stopped(config):
    written = {"stop": "false", "signal": "TERM", "grace": "90s", "cost": "0s", "least_run": "1h"}
    stops = config({("planning", "checkpoints"): written}).planning.checkpoints
    assert (stops.stop, stops.signal) == (False, "TERM")
    assert (stops.grace_s, stops.cost_s, stops.least_run_s) == (90, 0, 3600)


def test_a_configuration_cannot_be_changed(config):
    with pytest.raises(ValidationError):
        config({}).site.name = "other"


def test_the_file_does_not_take_the_names_of_code(problems):
    (line,) = problems({("daemon", "lease_s"): "20"})
    assert line == 'daemon.lease_s: unknown key; did you mean "lease"?'


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({("clusters", 0, "zone"): "DE"}, "clusters[0].zone: 'DE' is not among zones"),
        ({("clusters", 0, "pue"): "0.9"}, "pue: must be at least 1"),
        ({("clusters", 0, "pue"): "3.1"}, "pue: must be at most 3"),
        ({("clusters", 0, "pue"): "nan"}, "pue: expected a number"),
        ({PUE: {}}, "clusters[0].pue: says no PUE; write a number, table, file or prometheus"),
        ({PUE: ["1.2"]}, "clusters[0].pue: expected a number; a list is written here"),
        ({PUE: {"constant": "4"}}, "clusters[0].pue.constant: must be at most 3"),
        ({PUE: {"tabel": []}}, 'clusters[0].pue.tabel: unknown key; did you mean "table"?'),
        ({PUE: {"table": []}}, "clusters[0].pue.table: must not be empty; write at least one"),
        ({PUE: {"table": [{"since": "2026-01-01"}]}}, "clusters[0].pue.table[0].pue: is required"),
        ({PUE: {"table": [{"since": "1 May", "pue": "1.2"}]}}, "'1 May' is not a date; write"),
        ({PUE: {"table": [{"since": "2026-02-30", "pue": "1.2"}]}}, "is not in the calendar"),
        ({PUE: {"table": [{"since": "2026-02-01", "pue": "0.2"}]}}, "pue: must be at least 1"),
        (
            {
                PUE: {
                    "table": [{"since": day, "pue": "1.2"} for day in ("2026-02-01", "2026-01-01")]
                }
            },
            "pue.table[1].since: 2026-01-01 does not come after 2026-02-01; put the table in order",
        ),
        ({PUE: {"file": "/p.csv"}}, "clusters[0].pue: fallback is required with file"),
        ({PUE: {"file": "p.csv", "fallback": "1.2"}}, "pue.file: 'p.csv' is not an absolute path"),
        ({PUE: {"prometheus": PROMETHEUS}}, "fallback is required with prometheus"),
        (
            {PUE: {"prometheus": PROMETHEUS, "file": "/p.csv", "fallback": "1.2"}},
            "pue.prometheus: file stands beside it and says the PUE as well; leave one",
        ),
        ({PUE: {"constant": "1.2", "fallback": "1.3"}}, "pue.fallback: constant always has an ans"),
        (
            {PUE: {"prometheus": {**PROMETHEUS, "step": "1s"}, "fallback": "1.2"}},
            "clusters[0].pue.prometheus.step: must be at least 60",
        ),
        (
            {PUE: {"prometheus": {"url": "http://p"}, "fallback": "1.2"}},
            "clusters[0].pue.prometheus.query: is required",
        ),
        (
            {NODES: [{"nodes": "n1", "cpus": "4"}]},
            "nodes[0]: says no power; write idle and max, or",
        ),
        ({NODES: [{"nodes": "n1", "cpus": "4", "idle": "9 W"}]}, "idle: max goes with it"),
        ({NODES: [{"nodes": "n1", "cpus": "4", "max": "9 W"}]}, "max: idle goes with it"),
        ({NODES: [{**PARTS, "cpu": "AMD EPYC 7743"}]}, "clusters[0].nodes[0].cpu: "),
        ({NODES: [{**PARTS, "cpu": "AMD EPYC 7743"}]}, "7742"),
        ({NODES: [{**PARTS, "gpus": "1", "gpu": "A1000000"}]}, "clusters[0].nodes[0].gpu: "),
        ({NODES: [{**PARTS, "gpu": "NVIDIA A100"}]}, "gpu: gpus goes with it"),
        ({NODES: [{**NODE, "gpus": "2"}]}, "gpus: says no power; write gpu, or gpu_idle and gpu_m"),
        ({NODES: [{**NODE, "gpu_idle": "9 W"}]}, "gpu_idle: gpu_max goes with it"),
        ({NODES: [{**NODE, "gpu_idle": "9 W", "gpu_max": "8 W"}]}, "raise it above 9 W"),
        ({NODES: [{k: v for k, v in PARTS.items() if k != "sockets"}]}, "cpu: sockets goes with"),
        ({NODES: [{k: v for k, v in PARTS.items() if k != "memory"}]}, "cpu: memory goes with it"),
        ({NODES: [{**PARTS, "memory": "256"}]}, "write one of 256 MB, 256 GB, 256 TB"),
        ({NODES: [{**NODE, "embodied": "1500 kg"}]}, "embodied: lifetime goes with it"),
        ({NODES: [{**NODE, "lifetime": "6 years"}]}, "lifetime: embodied goes with it"),
        ({NODES: [{**NODE, "embodied": "1 kg", "lifetime": "6"}]}, "write one of 6 years, 6 year"),
        ({NODES: [{**NODE, "embodied": "1 kg", "lifetime": "0 years"}]}, "must be more than 0"),
        ({NODES: [{**NODE, "uncertainty": "0 %"}]}, "uncertainty: must be more than 0"),
        ({("agent",): {"metrics": "9797"}}, "agent.metrics: '9797' is not an address; write HOST"),
        ({("agent",): {"metrics": "localhost:0"}}, "is not an address"),
        ({("agent",): {"ipmi": "5s"}}, "agent.ipmi: 5 s is too often"),
        ({("clusters", 0, "name"): "two words"}, "is not a name"),
        ({("site", "time_zone"): "CEST"}, "is not a time zone"),
        ({("site", "state_dir"): "var/lib"}, "begin it with /"),
        ({("daemon", "url"): "https://head:8470"}, "write http://HOST:PORT"),
        ({("daemon", "url"): "http://head"}, "write http://HOST:PORT"),
        ({("daemon", "url"): "http://head:x"}, "write http://HOST:PORT"),
        ({("daemon", "listen_port"): "0"}, "must be at least 1"),
        ({("daemon", "lease"): "30s"}, "lease: 30 s is not longer than ticks.adopt"),
        ({("daemon", "ticks"): {"adopt": "5min"}}, "lease: 120 s is not longer"),
        (
            {("planning", "checkpoints"): {"signal": "KILL"}},
            "planning.checkpoints.signal: expected 'USR1', 'USR2', 'HUP', 'INT' or 'TERM'",
        ),
        (
            {("planning",): {"mode": "shadwo"}},
            "planning.mode: expected 'active' or 'shadow'; 'shadwo' is written here; did you mean",
        ),
        ({("planning",): {"max_delay": "1d", "default_max_delay": "2d"}}, "longer than max_delay"),
        ({("agent",): {"segment": "1s", "sample": "2s"}}, "longer than a segment"),
        ({("agent",): {"spool": "/var/spool/c"}}, "does not end in /%n"),
        ({("quotas",): [{"monthly": "1 kg"}]}, "neither user nor account"),
        ({("quotas",): [{"user": "a", "account": "b", "monthly": "1 g"}]}, "both user and account"),
        ({("quotas",): [{"account": "*", "monthly": "1 kg"}]}, 'write user: "*"'),
        ({("quotas",): [{"user": "a", "monthly": "1 g"}] * 2}, "stands in line"),
        ({NODES: [{"nodes": "n1", "cpus": "1", "idle": "9 W", "max": "9 W"}]}, "above 9 W"),
        ({NODES: [{"nodes": "", "cpus": "1", "idle": "0 W", "max": "9 W"}]}, "names no node"),
        ({NODES: [{"nodes": "n[1", "cpus": "1", "idle": "0 W", "max": "9 W"}]}, "n[1-4,7]"),
        ({NODES: [{"nodes": "n[1,1]", "cpus": "1", "idle": "0 W", "max": "9 W"}]}, "node n1"),
        ({PROVIDERS: []}, "write at least one"),
        ({PROVIDERS: [STATIC, FILE]}, "providers[0]: a static value answers always; put it last"),
        ({PROVIDERS: [{**STATIC, "source": ""}]}, "source: must not be empty"),
        (
            {PROVIDERS: [{"kind": "static", "g_per_kwh": "3", "source": "s"}]},
            "year is required with g_per_kwh",
        ),
        ({PROVIDERS: [FILE, {**FILE, "scope": "lifecycle"}]}, "keeps to one meaning"),
        (
            {PROVIDERS: [FILE, {**FILE, "gas": "CO2eq"}]},
            "are CO2eq and those of file, providers[0], are",
        ),
        ({PROVIDERS: [{**FILE, "signal": "marginal"}]}, "put it under the zone's ranking"),
        ({PROVIDERS: [WATTTIME]}, "providers[0]: marginal intensity charges no job"),
        (
            {PROVIDERS: [FILE, {**STATIC, "scope": "lifecycle"}]},
            "of static are production and those of file",
        ),
        (
            {PROVIDERS: [EDS, {**FILE, "basis": "production"}]},
            "the figures of file are production and those of eds, providers[0], are consumption",
        ),
        ({PROVIDERS: [FILE], RANKING: [WATTTIME, EDS]}, "ranking[1]: the figures of eds are"),
        (
            {PROVIDERS: [{**NESO, "region": "1"}, NESO]},
            "told apart; keep one of them, or make the other a zone of its own",
        ),
        (
            {PROVIDERS: [EDS, {**FILE, "provider": "eds"}]},
            "told apart; give the file a provider of its own name",
        ),
        (
            {PROVIDERS: [{**NESO, "region": "1"}, NESO]},
            "zones[0].providers[1]: zone NO has neso here and in providers[0], and what they tell",
        ),
        ({PROVIDERS: [FILE], RANKING: [EDS, EDS]}, "ranking[1]: zone NO has eds here and in rank"),
        (
            {PROVIDERS: [EDS], RANKING: [{**EDS, "area": "DK2"}]},
            "ranking[0]: zone NO has eds here and in providers[0]",
        ),
        ({PROVIDERS: [FILE], RANKING: [STATIC]}, "ranking[0]: a static value cannot tell"),
        ({PROVIDERS: [{**EDS, "area": "DK3"}]}, "DK3"),
        ({PROVIDERS: [{"kind": "eds"}]}, "area: is required"),
        ({PROVIDERS: [{**NESO, "region": "3", "postcode": "NW1"}]}, "postcode: region stands"),
        ({PROVIDERS: [{**NESO, "region": "18"}]}, "at most 17"),
        ({PROVIDERS: [{**NESO, "postcode": "london"}]}, "write for instance NW1"),
        ({PROVIDERS: [{**EIA, "key_env": "EIA_KEY"}]}, "key_env: key_file stands beside it"),
        ({PROVIDERS: [{"kind": "eia", "respondent": "CISO"}]}, "key_file or key_env is required"),
        ({PROVIDERS: [{**EIA, "key": "k"}]}, "key: unknown key"),
        ({PROVIDERS: [{**EIA, "factors": "mine"}]}, "ipcc-2014-lifecycle"),
        ({PROVIDERS: [{**COUNTRY, "year": "2024"}]}, "year: the shipped table says this"),
        ({PROVIDERS: [{**COUNTRY, "scope": "direct"}]}, "the shipped averages are lifecycle"),
        ({PROVIDERS: [{**COUNTRY, "country": "Denmark"}]}, "write for instance DNK"),
        ({PROVIDERS: [{"kind": "static"}]}, "says no number"),
        ({PROVIDERS: [{**FILE, "gas": "co2"}]}, 'did you mean "CO2"?'),
        ({PROVIDERS: [{**FILE, "static": "x"}]}, "unknown key"),
        ({PROVIDERS: [{**REPLAY, "hour": "500ms"}]}, "must be at least 1"),
        ({PROVIDERS: [{**REPLAY, "gas": "CO2"}]}, "gas: the shipped record says this itself"),
        ({PROVIDERS: [{**REPLAY, "zone_in_file": "FR"}]}, "no zone but DE"),
        ({PROVIDERS: [{**REPLAY, "start": "2022-01-01T00:00Z"}]}, "is of 2021"),
        ({PROVIDERS: [{**REPLAY, "forecasts": "/x"}]}, "need actual beside them"),
        ({PROVIDERS: [{**REPLAY, "actual": "/x"}]}, "signal is required"),
        ({PROVIDERS: [{"kind": "neso", "base_url": "ftp://x"}]}, "not a web address"),
        ({PROVIDERS: [{"kind": "neso", "base_url": "http://[x"}]}, "not a web address"),
        ({("daemon", "url"): "http://[x"}, "write http://HOST:PORT"),
        ({("zones",): [{"name": "NO", "providers": [STATIC]}] * 2}, "names here are unique"),
    ],
)
def test_contradictions_are_refused_with_the_remedy(problems, changes, words):
    found = problems(changes)
    assert len(found) == 1, found
    assert words in found[0]


def test_a_chain_of_one_meaning_is_good_to_the_last_resort(config):
    last = {**STATIC, "basis": "consumption", "scope": "direct", "gas": "CO2"}
    zone = config({PROVIDERS: [EDS, NESO, last], RANKING: [WATTTIME]}).zones[0]
    infos = [provider.series_info("NO") for provider in zone.providers]
    assert [info.static for info in infos] == [False, False, True]
    assert len({(info.kind, info.basis, info.gas, info.scope) for info in infos}) == 1
    assert "a report 2024" in infos[2].label
    assert zone.ranking[0].series_info("NO").kind == "marginal"


def test_a_provider_may_rank_the_starts_that_it_also_charges_by(config):
    zone = config({PROVIDERS: [EDS, FILE], RANKING: [EDS]}).zones[0]
    assert zone.ranking[0] == zone.providers[0]
    config({PROVIDERS: [{**WATTTIME, "signal": "co2_aoer"}], RANKING: [WATTTIME]})


def test_a_computed_intensity_means_what_its_factors_mean(config):
    entsoe = {"kind": "entsoe", "domain": "10YDK-2--------M", "key_env": "ENTSOE_KEY"}
    direct = {**EIA, "factors": "ipcc-2014-direct"}
    for settings, meaning in ((entsoe, ("CO2eq", "lifecycle")), (direct, ("CO2", "direct"))):
        info = config({PROVIDERS: [settings]}).zones[0].providers[0].series_info("NO")
        assert (info.gas, info.scope) == meaning


def test_a_replay_of_own_records_keeps_their_meaning(config):
    meaning = {"signal": "average", "basis": "consumption", "gas": "CO2", "scope": "direct"}
    own = {**REPLAY, "actual": "/srv/x.csv", "start": "1999-01-01T00:00Z", **meaning}
    info = config({PROVIDERS: [own]}).zones[0].providers[0].series_info("NO")
    assert (info.kind, info.basis, info.gas, info.scope) == tuple(meaning.values())


def test_kinds_are_words_of_their_own():
    kinds = [kind_of(one) for one in every_section() if kind_of(one)]
    assert sorted(set(kinds)) == [
        "eds", "eia", "electricity_maps", "energy_charts", "entsoe", "file", "gsf", "neso",
        "replay", "static", "watttime",
    ]  # fmt: skip
    assert kind_of(Section) is None


def test_the_site_file_comes_back_as_it_was_compiled(config):
    site = compile_site(
        config(
            {
                NODES: [{"nodes": "n[1-4]", "cpus": "4", "idle": "90 W", "max": "200 W"}],
                ("agent",): {"segment": "10s", "spool": "/spool/%n"},
                ("daemon", "lease"): "45s",
            }
        )
    )
    assert Site.from_json(site.to_json()) == site
    assert (site.cluster, site.daemon_url, site.lease_s) == ("hpc", "http://head:8470", 45)
    assert site.node_classes == (
        NodeClass(nodes="n[1-4]", cpus=4, idle_w=90, max_w=200, uncertainty=0.2),
    )
    assert site.agent == AgentSite(segment_s=10, spool="/spool/%n")


def test_in_shadow_mode_no_job_gets_a_lease(config):
    assert compile_site(config({("planning",): {"mode": "shadow"}})).lease_s == 0


def test_one_of_several_clusters_must_be_named(config):
    two = [{"name": name, "zone": "NO", "pue": "1.2"} for name in ("north", "south")]
    site = config({("clusters",): two})
    assert compile_site(site, "south").cluster == "south"
    with pytest.raises(RequestError, match=r"several clusters \(north, south\)"):
        compile_site(site)
    with pytest.raises(RequestError, match="no cluster 'east'"):
        compile_site(site, "east")


def test_what_the_parts_of_a_node_draw_is_from_the_tables(config):
    (made,) = (
        config({NODES: [{**PARTS, "gpus": "4", "gpu": "NVIDIA A100 SXM4 80 GB"}]}).clusters[0].nodes
    )
    known = node_power("AMD EPYC 7742", 2, 256, None)
    board = gpu_power("NVIDIA A100 SXM4 80 GB")
    assert made.compiled() == NodeClass(
        nodes="n1", cpus=4, idle_w=known.idle_w, max_w=known.max_w, uncertainty=TABLE_UNCERTAINTY,
        memory_mb=256 * 1024, gpus=4, gpu_idle_w=board.idle_w, gpu_max_w=board.max_w,
    )  # fmt: skip
    assert known.max_w > known.idle_w > 0
    assert board.max_w > board.idle_w > 0


def test_what_is_declared_counts_before_what_the_tables_say(config):
    one = {
        **PARTS, "idle": "100 W", "max": "500 W", "uncertainty": "7.5 %", "gpus": "2",
        "gpu": "NVIDIA A100 SXM4 80 GB", "gpu_idle": "40 W", "gpu_max": "300 W",
    }  # fmt: skip
    assert config({NODES: [one]}).clusters[0].nodes[0].compiled() == NodeClass(
        nodes="n1", cpus=4, idle_w=100, max_w=500, uncertainty=0.075, memory_mb=256 * 1024, gpus=2,
        gpu_idle_w=40, gpu_max_w=300,
    )  # fmt: skip


def test_embodied_carbon_stays_with_the_daemon(config):
    one = {**NODE, "embodied": "1.5 t", "lifetime": "6 years"}
    site = config({NODES: [one]})
    made = site.clusters[0].nodes[0]
    assert (made.embodied_mg, made.lifetime_s) == (1_500_000_000, 6 * 31_557_600)
    assert "embodied" not in compile_site(site).to_json()


def test_agents_learn_where_to_be_scraped_and_how_often_to_ask_ipmi(config):
    site = compile_site(config({("agent",): {"metrics": "[::1]:9797", "ipmi": "30s"}}))
    assert (site.agent.metrics, site.agent.ipmi_s) == ("[::1]:9797", 30.0)
    assert Site.from_json(site.to_json()) == site
    default = compile_site(config({})).agent
    assert (default.metrics, default.ipmi_s) == (None, 0.0)


def test_a_pue_by_dates(config):
    table = [{"since": "2025-01-01", "pue": "1.3"}, {"since": "2026-07-01", "pue": "1.21"}]
    pue = config({PUE: {"table": table}}).clusters[0].pue
    assert [(str(one.since), one.pue_ppm) for one in pue.table] == [
        ("2025-01-01", 1_300_000),
        ("2026-07-01", 1_210_000),
    ]
    assert pue.constant_ppm is None
    assert pue.fallback_ppm is None


def test_a_pue_from_prometheus(config):
    pue = config({PUE: {"prometheus": PROMETHEUS, "fallback": "1.25"}}).clusters[0].pue
    assert (pue.prometheus.step_s, pue.prometheus.timeout_s) == (300, 10)
    assert pue.fallback_ppm == 1_250_000
