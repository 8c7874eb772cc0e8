"""Ledgers in files of their own."""

from __future__ import annotations

import pytest

from carbonsched.ledger import Ledger


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def open_ledger(path):
    """Opens ledgers, by default always the same file, and closes them in the end."""
    opened = []

    def open_one(where=None) -> Ledger:
        opened.append(Ledger(where or path))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def ledger(open_ledger) -> Ledger:
    return open_ledger()
