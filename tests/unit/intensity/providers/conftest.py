"""The fault suite is found here by its bare name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

if str(Path(__file__).parent) not in sys.path:
    sys.path.append(str(Path(__file__).parent))
pytest.register_assert_rewrite("fault_suite")
