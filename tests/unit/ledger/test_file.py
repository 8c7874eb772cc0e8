"""The file itself: opening, sharing, filling up, being killed, and being something else."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest

from carbonsched.errors import LedgerError
from carbonsched.ledger import Ledger
from carbonsched.ledger.entries import Grant

TABLES = {
    "jobs", "segments", "parts", "epochs", "series", "intensities", "forecasts",
    "predictions", "plans", "entries", "grants", "settlements",
    "pues",
}  # fmt: skip


def grant(mg=5, reason="conference"):
    return Grant(at=1, subject="user:ada", period="2026-11", mg=mg, by="root", reason=reason)


def schema(path):
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")
        return rows.fetchall()


def test_a_fresh_file_has_the_tables_and_opening_again_changes_nothing(path):
    Ledger(path).close()
    first = schema(path)
    assert {name for kind, name, _ in first if kind == "table"} >= TABLES
    Ledger(path).close()
    assert schema(path) == first


def test_every_table_is_strict(path):
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT name, strict FROM pragma_table_list").fetchall()
        strict = dict(rows)
        assert all(strict[name] for name in TABLES)
        with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT"):
            database.execute(
                "INSERT INTO grants (at, subject, period, mg, by, reason)"
                " VALUES (1, 'user:a', '2026-11', 'plenty', 'root', 'x')"
            )


def test_nobody_else_can_read_it_or_its_log(path, open_ledger):
    open_ledger().entries.add_grant(grant())
    for one in path.parent.iterdir():
        assert one.stat().st_mode & 0o077 == 0, one


def test_a_file_that_others_could_read_is_closed_to_them(path, open_ledger):
    path.touch()
    path.chmod(0o644)
    open_ledger().entries.add_grant(grant())
    for one in path.parent.iterdir():
        assert one.stat().st_mode & 0o077 == 0, one


def test_what_was_written_is_there_after_reopening(path, open_ledger):
    first = open_ledger()
    first.entries.add_grant(grant())
    first.optimise()
    first.close()
    assert open_ledger().entries.grants("2026-11") == [grant()]


def test_a_transaction_that_fails_leaves_nothing(ledger):
    def write_and_fail():
        with ledger.transaction():
            ledger.entries.add_grant(grant())
            with ledger.transaction():
                ledger.entries.add_grant(grant())
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert ledger.entries.grants("2026-11") == []
    ledger.entries.add_grant(grant())
    assert len(ledger.entries.grants("2026-11")) == 1


def one_line(error):
    assert "\n" not in str(error)
    return str(error)


def test_a_directory_is_no_ledger(tmp_path):
    mode = tmp_path.stat().st_mode
    with pytest.raises(LedgerError, match="it must be a file") as caught:
        Ledger(tmp_path)
    assert str(tmp_path) in one_line(caught.value)
    assert tmp_path.stat().st_mode == mode


def test_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LedgerError, match=r"none/ledger\.db: No such file or directory"):
        Ledger(tmp_path / "none" / "ledger.db")


@pytest.mark.parametrize("content", [b"this is a text file, not a database\n" * 100, b"\0" * 5000])
def test_something_else_is_no_ledger_and_stays_as_it_is(path, content):
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"ledger .*not a database; restore it") as caught:
        Ledger(path)
    one_line(caught.value)
    assert path.read_bytes() == content


def test_a_damaged_ledger_is_said_to_be(path):
    ledger = Ledger(path)
    for number in range(500):
        ledger.entries.add_grant(grant(number, reason="x" * 100))
    ledger.optimise()
    ledger.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    with pytest.raises(LedgerError, match="malformed") as caught:
        Ledger(path).entries.grants("2026-11")
    one_line(caught.value)


@pytest.fixture
def path_for_all():
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        yield Path(base, "ledger.db")


def test_a_file_of_another_user_is_refused(path_for_all):
    if os.getuid() != 0:
        pytest.skip("needs root, to become another user")
    path = path_for_all
    Ledger(path).close()
    script = (
        "import os, sys; from pathlib import Path; from carbonsched.ledger import Ledger\n"
        "from carbonsched.errors import LedgerError\n"
        "os.setuid(65534)\n"
        "try: Ledger(Path(sys.argv[1]))\n"
        "except LedgerError as error: print(error)\n"
    )
    done = python(script, path)
    assert done.stdout.startswith(f"ledger {path}: Operation not permitted; it must be a file")
    assert done.stdout.count("\n") == 1


def python(script, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        check=False, timeout=60, text=True, capture_output=True, **more,
    )  # fmt: skip


def test_a_locked_ledger_says_who_may_hold_it(path):
    """The busy timeout is ten seconds, so a holder that never lets go is waited for that long."""
    Ledger(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        ledger = Ledger(path)
        ledger._file._db.conn.execute("PRAGMA busy_timeout = 100")
        with pytest.raises(LedgerError, match=r"locked; is another process holding it\?") as caught:
            ledger.entries.add_grant(grant())
        one_line(caught.value)
        assert ledger.entries.grants("2026-11") == [], "reading needs no lock"
        holder.execute("ROLLBACK")
        ledger.entries.add_grant(grant())
        ledger.close()


FILL = """
import resource, signal, sys
from pathlib import Path
from carbonsched.errors import LedgerError
from carbonsched.ledger import Ledger
from carbonsched.ledger.entries import Grant

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger(Path(sys.argv[1]))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

def pair(number):
    with ledger.transaction():
        for _ in range(2):
            ledger.entries.add_grant(Grant(at=number, subject="user:ada", period="2026-11", mg=1,
                                           by="root", reason="x" * 5000))

written = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (800_000, hard))
try:
    for number in range(1000):
        pair(number)
        written += 1
except LedgerError as error:
    print(error)
print(written, len(ledger.entries.grants("2026-11")))
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
pair(-1)
print(len(ledger.entries.grants("2026-11")))
ledger.close()
"""


def test_a_full_disk_is_one_line_and_nothing_is_half_written(path, open_ledger):
    done = python(FILL, path)
    assert done.stderr == ""
    message, counts, after = done.stdout.splitlines()
    assert message.startswith(f"ledger {path}: ")
    written, there = map(int, counts.split())
    assert written > 10
    assert there == 2 * written
    assert int(after) == there + 2, "it writes again once there is room"
    assert len(open_ledger().entries.grants("2026-11")) == there + 2


def test_a_full_file_system_is_one_line_and_nothing_is_half_written(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", small],
        check=False, timeout=10, capture_output=True,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        done = python(FILL.replace("600_000", "10**9"), small / "ledger.db")
    finally:
        subprocess.run(["umount", small], check=True, timeout=10)
    message, counts, *_ = done.stdout.splitlines()
    assert message.startswith(f"ledger {small}/ledger.db: ")
    assert "full; free some space" in message
    written, there = map(int, counts.split())
    assert there == 2 * written > 20


BEGIN = """
import sys, time
from pathlib import Path
from carbonsched.ledger import Ledger
from carbonsched.ledger.entries import Grant

ledger = Ledger(Path(sys.argv[1]))
grant = Grant(at=1, subject="user:ada", period="2026-11", mg=1, by="root", reason="x" * 5000)
ledger.entries.add_grant(grant)
with ledger.transaction():
    for _ in range(2000):
        ledger.entries.add_grant(grant)
    print("in the middle", flush=True)
    time.sleep(60)
"""


def test_a_writer_killed_in_the_middle_leaves_what_it_had_finished(path, open_ledger):
    writer = subprocess.Popen(
        [sys.executable, "-c", BEGIN, path], stdout=subprocess.PIPE, text=True
    )
    with writer:
        assert writer.stdout.readline() == "in the middle\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait(10)
    ledger = open_ledger()
    assert len(ledger.entries.grants("2026-11")) == 1
    ledger.entries.add_grant(grant())
    assert ledger._file.row("PRAGMA integrity_check") == {"integrity_check": "ok"}


def test_threads_take_turns_and_lose_nothing(ledger):
    def work(name):
        for number in range(20):
            with ledger.transaction():
                before = len(ledger.entries.grants(name))
                ledger.entries.add_grant(
                    Grant(at=number, subject="s", period=name, mg=before, by="b", reason="r")
                )
                assert len(ledger.entries.grants(name)) == before + 1

    threads = [threading.Thread(target=work, args=[f"m{number % 3}"]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for name in ("m0", "m1", "m2"):
        assert sorted(one.mg for one in ledger.entries.grants(name)) == list(range(40))


def test_two_processes_take_turns(path, open_ledger):
    opening, _, _ = BEGIN.partition("with ledger")
    script = f"{opening}for _ in range(50): ledger.entries.add_grant(grant)\n"
    Ledger(path).close()
    workers = [subprocess.Popen([sys.executable, "-c", script, path]) for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert len(open_ledger().entries.grants("2026-11")) == 102
