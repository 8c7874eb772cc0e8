"""A callback that marks the epochs of Keras' ``fit``.

::

    from carbonsched.epochs.keras import EpochCallback

    model.fit(x, y, epochs=10, callbacks=[EpochCallback()])
"""

from __future__ import annotations

from typing import Any

from keras.callbacks import Callback

from carbonsched.epochs.hooks import CallbackMarks, first_of_the_node, harmless


class EpochCallback(Callback):
    """Marks each epoch with the validation in it; ``initial_epoch`` counts on."""

    def __init__(self) -> None:
        super().__init__()
        self._marks = CallbackMarks()

    @harmless
    def on_train_begin(self, logs: Any = None) -> None:
        """Keras says how many epochs there are in all."""
        self._marks.begin((self.params or {}).get("epochs"), first_here=first_of_the_node())

    @harmless
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Counted from 0."""
        self._marks.start(epoch)

    @harmless
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Each batch is a step."""
        self._marks.step()

    @harmless
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After the epoch's validation."""
        self._marks.end()

    @harmless
    def on_train_end(self, logs: Any = None) -> None:
        """Also after an early stop."""
        self._marks.stop()
