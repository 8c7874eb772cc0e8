"""``python -m plant SCRIPT.json``: runs until its standard input ends.

Each line of the input is a command for a node, as JSON, and is answered with a line: ``ok``, or
what was wrong. ``{"do": "sync"}`` is answered after the next step.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from .node import PlantNode
from .physics import NS
from .script import Script


def main() -> int:
    """Step until nobody listens any more."""
    script = Script.from_json(Path(sys.argv[1]).read_text())
    nodes = {one.name: PlantNode(one, Path(script.log) / f"{one.name}.log") for one in script.nodes}
    with suppress(OSError):  # hardware does not wait for a busy CPU
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    period_ns = NS // script.hz
    began_ns = last_ns = _steady_ns()
    due_ns = began_ns + period_ns
    waiting = b""
    _answer("ready")
    synced = False
    while True:
        left_s = max(0.0, (due_ns - _steady_ns()) / NS)
        if select.select([sys.stdin], [], [], left_s)[0]:
            more = os.read(sys.stdin.fileno(), 65_536)
            if not more:
                return 0
            *lines, waiting = (waiting + more).split(b"\n")
            # Commands count from now, so time passes up to now first.
            last_ns = _step(nodes, began_ns, last_ns)
            for line in lines:
                wish = json.loads(line)
                if wish == {"do": "sync"}:
                    synced = True
                else:
                    _obey(nodes, wish)
            continue
        last_ns = _step(nodes, began_ns, last_ns)
        if synced:
            _answer("ok")
            synced = False
        due_ns += period_ns
        if due_ns < last_ns:  # it was held up: go on from here, without a burst
            due_ns = last_ns + period_ns


def _step(nodes: dict[str, PlantNode], began_ns: int, last_ns: int) -> int:
    now_ns, wall_ns = _steady_ns(), time.time_ns()
    length_ns = now_ns - last_ns
    middle_ns = last_ns + length_ns // 2 - began_ns
    for node in nodes.values():
        node.step(now_ns, wall_ns, length_ns, middle_ns)
    return now_ns


def _obey(nodes: dict[str, PlantNode], wish: dict[str, Any]) -> None:
    try:
        nodes[wish.pop("node")].command(wish)
    except Exception as error:  # noqa: BLE001 - the test that asked must hear of it
        _answer(f"{type(error).__name__}: {error}")
    else:
        _answer("ok")


def _answer(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _steady_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


if __name__ == "__main__":
    sys.exit(main())
