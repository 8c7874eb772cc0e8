from __future__ import annotations

import pytest

from .table import Table


@pytest.fixture
def table(journal):
    return Table(journal)
