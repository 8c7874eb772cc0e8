"""Who was on the node, from when to when, with what: events, control groups, GPUs."""
