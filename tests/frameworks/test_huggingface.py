from __future__ import annotations

import pytest

transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed: tests/frameworks/run"
)
import torch  # noqa: E402 - the Trainer needs it
from torch.utils.data import IterableDataset  # noqa: E402

from carbonsched.epochs.huggingface import EpochCallback  # noqa: E402

DATA = [{"x": torch.zeros(3), "labels": torch.zeros(1)} for _ in range(40)]


class Endless(IterableDataset):
    def __iter__(self):
        return iter(DATA)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def forward(self, x, labels):
        predicted = self.layer(x)
        return {"loss": torch.nn.functional.mse_loss(predicted, labels), "logits": predicted}


class Observer(transformers.TrainerCallback):
    """What was told by the time of each evaluation."""

    def __init__(self, agent):
        self.agent = agent
        self.seen = []

    def on_evaluate(self, args, state, control, **more):
        self.seen += [*self.agent.told(), "evaluated"]


def train(tmp_path, data=DATA, resume=None, callbacks=(), **options):
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"), per_device_train_batch_size=8, report_to=[],
        use_cpu=True, disable_tqdm=True, **{"save_strategy": "no"} | options,
    )  # fmt: skip
    trainer = transformers.Trainer(
        Model(), arguments, train_dataset=data, eval_dataset=DATA,
        callbacks=[EpochCallback(), *callbacks],
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def test_each_epoch_is_marked_with_its_steps(agent, marked, tmp_path):
    train(tmp_path, num_train_epochs=3)
    marks = agent.received()
    assert agent.in_short(marks) == marked(1, 3, 3)
    assert [one.steps for one in marks if not one.start] == [5, 5, 5]


def test_the_evaluation_after_an_epoch_is_in_it(agent, tmp_path):
    seen = Observer(agent)
    train(tmp_path, callbacks=[seen], num_train_epochs=2, eval_strategy="epoch")
    assert [*seen.seen, *agent.told()] == [
        ("start", 1, 2), "evaluated", ("end", 1, 2), ("start", 2, 2), "evaluated", ("end", 2, 2),
    ]  # fmt: skip


def test_a_fraction_of_an_epoch_begins_one_that_is_not_counted(agent, marked, tmp_path):
    train(tmp_path, num_train_epochs=1.5)
    assert agent.told() == [*marked(1, 1, 2), ("start", 2, 2)]


@pytest.mark.parametrize(("steps", "expected"), [(5, (2, 3)), (7, (3, 3))])
def test_a_training_that_goes_on_counts_on(agent, marked, tmp_path, steps, expected):
    train(tmp_path, num_train_epochs=3, max_steps=steps, save_strategy="steps", save_steps=steps)
    agent.told()
    train(tmp_path, num_train_epochs=3, resume=str(tmp_path / f"out/checkpoint-{steps}"))
    assert agent.told() == marked(*expected, 3)


def test_gradients_that_accumulate_make_fewer_steps(agent, tmp_path):
    train(tmp_path, num_train_epochs=2, gradient_accumulation_steps=2)
    ends = [one for one in agent.received() if not one.start]
    assert [(one.epoch, one.steps) for one in ends] == [(1, 3), (2, 3)]


def test_data_without_a_length_tell_no_number(agent, tmp_path):
    train(tmp_path, data=Endless(), max_steps=12)
    told = agent.told()
    assert told[:3] == [("start", 1, None), ("end", 1, None), ("start", 2, None)]
    assert told[-1] == ("start", 3, None)


def test_without_an_agent_it_trains(agent, tmp_path):
    agent.socket.close()
    agent.path.unlink()
    assert train(tmp_path, num_train_epochs=2).state.epoch == 2
