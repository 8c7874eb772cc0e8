"""A stand-in for sbatch, and a place to run csbatch in."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

# Records its words and standard input, then does what the folder's "behaviour" file says.
FAKE_SBATCH = """#!{python} -S
import os, sys
here = os.path.dirname(os.path.realpath(__file__))
with open(here + "/words", "wb") as file:
    file.write(b"\\0".join(os.fsencode(word) for word in sys.argv[1:]))
with open(here + "/stdin", "wb") as file:
    file.write(sys.stdin.buffer.read())
exec(open(here + "/behaviour").read())
"""


class Place:
    """A folder with a stand-in sbatch and a site file."""

    submitted = "print('Submitted batch job 12')"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sbatch = folder / "sbatch"
        self.sbatch.write_text(FAKE_SBATCH.format(python=sys.executable))
        self.sbatch.chmod(0o755)
        self.site = folder / "site.json"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.write_site()
        self.behave(self.submitted)

    def write_site(self, **changes):
        site = {
            "cluster": "lab",
            "daemon_url": f"http://127.0.0.1:{self.port}",
            "munge_socket": str(self.folder / "no-munge"),
            "lease_s": 77,
            "submit_timeout_s": 0.5,
        }
        self.site.write_text(json.dumps(site | changes))

    def behave(self, code):
        (self.folder / "behaviour").write_text(code)

    @property
    def environment(self):
        kept = {name: value for name, value in os.environ.items() if name != "SBATCH_WAIT"}
        return kept | {
            "CARBONSCHED_SBATCH": str(self.sbatch),
            "CARBONSCHED_SITE": str(self.site),
        }

    def run(self, *words, stdin=b"", **environment):
        return subprocess.run(
            [sys.executable, "-m", "carbonsched.submit.main", *words],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=30,
            cwd=self.folder,
            env=self.environment | environment,
        )

    def words(self):
        recorded = (self.folder / "words").read_bytes()
        return recorded.split(b"\0") if recorded else []

    def stdin(self):
        return (self.folder / "stdin").read_bytes()


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("shared"))
