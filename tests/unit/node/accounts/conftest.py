from __future__ import annotations

import pytest

from .rig import Rig


@pytest.fixture
def rig(log, linear_panel):
    rig = Rig(linear_panel(), log)
    rig.see()
    return rig
