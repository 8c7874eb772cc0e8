"""``csbatch``: sbatch with a carbon plan. Standard library only, and quick to load."""
