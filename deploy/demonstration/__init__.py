"""The demonstration: carbonsched's whole loop on a real Slurm cluster, in about three minutes."""
