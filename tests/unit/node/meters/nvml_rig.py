"""The real pynvml and the NVML meter in a child process, on the library that stands in."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[3]
CHILD = Path(__file__).with_name("nvml_child.py")


def load_plant():
    spec = importlib.util.spec_from_file_location("nvml_plant", TESTS / "plant/nvml.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


plant_nvml = load_plant()
Call, Code = plant_nvml.Call, plant_nvml.Code


class Child:
    def __init__(self, environment):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def ask(self, *request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the child failed at {request}"
        return json.loads(line)

    def __getattr__(self, method):
        return lambda *arguments: self.ask(method, *arguments)

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
