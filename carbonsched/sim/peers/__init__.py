"""Rules by which other schedulers for clean hours choose a start, to compare with."""

NAMES = ("cats", "lowest-window", "carbon-time", "wait-awhile")
