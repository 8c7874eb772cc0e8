from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from carbonsched.config.loader import config_path, load, loads
from carbonsched.config.schema import SiteConfig
from carbonsched.errors import ConfigError

GOLDEN = Path(__file__).parent / "golden"


def refusal(text):
    with pytest.raises(ConfigError) as caught:
        loads(text, "f.yaml")
    return caught.value.problems


def faults(text):
    """What is wrong with a text: nothing, or at least one line."""
    try:
        assert isinstance(loads(text, "f"), SiteConfig)
    except ConfigError as error:
        return error.problems or ["refused without a word"]
    return []


def test_every_fault_of_a_file_is_named_at_once_with_its_place():
    text = (GOLDEN / "faulty.yaml").read_text(encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        loads(text, "faulty.yaml")
    expected = (GOLDEN / "faulty.txt").read_text(encoding="utf-8")
    assert "\n".join(caught.value.problems) + "\n" == expected


def test_the_traps_of_yaml(config):
    site = config(
        {
            ("quotas",): [
                {"account": "0123", "monthly": "50 kg"},
                {"user": "off", "monthly": "1 kg"},
                {"user": "null", "monthly": "1 kg"},
            ],
            ("site", "name"): "1e3",
        }
    )
    assert site.clusters[0].zone == "NO"
    assert site.zones[0].name == "NO"
    assert [one.account for one in site.quotas] == ["0123", None, None]
    assert [one.user for one in site.quotas] == [None, "off", "null"]
    assert site.site.name == "1e3"


def test_nothing_written_means_the_default_where_there_may_be_none():
    good = (
        "site: {name: L, time_zone: UTC}\n"
        "daemon: {url: 'http://h:1', munge_socket: ~, quota_file: null}\n"
        "clusters: [{name: c, zone: Z, pue: 1}]\n"
        "zones: [{name: Z, providers: [{kind: neso}]}]\n"
    )
    assert loads(good, "f").daemon.munge_socket is None
    assert refusal(good.replace("pue: 1", "pue:")) == [
        "f.yaml:3:35  clusters[0].pue: says no PUE; write a number, table, file or prometheus"
    ]


def test_keys_written_twice_name_both_places():
    lines = refusal("site:\n  name: a\n  time_zone: UTC\n  name: b\n")
    assert lines[-1] == (
        "f.yaml:4:3  site.name: is written twice, first in line 2 column 3; remove one of the two"
    )


def test_no_pue_and_no_zone_is_assumed(problems):
    found = problems({("clusters", 0): {"name": "hpc"}})
    assert [line.split(":")[0] for line in found] == ["clusters[0].zone", "clusters[0].pue"]
    assert "add for instance pue: 1.25" in found[1]


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "~", "\ufeff"])
def test_an_empty_file_says_what_is_required(text):
    (line,) = refusal(text.removeprefix("\ufeff"))
    assert line.startswith("f.yaml: is empty; required are site, daemon, clusters, zones")


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("site: [a\nb: c", "2:2", "not YAML"),
        ("site:\n\tname: x\n", "2:1", "spaces, not tabs"),
        ("a: b: c\n", "1:5", "indentation"),
        ("a: 'open\n", "2:1", "not YAML"),
        ("a: 1\n---\nb: 2\n", "2:1", "one document"),
        ("a: *nowhere\n", "1:4", "not YAML"),
        ("site: ok\nx: \x07\n", "2:4", "not allowed"),
        ("[" * 3000, "1:1", "too deeply"),
        ('x: "\\U00110000"\n', "1:1", "names no character"),
        ("- a\n- b\n", "1:1", "expected sections"),
        ("just words\n", "1:1", "expected sections"),
    ],
)
def test_what_is_not_yaml_or_no_mapping_is_one_line_with_a_place(text, place, words):
    (line,) = refusal(text)
    assert line.startswith(f"f.yaml:{place}  ")
    assert words in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("site: &a [*a]\n", "aliases"),
        ("site: !!python/object:os.system {name: x}\n", "tags"),
        ("? [a, b]\n: c\n", "a key is a single word"),
        ("site: {<<: {name: x}}\n", "merge keys"),
        ("site: {name: [x]}\n", "a list is written here"),
        ("site: words\n", 'lines of "key: value"'),
        ("clusters: {name: x}\n", 'begin with "- "'),
        ("clusters: []\n", "write at least one"),
        ("site: {name: x, operators: carbonadmin}\n", 'begin with "- "'),
        ("site: {name: [x], 1: y}\n", "unknown key"),
        ("daemon: {ticks: {plan: [1s]}}\n", "a list is written here"),
        ("clusters: [{slurm: {x: 1}, nodes: [{cpus: 9.5}]}]\n", "'9.5' is written here"),
        ("clusters: [~]\n", "nothing is written here"),
        ("zones: [{name: Z, providers: [words]}]\n", 'lines of "key: value"'),
        ("zones: [{name: Z, providers: [{timeout: 1s}]}]\n", "which provider this is"),
    ],
)
def test_odd_structures_are_told_in_words(text, words):
    assert any(words in line for line in refusal(text))


def test_exploding_aliases_end_soon():
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9))
    assert any("explode" in line for line in refusal(f"l0: &l0 [x]\n{levels}\n"))


def test_absent_unreadable_and_not_text(tmp_path):
    for path, words in (
        (tmp_path / "none.yaml", "No such file"),
        (tmp_path, "Is a directory"),
        (Path("nul\0name"), "not a file name"),
    ):
        with pytest.raises(ConfigError, match=words) as caught:
            load(path)
        assert len(caught.value.problems) == 1
    (tmp_path / "latin").write_bytes(b"site:\n  name: M\xfcnchen\n")
    with pytest.raises(ConfigError, match=r"latin:2:1  is not UTF-8 text"):
        load(tmp_path / "latin")
    (tmp_path / "huge").write_bytes(b"#" * (8 * 1024 * 1024 + 1))
    with pytest.raises(ConfigError, match="larger than 8 MiB"):
        load(tmp_path / "huge")


def test_a_file_from_another_editor(tmp_path, changed):
    (tmp_path / "dos").write_bytes(b"\xef\xbb\xbf" + changed({}).replace("\n", "\r\n").encode())
    assert load(tmp_path / "dos").site.name == "Lab"


def test_the_environment_names_the_file(tmp_path, monkeypatch, changed):
    monkeypatch.delenv("CARBONSCHED_CONFIG", raising=False)
    assert config_path() == Path("/etc/carbonsched/carbonsched.yaml")
    (tmp_path / "c.yaml").write_text(changed({}), encoding="utf-8")
    monkeypatch.setenv("CARBONSCHED_CONFIG", str(tmp_path / "c.yaml"))
    assert load().site.name == "Lab"


WORDS = st.sampled_from(
    ["site", "daemon", "clusters", "zones", "planning", "quotas", "agent", "name", "zone", "pue",
     "nodes", "providers", "kind", "static", "replay", "file", "neso", "user", "monthly", "NO",
     "0123", "22:00", "50 kg", "null", "~", "[", "]", "{", "}", ":", ",", "-", "&a", "*a", "!!str",
     "!", "?", "|", ">", "'", '"', "#", "%", "@", "`", "<<", "n[1-4]", '"\\U00110000"', "\u2028",
     "\x85", "\t"]
)  # fmt: skip
GAPS = st.sampled_from([" ", "\n", "\n  ", "\n    ", "\n- ", ": ", "", '"'])


def test_a_kind_at_the_top_hides_no_section():
    found = faults("kind: site\n")
    assert any("unknown key" in line and "kind" in line for line in found)
    assert any("site: is required" in line for line in found)


@given(st.lists(st.tuples(WORDS, GAPS), max_size=40))
@example([("kind", ": "), ("site", " ")])
def test_any_text_is_a_configuration_or_refused(pieces):
    text = "".join(word + gap for word, gap in pieces)
    assert all(line.startswith("f:") and "\n" not in line for line in faults(text))


@given(st.text(max_size=60))
def test_any_characters_are_a_configuration_or_refused(text):
    with pytest.raises(ConfigError) as caught:
        loads(text, "f")
    assert caught.value.problems


TREES = st.recursive(
    st.text("ab:'\"#\\0 \n", max_size=6) | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["site", "zones", "name", "kind", "pue", "nodes"]), inner)
    ),
    max_leaves=12,
)


@given(path=st.sampled_from([
    ("site",), ("daemon", "url"), ("daemon", "ticks"), ("clusters",), ("clusters", 0, "nodes"),
    ("clusters", 0, "pue"), ("zones",), ("zones", 0, "providers"), ("zones", 0, "providers", 0),
    ("quotas",), ("planning",), ("agent",),
]), value=TREES)  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_anything_anywhere_is_taken_or_refused(changed, path, value):
    assert all(
        line.startswith("f:") and "\n" not in line for line in faults(changed({path: value}))
    )
