"""Trainings that differ, each on data that it makes itself; ``record.py`` runs and records them.

One is a function that returns a ``Training``: what a step does, how many there are in an epoch and
what follows the last of them. All use one thread, and a second or two for an epoch on one core.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

Step = Callable[[int, int], None]
After = Callable[[int], bool]


def _nothing(epoch: int) -> bool:
    del epoch
    return False


@dataclass(frozen=True, kw_only=True)
class Training:
    """``step(epoch, number)`` and ``after(epoch)`` count from 0; ``after`` says whether to stop.

    An epoch passes ``passes`` times over the data, of which each pass is ``batches`` steps.
    """

    epochs: int
    batches: int
    passes: int
    step: Step
    after: After = _nothing


def _learn(model: nn.Module, optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    del model
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def _save(folder: str, *parts: nn.Module | torch.optim.Optimizer) -> None:
    with (Path(folder) / "checkpoint.pt").open("wb") as file:
        torch.save([part.state_dict() for part in parts], file)
        file.flush()
        os.fsync(file.fileno())


def _convolutions(width: int, classes: int = 10, channels: int = 3) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(),
        nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes),
    )  # fmt: skip


def _images(count: int, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.randint(0, 10, (count,))
    rows = torch.linspace(0, 6.28, size)
    waves = torch.sin(rows[None, :, None] * (1 + labels[:, None, None] / 3))
    images = waves[:, None].expand(-1, 3, -1, size) + 0.5 * torch.randn(count, 3, size, size)
    return images, labels


def cnn() -> Training:
    """A convolutional network on images, validated after every epoch."""
    images, labels = _images(2048)
    model = _convolutions(16)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    def step(epoch: int, number: int) -> None:
        del epoch
        part = slice(32 * number, 32 * number + 32)
        _learn(model, optimiser, functional.cross_entropy(model(images[part]), labels[part]))

    def after(epoch: int) -> bool:
        del epoch
        with torch.no_grad():
            for at in [*range(1280, 2048, 128)] * 3:
                model(images[at : at + 128])
        return False

    return Training(epochs=40, batches=40, passes=4, step=step, after=after)


def unet() -> Training:
    """A small U-net that segments generated volumes; validated every fifth epoch and saved then."""

    def block(into: int, out: int) -> nn.Module:
        return nn.Sequential(nn.Conv3d(into, out, 3, padding=1), nn.InstanceNorm3d(out), nn.ReLU())

    class Unet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.deep, self.up = block(1, 8), block(8, 16), block(24, 8)
            self.out = nn.Conv3d(8, 1, 1)

        def forward(self, volume: torch.Tensor) -> torch.Tensor:
            first = self.down(volume)
            deep = self.deep(functional.max_pool3d(first, 2))
            wide = functional.interpolate(deep, scale_factor=2)
            return self.out(self.up(torch.cat([first, wide], 1)))

    volumes = torch.randn(48, 1, 24, 24, 24)
    truth = (functional.avg_pool3d(volumes, 5, 1, 2) > 0.05).float()
    model = Unet()
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    folder = tempfile.mkdtemp()

    def step(epoch: int, number: int) -> None:
        del epoch
        part = slice(2 * number, 2 * number + 2)
        loss = functional.binary_cross_entropy_with_logits(model(volumes[part]), truth[part])
        _learn(model, optimiser, loss)

    def after(epoch: int) -> bool:
        if epoch % 5 == 4:
            with torch.no_grad():
                for at in [*range(0, 48, 4)] * 3:
                    model(volumes[at : at + 4])
            _save(folder, model, optimiser)
        return False

    return Training(epochs=30, batches=18, passes=4, step=step, after=after)


def _transformer(width: int, layers: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True)
    return nn.Sequential(
        nn.Embedding(256, width),
        nn.TransformerEncoder(layer, layers, enable_nested_tensor=False),
        nn.Linear(width, 256),
    )


def transformer() -> Training:
    """A transformer on tokens of a Markov chain, in bfloat16; a warm-up of the learning rate."""
    tokens = torch.randint(0, 256, (64, 65)).cumsum(1) % 256
    model = _transformer(96, 3)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=30 * 2 * 24 + 1)

    def step(epoch: int, number: int) -> None:
        del epoch
        part = tokens[(8 * number) % 64 :][:16]
        with torch.autocast("cpu", torch.bfloat16):
            out = model(part[:, :-1])
            loss = functional.cross_entropy(out.flatten(0, 1), part[:, 1:].flatten())
        _learn(model, optimiser, loss)
        rate.step()

    return Training(epochs=30, batches=24, passes=2, step=step)


def mlp() -> Training:
    """Dense layers on a table, stopped early when validation no longer gets better."""
    table = torch.randn(6000, 64)
    truth = (table[:, :8].sum(1) + 0.8 * torch.randn(6000) > 0).long()
    model = nn.Sequential(
        nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 2)
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    best = [9.0, 0.0]

    def step(epoch: int, number: int) -> None:
        del epoch
        part = slice(50 * number, 50 * number + 50)
        _learn(model, optimiser, functional.cross_entropy(model(table[part]), truth[part]))

    def after(epoch: int) -> bool:
        with torch.no_grad():
            loss = functional.cross_entropy(model(table[5000:]), truth[5000:]).item()
        if loss < best[0]:
            best[:] = [loss, epoch]
        return epoch - best[1] >= 15

    return Training(epochs=60, batches=100, passes=6, step=step, after=after)


def gru() -> Training:
    """A recurrent network on series that grow longer after every tenth epoch."""
    series = torch.randn(256, 128, 8).cumsum(1)
    model = nn.GRU(8, 64, batch_first=True)
    head = nn.Linear(64, 8)
    optimiser = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=1e-3)

    def step(epoch: int, number: int) -> None:
        length = min(96, 48 + 16 * (epoch // 10))
        part = series[(16 * number) % 256 :][:16, : length + 1]
        out = head(model(part[:, :-1])[0])
        _learn(model, optimiser, functional.mse_loss(out, part[:, 1:]))

    return Training(epochs=40, batches=24, passes=6, step=step)


def autoencoder() -> Training:
    """A convolutional autoencoder that writes its state to disk every fourth epoch."""
    images, _ = _images(640)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(2048, 1500), nn.Linear(1500, 2048), nn.Unflatten(1, (32, 8, 8)),
        nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 3, 4, 2, 1),
    )  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    folder = tempfile.mkdtemp()

    def step(epoch: int, number: int) -> None:
        del epoch
        part = images[32 * number : 32 * number + 32]
        _learn(model, optimiser, functional.mse_loss(model(part), part))

    def after(epoch: int) -> bool:
        if epoch % 4 == 3:
            _save(folder, model, optimiser)
        return False

    return Training(epochs=36, batches=20, passes=2, step=step, after=after)


def graph() -> Training:
    """Graph convolutions; the graph of nearest neighbours is built anew every third epoch."""
    points = torch.randn(3000, 32)
    labels = (points[:, 0] > 0).long()
    first, second = nn.Linear(32, 128), nn.Linear(128, 2)
    optimiser = torch.optim.Adam([*first.parameters(), *second.parameters()], lr=1e-2)
    edges: list[torch.Tensor] = []
    built = [-1]
    torch.sparse.check_sparse_tensor_invariants.disable()

    def build() -> None:
        near = torch.cdist(points, points).topk(12, largest=False).indices
        rows = torch.arange(3000).repeat_interleave(12)
        places = torch.stack([rows, near.flatten()])
        edges[:] = [torch.sparse_coo_tensor(places, torch.full((36000,), 1 / 12)).coalesce()]

    def step(epoch: int, number: int) -> None:
        if number == 0 and epoch % 3 == 0 and built[0] != epoch:
            build()
            built[0] = epoch
        hidden = torch.relu(torch.sparse.mm(edges[0], first(points)))
        out = second(torch.sparse.mm(edges[0], hidden))
        loss = functional.cross_entropy(out, labels)
        _learn(first, optimiser, loss)

    return Training(epochs=36, batches=30, passes=6, step=step)


class _Files(torch.utils.data.Dataset):
    """Compressed images on disk, kept once they were read."""

    def __init__(self, folder: Path, count: int) -> None:
        self._paths = [folder / str(number) for number in range(count)]
        self._kept: dict[int, torch.Tensor] = {}
        images = (np.random.default_rng(5).normal(size=(count, 3, 32, 32)) * 20).astype(np.int8)
        for path, image in zip(self._paths, images, strict=True):
            path.write_bytes(zlib.compress(np.repeat(image, 200, 0).tobytes(), 1))
        os.sync()
        for path in self._paths:
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> torch.Tensor:
        if number not in self._kept:
            raw = np.frombuffer(zlib.decompress(self._paths[number].read_bytes()), np.int8)
            self._kept[number] = torch.from_numpy(raw.reshape(-1, 32, 32)[::200].copy()) / 20
        return self._kept[number]


def loader() -> Training:
    """Images read by a worker from cold files in the first epoch, from its memory later on."""
    files = _Files(Path(tempfile.mkdtemp()), 640)
    source = torch.utils.data.DataLoader(
        files, batch_size=32, num_workers=1, persistent_workers=True
    )
    model = _convolutions(16)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    batches: list[object] = []

    def step(epoch: int, number: int) -> None:
        del epoch
        if number == 0:
            batches[:] = [iter(source)]
        images = next(batches[0])  # type: ignore[call-overload]
        loss = functional.cross_entropy(model(images), torch.zeros(len(images), dtype=torch.long))
        _learn(model, optimiser, loss)

    return Training(epochs=40, batches=20, passes=6, step=step)


def augmented() -> Training:
    """Images turned, shifted and disturbed on the fly; thorough validation every second epoch."""
    images, labels = _images(1024)
    model = _convolutions(12)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    draw = np.random.default_rng(3)

    def disturbed(batch: torch.Tensor) -> torch.Tensor:
        turns = torch.from_numpy(draw.normal(0, 0.2, len(batch))).float()
        cosine, sine, none = turns.cos(), turns.sin(), torch.zeros(len(batch))
        rows = torch.stack([cosine, -sine, none, sine, cosine, none], 1).view(-1, 2, 3)
        grid = functional.affine_grid(rows, list(batch.shape), align_corners=False)
        return functional.grid_sample(batch, grid, align_corners=False)

    def step(epoch: int, number: int) -> None:
        del epoch
        part = slice(24 * number, 24 * number + 24)
        out = model(disturbed(images[part]))
        _learn(model, optimiser, functional.cross_entropy(out, labels[part]))

    def after(epoch: int) -> bool:
        if epoch % 2 == 1:
            with torch.no_grad():
                for at in [*range(0, 1024, 128)] * 4:
                    model(disturbed(images[at : at + 128]))
        return False

    return Training(epochs=40, batches=30, passes=6, step=step, after=after)


def growing() -> Training:
    """Progressive resizing: images of 24, 28, 32, 36 and 40 pixels."""
    images, labels = _images(1024, 40)
    model = _convolutions(12)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.02)

    def step(epoch: int, number: int) -> None:
        size = 24 + 4 * min(4, epoch // 6)
        part = slice(32 * number, 32 * number + 32)
        batch = functional.interpolate(images[part], size=(size, size))
        _learn(model, optimiser, functional.cross_entropy(model(batch), labels[part]))

    return Training(epochs=30, batches=30, passes=8, step=step)


def bfloat16() -> Training:
    """A wider convolutional network in bfloat16, validated every fourth epoch."""
    images, labels = _images(512)
    model = _convolutions(24)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.02)

    def step(epoch: int, number: int) -> None:
        del epoch
        part = slice(32 * number, 32 * number + 32)
        with torch.autocast("cpu", torch.bfloat16):
            loss = functional.cross_entropy(model(images[part]), labels[part])
        _learn(model, optimiser, loss)

    def after(epoch: int) -> bool:
        if epoch % 4 == 3:
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                for _ in range(8):
                    model(images[:256])
        return False

    return Training(epochs=40, batches=14, passes=8, step=step, after=after)


def contrastive() -> Training:
    """Two views of an image are drawn together; nearest neighbours judge every tenth epoch."""
    images, labels = _images(1536, 24)
    model = _convolutions(10, 64)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(epoch: int, number: int) -> None:
        del epoch
        batch = images[32 * number : 32 * number + 32]
        views = [batch + 0.2 * torch.randn_like(batch) for _ in range(2)]
        left, right = (functional.normalize(model(view), dim=1) for view in views)
        loss = functional.cross_entropy(left @ right.T * 5, torch.arange(len(batch)))
        _learn(model, optimiser, loss)

    def after(epoch: int) -> bool:
        if epoch % 10 == 9:
            with torch.no_grad():
                for _ in range(6):
                    found = torch.cat([model(one) for one in images.split(128)])
                labels[torch.cdist(found, found).topk(9, largest=False).indices].mode(1)
        return False

    return Training(epochs=50, batches=24, passes=5, step=step, after=after)


def adversarial() -> Training:
    """A generator against a discriminator; samples are drawn and written every sixth epoch."""
    images, _ = _images(640)
    judge = _convolutions(10, 1)
    maker = nn.Sequential(
        nn.Linear(32, 1024), nn.Unflatten(1, (16, 8, 8)), nn.ConvTranspose2d(16, 16, 4, 2, 1),
        nn.ReLU(), nn.ConvTranspose2d(16, 3, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip
    judges = torch.optim.Adam(judge.parameters(), lr=2e-4)
    makers = torch.optim.Adam(maker.parameters(), lr=2e-4)
    folder = tempfile.mkdtemp()

    def step(epoch: int, number: int) -> None:
        del epoch
        real = images[32 * number : 32 * number + 32]
        fake = maker(torch.randn(len(real), 32))
        loss = functional.softplus(-judge(real)).mean()
        _learn(judge, judges, loss + functional.softplus(judge(fake.detach())).mean())
        _learn(maker, makers, functional.softplus(-judge(fake)).mean())

    def after(epoch: int) -> bool:
        if epoch % 6 == 5:
            with torch.no_grad():
                torch.save(maker(torch.randn(512, 32)), Path(folder) / "samples.pt")
        return False

    return Training(epochs=36, batches=20, passes=3, step=step, after=after)


def unfrozen() -> Training:
    """Fine-tuning: only the head learns for eight epochs, then all layers do."""
    tokens = torch.randint(0, 256, (256, 48))
    labels = (tokens[:, 0] > 127).long()
    model = _transformer(96, 3)
    head = nn.Linear(256, 2)
    optimiser = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=1e-3)

    def step(epoch: int, number: int) -> None:
        part = slice(16 * (number % 16), 16 * (number % 16) + 16)
        with torch.set_grad_enabled(epoch >= 8):
            found = model(tokens[part]).mean(1)
        _learn(head, optimiser, functional.cross_entropy(head(found), labels[part]))

    return Training(epochs=30, batches=24, passes=8, step=step)


def compiled() -> Training:
    """A network that ``torch.compile`` turns into machine code in its first step."""
    images, labels = _images(1024, 24)
    plain = _convolutions(12)
    model = torch.compile(plain)
    optimiser = torch.optim.SGD(plain.parameters(), lr=0.02)

    def step(epoch: int, number: int) -> None:
        del epoch
        part = slice(32 * number, 32 * number + 32)
        _learn(plain, optimiser, functional.cross_entropy(model(images[part]), labels[part]))

    return Training(epochs=40, batches=32, passes=5, step=step)


def prepared() -> Training:
    """Images whose filtered forms are computed when they are first asked for, and then kept."""
    images, labels = _images(640)
    kept: dict[int, torch.Tensor] = {}
    model = _convolutions(16)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.02)

    def filtered(number: int) -> torch.Tensor:
        if number not in kept:
            batch = images[16 * number : 16 * number + 16]
            for _ in range(300):
                batch = torch.fft.ifft2(torch.fft.fft2(batch) * 0.999).real
            kept[number] = batch
        return kept[number]

    def step(epoch: int, number: int) -> None:
        del epoch
        loss = functional.cross_entropy(model(filtered(number)), labels[16 * number :][:16])
        _learn(model, optimiser, loss)

    def after(epoch: int) -> bool:
        if epoch % 5 == 4:
            with torch.no_grad():
                for _ in range(4):
                    model(images[:256])
        return False

    return Training(epochs=40, batches=40, passes=4, step=step, after=after)


TRAININGS: dict[str, Callable[[], Training]] = {
    one.__name__: one
    for one in (
        cnn, unet, transformer, mlp, gru, autoencoder, graph, loader, augmented, growing, bfloat16,
        contrastive, adversarial, unfrozen, compiled, prepared,
    )
}  # fmt: skip
