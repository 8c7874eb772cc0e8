"""carbonsched: carbon-aware scheduling and metering for clusters under Slurm."""

__version__ = "0.1.0"
