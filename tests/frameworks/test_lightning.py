from __future__ import annotations

import subprocess
import sys

import pytest

L = pytest.importorskip(
    "lightning.pytorch", reason="Lightning is not installed: tests/frameworks/run"
)
import torch  # noqa: E402 - it comes with Lightning
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from carbonsched.epochs.lightning import EpochCallback  # noqa: E402

DATA = TensorDataset(torch.zeros(40, 3), torch.zeros(40, 1))


class Model(L.LightningModule):
    def __init__(self, agent=None):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        self.agent = agent
        self.seen = []

    def training_step(self, batch, batch_idx):
        if self.agent == "stumble" and self.current_epoch == 1:
            raise RuntimeError("broken")
        return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        if hasattr(self.agent, "told"):
            self.seen += [*self.agent.told(), "validated"]
        self.log("loss", torch.tensor(1.0))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(tmp_path, model=None, *, validate=False, callbacks=(), path=None, **options):
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=any(hasattr(one, "dirpath") for one in callbacks),
        default_root_dir=tmp_path, callbacks=[EpochCallback(), *callbacks], **options,
    )  # fmt: skip
    loader = DataLoader(DATA, batch_size=8)
    trainer.fit(model or Model(), loader, loader if validate else None, ckpt_path=path)
    return trainer


def test_each_epoch_is_marked_with_its_steps(agent, marked, tmp_path):
    fit(tmp_path, max_epochs=3)
    marks = agent.received()
    assert agent.in_short(marks) == marked(1, 3, 3)
    assert [one.steps for one in marks if not one.start] == [5, 5, 5]


def test_validation_is_in_the_epoch_and_the_sanity_check_is_not(agent, tmp_path):
    model = Model(agent)
    fit(tmp_path, model, validate=True, max_epochs=1, num_sanity_val_steps=2)
    told = [*model.seen, *agent.told()]
    validated = ["validated"]
    assert told == [*validated * 2, ("start", 1, 1), *validated * 5, ("end", 1, 1)]


def test_a_training_that_goes_on_counts_on(agent, marked, tmp_path):
    fit(tmp_path, max_epochs=2).save_checkpoint(tmp_path / "at.ckpt")
    assert agent.told() == marked(1, 2, 2)
    fit(tmp_path, max_epochs=4, path=tmp_path / "at.ckpt")
    assert agent.told() == marked(3, 4, 4)


def test_part_of_an_epoch_is_not_counted(agent, marked, tmp_path):
    keep = L.callbacks.ModelCheckpoint(dirpath=tmp_path, every_n_train_steps=7, save_top_k=-1)
    fit(tmp_path, callbacks=[keep], max_steps=7, max_epochs=-1)
    assert agent.told() == [*marked(1, 1, 2), ("start", 2, 2)]
    fit(tmp_path, max_epochs=3, path=next(tmp_path.glob("*.ckpt")))
    told = agent.told()
    assert [one for one in told if one[0] == "end"] == [("end", 3, 3)]


def test_an_endless_training_tells_no_number(agent, marked, tmp_path):
    stop = L.callbacks.EarlyStopping(monitor="loss", patience=1)
    fit(tmp_path, validate=True, callbacks=[stop], max_epochs=-1, num_sanity_val_steps=0)
    assert agent.told() == marked(1, 2, None)


def test_an_error_ends_no_epoch(agent, marked, tmp_path):
    with pytest.raises(RuntimeError, match="broken"):
        fit(tmp_path, Model("stumble"), max_epochs=3)
    assert agent.told() == [*marked(1, 1, 3), ("start", 2, 3)]


def test_without_an_agent_it_trains(agent, tmp_path):
    agent.socket.close()
    agent.path.unlink()
    assert fit(tmp_path, max_epochs=2).current_epoch == 2


def test_a_script_that_imports_pytorch_lightning_gets_its_classes():
    other = pytest.importorskip("pytorch_lightning", reason="pytorch_lightning is not installed")
    code = (
        "import pytorch_lightning as pl\n"
        "from carbonsched.epochs.lightning import EpochCallback\n"
        "assert issubclass(EpochCallback, pl.Callback)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert (done.returncode, issubclass(EpochCallback, other.Callback)) == (0, False)
