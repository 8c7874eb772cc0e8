"""The file that the submit plug-in reads inside slurmctld."""

from __future__ import annotations

import pwd
import re
import threading
from pathlib import Path
from urllib.parse import unquote

import pytest

from carbonsched.accounting import Budgets
from carbonsched.errors import ExternalError
from carbonsched.model.directives import Directives
from carbonsched.model.quota import Subject
from carbonsched.services.quotas import Quotas
from carbonsched.services.snapshot import PublishSnapshot, SnapshotFile

HEAD = re.compile(r"carbonsched-quota 1 (\d+) (\d+) (\d+) (\d+)")
LINE = re.compile(r"(user|account) ((?:[A-Za-z0-9._-]|%[0-9A-F]{2})+) (\d+|-) (-?\d+)")


@pytest.fixture
def publish(make_site, tmp_path):
    """A publisher for some budgets, with its site."""

    def make(path=None, time_zone="UTC", default=None, accounts=None, **users):
        site = make_site()
        mine = users.pop("users", users)
        budgets = Budgets(users=mine, accounts=accounts or {}, default_user_mg=default)
        site.quotas = Quotas(budgets, site.ledger, site.predict, time_zone)
        file = SnapshotFile(path=path or tmp_path / "quota", valid_s=660)
        return site, PublishSnapshot(site.quotas, site.clusters, site.grid, site.clock.now, file)

    return make


def read(path):
    text = path.read_text("ascii")
    assert text.endswith("\nend\n")
    head, *lines, _ = text.splitlines()
    numbers = [int(one) for one in HEAD.fullmatch(head).groups()]
    return numbers, [LINE.fullmatch(line).groups() for line in lines]


def test_it_tells_when_it_is_from_and_what_is_left(publish, tmp_path):
    site, snapshot = publish(root=5000, ada=700, accounts={"physics": 10**12})
    assert snapshot.run() == "3 budgets published"
    (written, valid_until, period_end, rate), lines = read(tmp_path / "quota")
    now = site.clock.now()
    assert (written, valid_until) == (now, now + 660)
    assert period_end == site.quotas.period_end(now) > now
    assert rate == 0, "no intensity is known yet"
    assert lines == [
        ("user", "ada", "-", "700"),
        ("user", "root", "0", "5000"),
        ("account", "physics", "-", "1000000000000"),
    ]
    assert (tmp_path / "quota").stat().st_mode & 0o777 == 0o644


def test_names_cannot_break_out_of_their_place(publish, tmp_path):
    names = ["a b", "ada\nuser root 0 99", "100%", "~", "ü", "..", "a/b", "a\tb", "nul\0x", "-"]
    _, snapshot = publish(users=dict.fromkeys(names, 5), accounts=dict.fromkeys(names, 6))
    snapshot.run()
    _, lines = read(tmp_path / "quota")
    for kind in ("user", "account"):
        told = [unquote(name) for which, name, *_ in lines if which == kind]
        assert sorted(told) == sorted(names)


def test_the_rate_is_that_of_the_hungriest_node_and_the_coming_hour(publish, tmp_path):
    site, snapshot = publish(ada=700)
    site.forecast(400, 100, 100)
    snapshot.run()
    (_, _, _, rate), _ = read(tmp_path / "quota")
    assert rate == round(240 / 8 * 3600 * 1.2 * 400_000 / 3_600_000)


def test_the_period_ends_where_the_sites_month_does(publish, tmp_path):
    site, snapshot = publish(ada=700, time_zone="Pacific/Auckland")
    snapshot.run()
    (_, _, period_end, _), _ = read(tmp_path / "quota")
    assert period_end == 1_793_444_400  # the first of November there, 13 hours before UTC's
    site.clock.at = period_end
    snapshot.run()
    (_, _, later, _), _ = read(tmp_path / "quota")
    assert later > period_end


def test_what_is_reserved_and_granted_counts_and_can_be_overdrawn(publish, tmp_path):
    site, snapshot = publish(ada=1_000_000, accounts={"physics": 1000})
    site.forecast(*[300] * 12)
    site.slurm.submit(directives=Directives())
    site.adopt.run()
    site.predict.run()
    job = site.slurm.present[1]
    site.quotas.hold_reservation(job, 400_000, site.clock.now(), site.clock.now())
    site.quotas.grant("user:ada", None, 5, "x", "root", site.clock.now())
    snapshot.run()
    _, lines = read(tmp_path / "quota")
    assert lines == [("user", "ada", "-", "600005"), ("account", "physics", "-", "-399000")]


def test_a_default_budget_is_told_for_those_who_have_used_some(publish, tmp_path):
    site, snapshot = publish(default=500)
    snapshot.run()
    assert read(tmp_path / "quota")[1] == []
    job = site.slurm.submit("ben")
    site.quotas.hold_reservation(job, 100, site.clock.now(), site.clock.now())
    snapshot.run()
    assert read(tmp_path / "quota")[1] == [("user", "ben", "-", "400")]


def test_users_of_this_host_are_told_with_their_number(publish, tmp_path):
    someone = pwd.getpwall()[-1]
    _, snapshot = publish(users={someone.pw_name: 5})
    snapshot.run()
    assert read(tmp_path / "quota")[1][0][2] == str(pwd.getpwnam(someone.pw_name).pw_uid)


def test_a_reader_sees_a_whole_file_at_any_moment(publish, tmp_path):
    site, snapshot = publish(users={f"user{number}": number for number in range(60)})
    snapshot.run()
    seen, stop = [], threading.Event()

    def reader():
        while not stop.is_set():
            (written, *_), lines = read(tmp_path / "quota")
            seen.append((written, len(lines)))

    thread = threading.Thread(target=reader)
    thread.start()
    first = site.clock.at
    for _ in range(10):
        site.clock.at += 1
        snapshot.run()
    stop.set()
    thread.join(20)
    assert {count for _, count in seen} == {60}
    assert [written for written, _ in seen] == sorted(written for written, _ in seen)
    assert all(first <= written <= site.clock.at for written, _ in seen)
    assert [one.name for one in tmp_path.iterdir() if "quota" in one.name] == ["quota"]


def test_a_place_that_cannot_be_written_is_one_line_and_keeps_the_old_file(publish, tmp_path):
    _, snapshot = publish(path=tmp_path / "none" / "quota", ada=5)
    with pytest.raises(ExternalError, match=r"none/quota: No such file .*lets everything through"):
        snapshot.run()
    full = Path("/dev/full")
    if full.exists():
        (tmp_path / "there").write_text("old", "ascii")
        (tmp_path / "there.new").symlink_to(full)
        _, snapshot = publish(path=tmp_path / "there", ada=5)
        with pytest.raises(ExternalError, match="No space left"):
            snapshot.run()
        assert (tmp_path / "there").read_text("ascii") == "old"


def test_it_agrees_with_each_balance_and_lists_who_has_only_a_grant(publish, tmp_path):
    site, snapshot = publish(default=9000, accounts={"physics": 10**9})
    site.forecast(*[300] * 6)
    site.slurm.submit("ada", Directives())
    site.round()
    site.quotas.grant("user:ben", None, 50, "a reason", "root", site.clock.now())
    snapshot.run()
    _, lines = read(tmp_path / "quota")
    left = {(kind, name): int(mg) for kind, name, _, mg in lines}
    assert left["user", "ben"] == 9050
    for kind, name in (("user", "ada"), ("account", "physics")):
        balance = site.quotas.balance(Subject(kind=kind, name=name), site.clock.now())
        assert left[kind, name] == balance.remaining_mg < balance.budget_mg
