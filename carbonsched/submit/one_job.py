"""Options of ours that are for one job: not for the tasks of an array, nor for parts of a job."""

from __future__ import annotations

import os

from carbonsched.errors import RequestError
from carbonsched.model.directives import Directives
from carbonsched.submit.sbatch_words import CommandLine
from carbonsched.submit.script import ScriptHead

_ARRAY_VARIABLE = "SBATCH_ARRAY_INX"


def check_one_job(directives: Directives, line: CommandLine, head: ScriptHead) -> None:
    """See that a pilot, or a job with a budget, is one job.

    Raises:
        RequestError: it is an array, or a heterogeneous job.
    """
    given = line.names | head.sbatch_names
    if "array" in given or _ARRAY_VARIABLE in os.environ:
        what = "arrays"
    elif line.heterogeneous or head.heterogeneous:
        what = "heterogeneous jobs"
    else:
        return
    option = "--carbon-pilot" if directives.pilot else "--carbon-budget"
    raise RequestError(f"{option} is not for {what}; leave one of them out")
