"""A munged of our own with its own key, run as whoever runs the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import hypothesis
import pytest

from carbonsched.transport.munge import Munge

# How long an example takes is the machine's matter, which may have other work.
hypothesis.settings.register_profile("carbonsched", deadline=None)
hypothesis.settings.load_profile("carbonsched")
# What several folders' tests stand on, such as the services' twins, is found by its bare name.
if (_TESTS := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.append(_TESTS)
pytest.register_assert_rewrite("twin")


@pytest.fixture(scope="session")
def munge_socket():
    munged = shutil.which("munged") or shutil.which("/usr/sbin/munged")
    if munged is None:
        pytest.skip("munged is not installed (Debian package munge)")
    with tempfile.TemporaryDirectory(prefix="munge-") as text:
        base = Path(text)
        base.chmod(0o755)
        (base / "key").write_bytes(os.urandom(64))
        (base / "key").chmod(0o600)
        socket = base / "munge.socket"
        process = subprocess.Popen(
            [
                munged, "--foreground", "--force",
                f"--socket={socket}", f"--key-file={base / 'key'}",
                f"--pid-file={base / 'pid'}", f"--log-file={base / 'log'}",
                f"--seed-file={base / 'seed'}",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 10
            while not socket.exists():
                assert process.poll() is None, "munged ended"
                assert time.monotonic() < deadline, "munged did not start"
                time.sleep(0.02)
            yield str(socket)
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def munge(munge_socket) -> Munge:
    return Munge(munge_socket)
