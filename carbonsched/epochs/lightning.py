"""A callback that marks the epochs of a Lightning trainer, also of ``pytorch_lightning``.

::

    from carbonsched.epochs.lightning import EpochCallback

    trainer = Trainer(max_epochs=10, callbacks=[EpochCallback()])
"""

from __future__ import annotations

import math
import sys
from typing import Any

from carbonsched.epochs.hooks import CallbackMarks, harmless

# The two packages hold the same code but not the same classes: take the one the script uses.
if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
    from pytorch_lightning import Callback
else:
    try:
        from lightning.pytorch import Callback
    except ImportError:
        from pytorch_lightning import Callback


class EpochCallback(Callback):
    """Marks each training epoch with the validation in it; the sanity check is in none."""

    def __init__(self) -> None:
        super().__init__()
        self._marks = CallbackMarks()
        self._batches = 0

    @harmless
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """How many epochs are to come is known now."""
        self._marks.begin(_epochs(trainer), first_here=trainer.local_rank == 0)

    @harmless
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """The trainer's numbers count on from a checkpoint."""
        self._batches = 0
        self._marks.start(trainer.current_epoch)

    @harmless
    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Each batch is a step."""
        if not self._batches and batch_idx:
            self._marks.stop()  # goes on from the middle of an epoch
        self._batches = batch_idx + 1
        self._marks.step()

    @harmless
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """After the validation that belongs to the epoch."""
        count = trainer.num_training_batches
        if math.isfinite(count) and self._batches < count:
            self._marks.stop()
        else:
            self._marks.end()

    @harmless
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Also after an early stop."""
        self._marks.stop()

    @harmless
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """An epoch that was broken off is not counted."""
        self._marks.stop()


def _epochs(trainer: Any) -> float | None:
    """How many epochs the trainer runs at most; of one that only counts steps, what they make."""
    if trainer.max_epochs is not None and trainer.max_epochs >= 0:
        return float(trainer.max_epochs)
    batches = trainer.num_training_batches
    if trainer.max_steps is None or trainer.max_steps <= 0 or not math.isfinite(batches):
        return None
    return float(trainer.max_steps / math.ceil(batches / trainer.accumulate_grad_batches))
