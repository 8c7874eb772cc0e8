"""How a mark of an epoch is laid out, version 2, as a job sends it to the agent of its node.

A mark is cells of 8 bytes, always all of them: ``HEAD``, then floats of double precision in the
machine's own byte order, as both sides are on one machine. It does not say when it is sent: the
kernel stamps it. The steps of the epoch are told as they were kept; the agent reckons with them.
"""

from __future__ import annotations

HEAD = b"csmark\x00\x02"
EVENT = 1
"""Cell of what happens: ``START``, ``END`` or ``NEXT``."""
START, END, NEXT = 1, 2, 3
"""The epoch starts; it ends; it ends and the one after it starts at the same instant."""
EPOCH = 2
"""Cell of the epoch's number, counted from 1."""
EPOCHS = 3
"""Cell of how many epochs there are in all; 0 if that is not known."""
BEGAN_WALL_S = 4
"""Cell of when the epoch that ends began, in seconds since 1970."""
BEGAN_S = 5
"""Cell of the same instant by the sender's steady clock, as all instants below."""
STEPS = 6
"""Cell of how many steps have ended; with none the cells after it mean nothing."""
LAST_STEP_S = 7
"""Cell of when the last step ended."""
SQUARES_S2 = 8
"""Cell of the sum of the squares of the steps' lengths."""
STRIDE = 9
"""Cell of how many steps there are from one kept end to the next."""
KEPT_S = 10
"""The first of the cells of when steps ended."""
MOST_KEPT = 80
"""So many step ends are not kept: every second one goes, and only every second one comes."""
CELLS = KEPT_S + MOST_KEPT
MARK_BYTES = 8 * CELLS
