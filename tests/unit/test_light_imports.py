"""What users' shells, compute nodes and training scripts load is the standard library alone."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

FRAMEWORKS = [f"carbonsched.epochs.{name}" for name in ("huggingface", "keras", "lightning")]
"""Each is for scripts that have loaded its framework: tests/frameworks tests them."""
LIGHT = ["submit", "node", "epochs", "transport", "model", "site", "units", "errors", "ports"]
CODE = """
import importlib, json, sys
before = set(sys.modules)  # a virtual environment's own start-up hooks
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def modules(package):
    """The package and every module below it; an executable ``__main__`` runs when imported."""
    name = f"carbonsched.{package}"
    path = getattr(import_module(name), "__path__", [])
    below = (one.name for one in pkgutil.walk_packages(path, f"{name}."))
    return [name, *(one for one in below if one not in FRAMEWORKS and not one.endswith("__main__"))]


def loaded(names):
    arguments = [sys.executable, "-c", CODE, *names]
    done = subprocess.run(
        arguments, capture_output=True, text=True, timeout=60, check=True, cwd=Path("/")
    )
    # How Python itself was built is told by a module that sys.stdlib_module_names leaves out.
    return {name for name in json.loads(done.stdout) if not name.startswith("_sysconfigdata_")}


@pytest.mark.parametrize("package", LIGHT)
def test_a_light_package_loads_only_the_standard_library(package):
    names = modules(package)
    foreign = loaded(names) - sys.stdlib_module_names - {"carbonsched"}
    assert foreign == set()


@pytest.mark.parametrize("command", ["agent", "track"])
def test_a_nodes_command_loads_only_the_standard_library(command):
    foreign = (
        loaded(["carbonsched.cli.main", f"carbonsched.cli.{command}"])
        - sys.stdlib_module_names
        - {"carbonsched"}
    )
    assert foreign == set()


def test_what_the_check_would_find():
    assert "pydantic" in loaded(["pydantic"]) - sys.stdlib_module_names
