"""A real Slurm cluster in a directory of its own, on one Debian host.

The demonstration and the integration tests run on it, and it is written to be read: what is in
``slurm_conf.py`` is what carbonsched expects of a real cluster's configuration.

>>> with Lab.started(LabConfig(directory=Path("/tmp/lab"))) as lab:
...     lab.run_as("carbon-ada", ["sbatch", "--parsable", "--wrap", "hostname"]).stdout
"""

from __future__ import annotations

from .config import LabConfig, LabPartition, LabUser
from .failure import LabError
from .host_check import unfit
from .lab import Lab
from .processes import ProcessSpec

__all__ = ["Lab", "LabConfig", "LabError", "LabPartition", "LabUser", "ProcessSpec", "unfit"]
