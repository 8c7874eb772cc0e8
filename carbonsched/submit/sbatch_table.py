"""Which of sbatch's options take a value.

Tried one by one on sbatch 22.05.8; the last lines of each table come from the manuals of later
versions. An option in no table makes csbatch leave its lease out (see :mod:`.sbatch_words`).
"""

from __future__ import annotations

from enum import Enum


class Arity(Enum):
    """Whether an option takes the following word as its value."""

    NONE = "none"
    ATTACHED = "attached"
    """Only as ``--opt=value`` or ``-ovalue``, never the following word."""
    VALUE = "value"


_NONE = """
contiguous help hold ignore-pbs no-requeue overcommit oversubscribe parsable quiet reboot requeue
spread-job test-only usage use-min-nodes verbose version wait
stepmgr external expedited-requeue consolidate-segments spread-segments
"""

_ATTACHED = """
exclusive get-user-env nice no-kill propagate
resv-ports oom-kill-step
"""

_VALUE = """
account acctg-freq array batch bb bbf begin chdir cluster-constraint clusters comment constraint
container core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot
dependency distribution error exclude export export-file extra-node-info gid gpu-bind gpu-freq gpus
gpus-per-node gpus-per-socket gpus-per-task gres gres-flags hint input job-name kill-on-invalid-dep
licenses mail-type mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nodefile
nodelist nodes ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode
output partition power prefer priority profile qos reservation signal sockets-per-node switches
thread-spec threads-per-core time time-min tmp uid wait-all-nodes wckey wrap
container-id extra segment tres-bind tres-per-task
"""

LONG: dict[str, Arity] = {
    **dict.fromkeys(_NONE.split(), Arity.NONE),
    **dict.fromkeys(_ATTACHED.split(), Arity.ATTACHED),
    **dict.fromkeys(_VALUE.split(), Arity.VALUE),
}

SHORT: dict[str, tuple[str, Arity]] = {
    letter: (name, LONG[name])
    for letter, name in {
        "A": "account",
        "B": "extra-node-info",
        "C": "constraint",
        "D": "chdir",
        "F": "nodefile",
        "G": "gpus",
        "H": "hold",
        "J": "job-name",
        "L": "licenses",
        "M": "clusters",
        "N": "nodes",
        "O": "overcommit",
        "Q": "quiet",
        "S": "core-spec",
        "V": "version",
        "W": "wait",
        "a": "array",
        "b": "begin",
        "c": "cpus-per-task",
        "d": "dependency",
        "e": "error",
        "h": "help",
        "i": "input",
        "k": "no-kill",
        "m": "distribution",
        "n": "ntasks",
        "o": "output",
        "p": "partition",
        "q": "qos",
        "s": "oversubscribe",
        "t": "time",
        "v": "verbose",
        "w": "nodelist",
        "x": "exclude",
    }.items()
}


def resolve_long(written: str) -> tuple[str | None, Arity | None]:
    """Name and arity of a long option as getopt_long would read it, abbreviated or not.

    The name is ``None`` where an abbreviation fits several options; the arity too where these
    differ, or where nothing is known by that name.
    """
    if written in LONG:
        return written, LONG[written]
    fitting = [name for name in LONG if name.startswith(written)]
    arities = {LONG[name] for name in fitting}
    return (
        fitting[0] if len(fitting) == 1 else None,
        arities.pop() if len(arities) == 1 else None,
    )
