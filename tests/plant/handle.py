"""A handle on the plant's process."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .script import NodeScript, Script
from .truth import Truth

if TYPE_CHECKING:
    from collections.abc import Iterator

_TESTS = Path(__file__).resolve().parents[1]
_PATIENCE_S = 10


class Plant:
    """Starts with the object; ``stop`` ends it. Files stay until the test removes its folder."""

    def __init__(self, folder: Path, nodes: tuple[NodeScript, ...], hz: int = 50) -> None:
        self.log = folder / "truth"
        self.nodes = {one.name: one for one in nodes}
        path = folder / "plant.json"
        path.write_text(Script(log=str(self.log), nodes=nodes, hz=hz).to_json())
        self._process = subprocess.Popen(
            [sys.executable, "-m", "plant", path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_TESTS,
        )
        self._hear("ready")

    @classmethod
    @contextmanager
    def running(cls, folder: Path, nodes: tuple[NodeScript, ...], hz: int = 50) -> Iterator[Plant]:
        """A plant for the length of a block."""
        plant = cls(folder, nodes, hz)
        try:
            yield plant
        finally:
            plant.stop()

    def tell(self, node: str, do: str, **what: Any) -> None:
        """A command for a node; it has been obeyed when this returns."""
        self._say({"node": node, "do": do} | what)
        self._hear("ok")

    def sync(self) -> None:
        """A whole step has passed since the last command."""
        self._say({"do": "sync"})
        self._hear("ok")

    def truth(self, node: str) -> Truth:
        """All that has happened on a node so far."""
        self.sync()
        return Truth.read(self.log / f"{node}.log", self.nodes[node])

    def stop(self) -> None:
        """The machines stand still; their files stay."""
        if self._process.poll() is None:
            self._process.communicate(timeout=_PATIENCE_S)

    def _say(self, wish: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()

    def _hear(self, expected: str) -> None:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().strip()
        if answer != expected:
            raise RuntimeError(f"the plant says {answer!r}; it ended: {self._process.poll()}")
