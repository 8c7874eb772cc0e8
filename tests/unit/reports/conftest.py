import importlib.util
import time
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def samples():
    """The builder of sample documents, ``samples.py`` beside this file."""
    spec = importlib.util.spec_from_file_location("samples", Path(__file__).parent / "samples.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def berlin():
    """This machine is in Berlin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()
