from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: tests/frameworks/run")
from carbonsched.epochs.keras import EpochCallback  # noqa: E402 - it needs Keras

X, Y = np.zeros((40, 3), "float32"), np.zeros((40, 1), "float32")


def fit(callbacks=(), **options):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    model.fit(X, Y, batch_size=8, verbose=0, callbacks=[EpochCallback(), *callbacks], **options)


def test_each_epoch_is_marked_with_its_steps(agent, marked):
    fit(epochs=3, validation_data=(X, Y))
    marks = agent.received()
    assert agent.in_short(marks) == marked(1, 3, 3)
    assert [one.steps for one in marks if not one.start] == [5, 5, 5]
    assert all(len(one.part_ends_us) == 5 for one in marks if not one.start)


def test_validation_is_in_the_epochs_last_part(agent):
    class Slow(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            agent.socket.recv(4096)  # the epoch has started,
            with pytest.raises(BlockingIOError):
                agent.socket.recv(4096)  # and not ended

    fit(callbacks=[Slow()], epochs=1, validation_data=(X, Y))
    assert agent.told() == [("end", 1, 1)]


def test_a_training_that_goes_on_counts_on(agent, marked):
    fit(epochs=5, initial_epoch=3)
    assert agent.told() == marked(4, 5, 5)


def test_an_early_stop_ends_after_a_whole_epoch(agent, marked):
    stop = keras.callbacks.EarlyStopping(monitor="loss", patience=1)
    fit(callbacks=[stop], epochs=50)
    assert agent.told() == marked(1, 2, 50)


def test_another_rank_of_the_node_leaves_it_to_the_first(agent, monkeypatch):
    monkeypatch.setenv("SLURM_LOCALID", "1")
    fit(epochs=2)
    assert agent.told() == []


def test_without_an_agent_it_trains(agent):
    agent.socket.close()
    agent.path.unlink()
    fit(epochs=2)
    assert not agent.path.exists()
