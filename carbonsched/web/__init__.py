"""The daemon's HTTP API: authentication, shapes, and nothing that decides."""
