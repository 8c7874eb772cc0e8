"""The ledger: one SQLite file that one writer keeps, and everything is derived from."""

from carbonsched.ledger.ledger import Ledger

__all__ = ["Ledger"]
