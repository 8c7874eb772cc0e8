"""Replaying recorded work and grids against the planner that the daemon uses."""
