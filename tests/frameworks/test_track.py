"""What the frameworks themselves print, read by ``carbonsched track``."""

from __future__ import annotations

import pty
import subprocess
import sys
import threading
from fcntl import ioctl
from os import close, read
from struct import pack
from termios import TIOCSWINSZ

import pytest

KERAS = """
import keras, numpy as np
model = keras.Sequential([keras.layers.Dense(1)])
model.compile(optimizer="sgd", loss="mse")
model.fit(np.zeros((40, 3)), np.zeros((40, 1)), epochs=3, verbose={verbose})
"""
LIGHTNING = """
import lightning.pytorch as L, torch
from lightning.pytorch.callbacks import RichProgressBar, TQDMProgressBar
from torch.utils.data import DataLoader, TensorDataset
class Model(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
    def training_step(self, batch, batch_idx):
        return self.layer(batch[0]).mean()
    def validation_step(self, batch, batch_idx):
        pass
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
loader = DataLoader(TensorDataset(torch.zeros(40, 3)), batch_size=8)
L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=3,
          callbacks=[{bar}()]).fit(Model(), loader, loader)
"""
TRAINER = """
import torch, transformers
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
    def forward(self, x, labels):
        return {{"loss": self.layer(x).mean(), "logits": labels}}
data = [{{"x": torch.zeros(3), "labels": torch.zeros(1)}} for _ in range(40)]
arguments = transformers.TrainingArguments(
    output_dir={folder!r}, per_device_train_batch_size=8, report_to=[], use_cpu=True,
    save_strategy="no", num_train_epochs=3, logging_strategy="epoch")
transformers.Trainer(Model(), arguments, train_dataset=data).train()
"""


def track(code, *words, terminal=False):
    command = [sys.executable, "-m", "carbonsched.cli.main", "track", *words, "--"]
    command += [sys.executable, "-c", code]
    if not terminal:
        done = subprocess.run(command, check=False, capture_output=True, timeout=200)
        return done.returncode, done.stdout + done.stderr
    outer, inner = pty.openpty()
    ioctl(outer, TIOCSWINSZ, pack("HHHH", 24, 100, 0, 0))
    text = []
    with subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner) as process:
        close(inner)
        reader = threading.Thread(target=lambda: read_all(outer, text))
        reader.start()
        process.wait(200)
        reader.join(20)
    close(outer)
    return process.returncode, b"".join(text)


def read_all(source, text):
    while True:
        try:
            text.append(read(source, 4096))
        except OSError:
            return


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("verbose", [1, 2])
def test_keras(agent, marked, verbose, terminal):
    pytest.importorskip("keras", reason="Keras is not installed: tests/frameworks/run")
    status, text = track(KERAS.format(verbose=verbose), terminal=terminal)
    assert status == 0, text
    assert agent.told() == marked(1, 3, 3)


@pytest.mark.parametrize(
    ("bar", "terminal"),
    [("TQDMProgressBar", False), ("TQDMProgressBar", True), ("RichProgressBar", True)],
)
def test_lightning(agent, marked, bar, terminal):
    pytest.importorskip("lightning", reason="Lightning is not installed: tests/frameworks/run")
    status, text = track(LIGHTNING.format(bar=bar), "--epochs", "3", terminal=terminal)
    assert status == 0, text
    assert agent.told() == marked(1, 3, 3), text


def test_a_bar_that_is_shown_when_all_is_over_ends_no_epoch(agent):
    pytest.importorskip("lightning", reason="Lightning is not installed: tests/frameworks/run")
    status, text = track(LIGHTNING.format(bar="RichProgressBar"), "--epochs", "3")
    assert status == 0, text
    assert [event for event, _, _ in agent.told()] == ["start"]


def test_the_trainer(agent, tmp_path):
    pytest.importorskip("transformers", reason="transformers is not installed")
    status, text = track(TRAINER.format(folder=str(tmp_path)), "--epochs", "3")
    assert status == 0, text
    # It tells an epoch when that is over, so the first one's start is not known.
    assert agent.told() == [("start", 2, 3), ("end", 2, 3), ("start", 3, 3), ("end", 3, 3)], text
