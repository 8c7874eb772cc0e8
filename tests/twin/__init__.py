"""Provider twins: a local HTTP server that speaks real services' shapes, and their faults."""

from twin.faults import FAULTS, Fault
from twin.server import Answer, Request, Twin, Wire

__all__ = ["FAULTS", "Answer", "Fault", "Request", "Twin", "Wire"]
