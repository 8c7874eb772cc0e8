"""Opening the SQLite file, and transactions of its one writer."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from carbonsched.errors import LedgerError
from carbonsched.ledger.schema import migrations

BUSY_TIMEOUT_S = 10.0


class LedgerFile:
    """One connection, shared by the process's threads under one lock.

    WAL lets readers of other processes read while it writes; ``synchronous=FULL`` makes what was
    acknowledged survive a power cut.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        _make_private(path)
        with self._translated():
            self._db = _open(path)

    def close(self) -> None:
        """Fold the log back into the file and let go of it."""
        with self._lock:
            self._db.close()

    def optimise(self) -> None:
        """Refresh statistics and truncate the write-ahead log."""
        with self._lock, self._translated():
            self._db.conn.execute("PRAGMA optimize")
            self._db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nested blocks belong to the outermost."""
        with self._lock, self._translated():
            if self._depth == 0:
                self._db.conn.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self._db.conn.execute("COMMIT")
            except BaseException:
                if self._depth == 1:
                    self._db.rollback()
                raise
            finally:
                self._depth -= 1

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """All rows that a query gives, as dictionaries."""
        with self._lock, self._translated():
            cursor = self._db.conn.execute(sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def row(self, sql: str, **parameters: Any) -> dict[str, Any] | None:
        """The first row, or ``None``."""
        found = self.rows(sql, **parameters)
        return found[0] if found else None

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Add rows inside the caller's transaction; a conflict raises ``LedgerError``."""
        self._write("INSERT", table, rows)

    def insert_new(self, table: str, rows: list[dict[str, Any]]) -> int:
        """Add the rows that are not there by their unique key; returns how many were added."""
        with self._lock:
            before = self._db.conn.total_changes
            self._write("INSERT", table, rows, "ON CONFLICT DO NOTHING")
            return self._db.conn.total_changes - before

    def replace(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Add rows, replacing those with the same primary key."""
        self._write("INSERT OR REPLACE", table, rows)

    def change(self, sql: str, **parameters: Any) -> int:
        """Run an UPDATE or DELETE; returns how many rows it changed."""
        with self.transaction():
            return self._db.conn.execute(sql, parameters).rowcount

    def _write(self, verb: str, table: str, rows: list[dict[str, Any]], conflict: str = "") -> None:
        if not rows:
            return
        names = list(rows[0])
        columns, values = ", ".join(names), ", ".join(f":{name}" for name in names)
        with self.transaction():
            self._db.conn.executemany(
                f"{verb} INTO {table} ({columns}) VALUES ({values}) {conflict}",
                rows,
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise LedgerError(f"ledger {self._path}: {error}; {_remedy(str(error))}") from error
        except sqlite3.IntegrityError as error:
            raise LedgerError(f"ledger {self._path}: {error}") from error
        except sqlite3.DatabaseError as error:
            remedy = "restore it from a copy, or move it aside"
            raise LedgerError(f"ledger {self._path}: {error}; {remedy}") from error


def _make_private(path: Path) -> None:
    """Nobody else may read a ledger, not even while it is made; SQLite's log gets its rights."""
    try:
        if path.is_file():
            path.chmod(0o600)
        else:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise LedgerError(
            f"ledger {path}: {error.strerror}; it must be a file that the daemon's user owns"
        ) from None


def _open(path: Path) -> Database:
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    database = Database(connection, strict=True)
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        migrations.apply(database)
    except BaseException:
        database.close()
        raise
    return database


def _remedy(problem: str) -> str:
    if "locked" in problem:
        return "is another process holding it?"
    if "full" in problem:
        return "free some space"
    return "check the file, its rights and its file system"
