"""Trainings that the model was not developed on; see ``trainings.py``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from trainings import Training, _convolutions, _images, _learn, _save, _transformer


def patches() -> Training:
    """A vision transformer on patches in bfloat16; validation after every third epoch."""
    images, labels = _images(768)
    embed, body = nn.Linear(192, 96), _transformer(96, 2)[1]
    head = nn.Linear(96, 10)
    parts = nn.ModuleList([embed, body, head])
    optimiser = torch.optim.AdamW(parts.parameters(), lr=5e-4)

    def scores(batch: torch.Tensor) -> torch.Tensor:
        cut = batch.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5)
        with torch.autocast("cpu", torch.bfloat16):
            return head(body(embed(cut.reshape(len(batch), 16, 192))).mean(1))

    def step(epoch: int, number: int) -> None:
        del epoch
        part = slice(32 * number, 32 * number + 32)
        _learn(parts, optimiser, functional.cross_entropy(scores(images[part]), labels[part]))

    def after(epoch: int) -> bool:
        if epoch % 3 == 2:
            with torch.no_grad():
                for at in [*range(0, 768, 128)] * 2:
                    scores(images[at : at + 128])
        return False

    return Training(epochs=36, batches=24, passes=3, step=step, after=after)


def variational() -> Training:
    """A variational autoencoder; a whole checkpoint with a history is written after each epoch."""
    images, _ = _images(512)
    into = nn.Sequential(nn.Flatten(), nn.Linear(3072, 256), nn.ReLU(), nn.Linear(256, 64))
    out = nn.Sequential(nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 3072))
    optimiser = torch.optim.Adam([*into.parameters(), *out.parameters()], lr=1e-3)
    folder = tempfile.mkdtemp()

    def step(epoch: int, number: int) -> None:
        part = images[16 * number : 16 * number + 16]
        mean, spread = into(part).chunk(2, 1)
        drawn = mean + torch.randn_like(mean) * (spread / 2).exp()
        likeness = functional.mse_loss(out(drawn), part.flatten(1))
        divergence = (mean**2 + spread.exp() - 1 - spread).mean()
        _learn(into, optimiser, likeness + min(1.0, epoch / 10) * divergence)

    def after(epoch: int) -> bool:
        del epoch
        _save(folder, into, out, optimiser)
        return False

    return Training(epochs=30, batches=32, passes=4, step=step, after=after)


def characters() -> Training:
    """A recurrent network on characters; its text is cut and sorted anew before each epoch."""
    text = torch.randint(0, 64, (40_000,)).cumsum(0) % 64
    table, model, head = nn.Embedding(64, 48), nn.LSTM(48, 96, batch_first=True), nn.Linear(96, 64)
    parts = nn.ModuleList([table, model, head])
    optimiser = torch.optim.Adam(parts.parameters(), lr=2e-3)
    batches: list[torch.Tensor] = []

    def step(epoch: int, number: int) -> None:
        if number == 0:
            starts = torch.randperm(len(text) - 41)[:384]
            cut = torch.stack([text[at : at + 41] for at in starts.tolist()])
            batches[:] = cut[cut[:, 0].argsort()].split(16)
        batch = batches[number]
        found = head(model(table(batch[:, :-1]))[0])
        loss = functional.cross_entropy(found.flatten(0, 1), batch[:, 1:].flatten())
        _learn(parts, optimiser, loss)

    return Training(epochs=32, batches=24, passes=4, step=step)


class _Rows(torch.utils.data.Dataset):
    """Rows that a worker disturbs when it is asked for them."""

    def __init__(self, count: int) -> None:
        self._rows = torch.randn(count, 3, 24, 24)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> torch.Tensor:
        turned = torch.rot90(self._rows[number], number % 4, (1, 2))
        return functional.avg_pool2d(turned, 3, 1, 1) + 0.1 * torch.randn(3, 24, 24)


def workers() -> Training:
    """Data workers that start anew with each epoch, whose first steps wait for them."""
    source = torch.utils.data.DataLoader(_Rows(5120), batch_size=32, num_workers=2)
    model = _convolutions(12)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    batches: list[Iterator[torch.Tensor]] = []

    def step(epoch: int, number: int) -> None:
        del epoch
        if number == 0:
            batches[:] = [iter(source)]
        images = next(batches[0])
        loss = functional.cross_entropy(model(images), torch.zeros(len(images), dtype=torch.long))
        _learn(model, optimiser, loss)

    return Training(epochs=30, batches=160, passes=1, step=step)


def distilled() -> Training:
    """A small network learns from a large one, whose answers are kept after the first epoch."""
    images, labels = _images(768)
    teacher, pupil = _convolutions(32), _convolutions(10)
    optimiser = torch.optim.SGD(pupil.parameters(), lr=0.02)
    answers: dict[int, torch.Tensor] = {}

    def step(epoch: int, number: int) -> None:
        del epoch
        part = slice(32 * number, 32 * number + 32)
        if number not in answers:
            with torch.no_grad():
                answers[number] = teacher(images[part]).softmax(1)
        found = pupil(images[part])
        own = functional.cross_entropy(found, labels[part])
        _learn(pupil, optimiser, own + functional.cross_entropy(found, answers[number]))

    return Training(epochs=40, batches=24, passes=4, step=step)


def mapped() -> Training:
    """A table on disk, mapped into memory and cold; stopped early when it no longer gets better."""
    path = Path(tempfile.mkdtemp()) / "table"
    rows = np.random.default_rng(7).normal(size=(6400, 512)).astype(np.float32)
    rows.tofile(path)
    os.sync()
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    table = np.memmap(path, np.float32, "c", shape=rows.shape)
    model = nn.Sequential(nn.Linear(511, 256), nn.ReLU(), nn.Linear(256, 1))
    optimiser = torch.optim.Adam(model.parameters(), lr=4e-5)
    best = [float("inf"), 0.0]

    def step(epoch: int, number: int) -> None:
        del epoch
        part = torch.from_numpy(table[64 * number : 64 * number + 64])
        loss = functional.mse_loss(
            model(part[:, 1:]), part[:, :1] + part[:, 1:9].sum(1, keepdim=True)
        )
        _learn(model, optimiser, loss)

    def after(epoch: int) -> bool:
        part = torch.from_numpy(table[5760:])
        with torch.no_grad():
            truth = part[:, :1] + part[:, 1:9].sum(1, keepdim=True)
            loss = functional.mse_loss(model(part[:, 1:]), truth).item()
        if loss < best[0] - 1e-3:
            best[:] = [loss, epoch]
        return epoch - best[1] >= 10

    return Training(epochs=60, batches=90, passes=4, step=step, after=after)


def rollouts() -> Training:
    """A policy by its own trials: each epoch plays until a number of moves is made."""
    policy = nn.Sequential(nn.Linear(16, 128), nn.Tanh(), nn.Linear(128, 128), nn.Linear(128, 4))
    optimiser = torch.optim.Adam(policy.parameters(), lr=1e-3)
    moves = torch.randn(4, 16) * 0.2

    def step(epoch: int, number: int) -> None:
        del epoch, number
        place, gains = torch.randn(32, 16), []
        for _ in range(24):
            odds = policy(place).log_softmax(1)
            chosen = torch.multinomial(odds.exp(), 1)
            place = (place + moves[chosen.squeeze(1)]).detach()
            gains.append((odds.gather(1, chosen).squeeze(1), -place.norm(dim=1)))
        loss = -torch.stack([odds * gain for odds, gain in gains]).mean()
        _learn(policy, optimiser, loss)

    return Training(epochs=40, batches=60, passes=1, step=step)


def traced() -> Training:
    """A U-net-like network that is compiled when first used, in training and in validation."""
    images, _ = _images(384, 24)
    plain = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.GELU(), nn.Conv2d(16, 32, 3, 2, 1), nn.GELU(),
        nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.GELU(), nn.Conv2d(16, 3, 3, padding=1),
    )  # fmt: skip
    model = torch.compile(plain, options={"fx_graph_cache": False})
    optimiser = torch.optim.AdamW(plain.parameters(), lr=1e-3)

    def step(epoch: int, number: int) -> None:
        del epoch
        part = images[16 * number : 16 * number + 16]
        _learn(plain, optimiser, functional.l1_loss(model(part), part.flip(3)))

    def after(epoch: int) -> bool:
        if epoch % 2 == 1:
            with torch.no_grad():
                for at in range(0, 384, 64):
                    model(images[at : at + 64])
        return False

    return Training(epochs=40, batches=24, passes=9, step=step, after=after)


HELD_OUT: dict[str, Callable[[], Training]] = {
    one.__name__: one
    for one in (
        patches, variational, characters, workers, distilled, mapped, rollouts, traced,
    )
}  # fmt: skip
