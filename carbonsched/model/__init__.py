"""The domain: frozen values with their invariants. Standard library only.

Instants are whole epoch seconds (UTC) in fields that end in ``_at``; lengths end in ``_s``.
Intervals are half-open. Energy is whole joules, mass whole milligrams.
"""
