from __future__ import annotations

import json
import stat

import pytest

from carbonsched.cli.main import main


@pytest.fixture
def file(tmp_path, changed):
    path = tmp_path / "carbonsched.yaml"
    path.write_text(changed({}), encoding="utf-8")
    return path


def test_the_printed_example_passes_the_check(tmp_path, capsys):
    assert main(["config", "example"]) == 0
    path = tmp_path / "example.yaml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert main(["config", "check", str(path)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{path}: good (Example University: hpc in DE; 3 quotas)\n"
    assert all(line.startswith(f"{path}: note: ") for line in shown.err.splitlines())


def test_the_check_takes_the_file_that_the_environment_names(file, capsys, monkeypatch):
    monkeypatch.setenv("CARBONSCHED_CONFIG", str(file))
    assert main(["config", "check"]) == 0
    assert str(file) in capsys.readouterr().out


@pytest.mark.parametrize("action", ["check", "compile"])
def test_faults_are_lines_that_editors_jump_to(action, file, capsys, changed):
    text = changed({("clusters", 0, "pue"): "0.5", ("site", "nam"): "x"})
    file.write_text(text, encoding="utf-8")
    assert main(["config", action, str(file)]) == 78
    shown = capsys.readouterr()
    assert not shown.out
    lines = shown.err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{file}:") for line in lines)


def test_the_check_knows_what_only_providers_know(file, capsys, changed):
    providers = [{"kind": "static", "country": "DEN"}]
    file.write_text(changed({("zones", 0, "providers"): providers}), encoding="utf-8")
    assert main(["config", "check", str(file)]) == 78
    line = capsys.readouterr().err
    assert line.startswith(f"{file}: zones, NO, provider 1 (static): no country 'DEN'")
    assert len(line.splitlines()) == 1


def test_compile_prints_or_writes_the_site_file(file, tmp_path, capsys):
    assert main(["config", "compile", str(file)]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["cluster"] == "hpc"
    out = tmp_path / "site.json"
    out.write_text("old", encoding="utf-8")
    assert main(["config", "compile", str(file), "-o", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == printed
    assert stat.S_IMODE(out.stat().st_mode) == 0o644
    assert sorted(one.name for one in tmp_path.iterdir()) == ["carbonsched.yaml", "site.json"]


def test_compile_says_where_it_cannot_write(file, tmp_path, capsys):
    assert main(["config", "compile", str(file), "-o", str(tmp_path / "no" / "site.json")]) == 1
    assert "cannot be written (No such file or directory)" in capsys.readouterr().err
    (tmp_path / "folder").mkdir()
    assert main(["config", "compile", str(file), "-o", str(tmp_path / "folder")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert sorted(one.name for one in tmp_path.iterdir()) == ["carbonsched.yaml", "folder"]


def test_compile_of_a_cluster_that_is_not_there(file, capsys):
    assert main(["config", "compile", str(file), "--cluster", "north"]) == 64
    assert "no cluster 'north' in the configuration; there are hpc" in capsys.readouterr().err


def test_the_reference_is_printed(capsys):
    assert main(["config", "reference"]) == 0
    assert "## `zones[].providers[]` of kind neso" in capsys.readouterr().out
