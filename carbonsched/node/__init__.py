"""The node agent: meters, attribution, spool and delivery. Standard library only."""
