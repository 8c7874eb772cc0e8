"""A callback that marks the epochs of the Hugging Face ``Trainer``.

::

    from carbonsched.epochs.huggingface import EpochCallback

    trainer = Trainer(model, args, train_dataset=data, callbacks=[EpochCallback()])
"""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from carbonsched.epochs.hooks import CallbackMarks, harmless, is_whole

UNLIMITED = 10**9
"""The trainer names a larger number where the data have no length and only steps are counted."""


class EpochCallback(TrainerCallback):
    """Marks each epoch with the evaluation and the checkpoint that follow it.

    The trainer evaluates and saves after it has said that an epoch ends, so the epoch ends when the
    next one begins or the training ends.
    """

    def __init__(self) -> None:
        self._marks = CallbackMarks()
        self._counts = True

    @harmless
    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """The trainer has made a number of epochs of its arguments, rounded up."""
        self._counts = state.num_train_epochs < UNLIMITED
        epochs = state.num_train_epochs if self._counts else None
        self._marks.begin(epochs, first_here=state.is_local_process_zero)

    @harmless
    def on_epoch_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Of a training that goes on, the state says how many epochs it has done."""
        done = state.epoch or 0.0
        if not self._counts:
            self._marks.start()
        elif is_whole(done):
            self._marks.start(round(done))

    @harmless
    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Each step of the optimiser is a step."""
        self._marks.step()

    @harmless
    def on_epoch_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """An epoch that the number of steps cut short is not counted."""
        cut_short = (
            not is_whole(state.epoch) if self._counts else state.global_step >= args.max_steps
        )
        if cut_short:
            self._marks.stop()

    @harmless
    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Also after an early stop."""
        self._marks.end()
        self._marks.stop()
