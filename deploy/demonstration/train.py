"""A real training that marks its epochs: a small network learns scikit-learn's digits on the CPU.

Each epoch sees every digit shifted by up to one pixel each way. The two lines that carbonsched
needs are the import and the loop.
"""

import sys

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from carbonsched.epochs import EpochTracker

BATCH = 32


def shifted(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """The images moved by whole pixels."""
    return np.roll(images, (down, right), axis=(1, 2)).reshape(len(images), -1)


def main(epochs: int) -> None:
    digits = load_digits()
    order = np.random.default_rng(7).permutation(len(digits.target))
    images, labels = digits.images[order] / 16, digits.target[order]
    train, test = slice(0, 1400), slice(1400, None)
    network = MLPClassifier(hidden_layer_sizes=(768, 384), random_state=7)
    for epoch in EpochTracker(epochs=epochs):
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                moved = shifted(images[train], down, right)
                for first in range(0, len(moved), BATCH):
                    batch = slice(first, first + BATCH)
                    network.partial_fit(moved[batch], labels[train][batch], classes=range(10))
        accuracy = network.score(shifted(images[test], 0, 0), labels[test])
        print(f"epoch {epoch + 1}: {100 * accuracy:.1f} % of the test digits right", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
