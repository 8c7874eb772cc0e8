"""Slurm, as the services need it: :class:`carbonsched.ports.Cluster` by several ways."""
