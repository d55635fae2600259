"""Train the small convolutional network that `archgym.cost_models.measured` ships.

For developers, with torch; half a minute of one thread:

    python tools/train_digits_cnn.py cost_models/measured/data/digits-cnn.npz
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from model_entries import write_entry
from torch import nn
from torch.nn import functional as F

from archgym.cost_models.measured.digits import STEPS, DigitsCnn, digits, load_digits_cnn

TRAIN, VALIDATION = 1_000, 400
"""Images in the first two splits; the other 397 are the test split."""
CALIBRATION = 200
"""Of the training images, whose indices ship."""
EPOCHS, BATCH, RATE, DECAY, SEED = 40, 50, 3e-3, 1e-2, 1


def model() -> nn.Sequential:
    """The network of `archgym.cost_models.measured.digits`, channels first as torch has it."""
    conv1, conv2, conv3, fc1, fc2 = (
        nn.Conv2d(s.channels, s.rows, 3, padding=1) if s.size else nn.Linear(s.channels, s.rows)
        for s in STEPS
    )
    layers = (conv1, nn.ReLU(), conv2, nn.ReLU(), nn.MaxPool2d(2), conv3, nn.ReLU())
    # Flattened with the channels last, so that a column of fc1 is (row, column, channel).
    return nn.Sequential(
        *layers, nn.MaxPool2d(2), ChannelsLast(), nn.Flatten(), fc1, nn.ReLU(), fc2
    )


class ChannelsLast(nn.Module):
    """(n, channels, rows, columns) to (n, rows, columns, channels)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Permute."""
        return x.permute(0, 2, 3, 1)


def train(images: torch.Tensor, labels: torch.Tensor) -> nn.Sequential:
    """AdamW with a rate that falls linearly to zero."""
    torch.manual_seed(SEED)
    network = model()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * len(images) // BATCH
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(images[rows]), labels[rows]).backward()
            optimizer.step()
            schedule.step()
    return network


def export(network: nn.Sequential, order: np.ndarray, path: Path) -> None:
    """Write parameters in half precision, and the indices of the images in each split."""
    arrays: dict[str, np.ndarray] = {
        "validation": order[TRAIN : TRAIN + VALIDATION],
        "test": order[TRAIN + VALIDATION :],
        "calibration": order[:CALIBRATION],
    }
    trained = [m for m in network if isinstance(m, (nn.Conv2d, nn.Linear))]
    for step, module in zip(STEPS, trained, strict=True):
        weight = module.weight.detach()
        if weight.ndim == 4:  # to (rows, filter row, filter column, channels)
            weight = weight.permute(0, 2, 3, 1).flatten(1)
        arrays[f"{step.kind}.weight"] = weight.numpy().astype(np.float16)
        arrays[f"{step.kind}.bias"] = module.bias.detach().numpy().astype(np.float16)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


def describe(network: DigitsCnn) -> dict[str, Any]:
    """What `models.yaml` says about the network, measured on what was written."""
    entry: dict[str, Any] = {
        "parameters": sum(w.size for w in network.weights.values()) + network.other_parameters,
        "recipe": {
            "epochs": EPOCHS,
            "batch": BATCH,
            "adamw_lr": RATE,
            "adamw_decay": DECAY,
            "seed": SEED,
        },
        "tools": f"torch {torch.__version__}, one thread, float32",
    }
    for split in ("validation", "test"):
        result = network.evaluate(split=split)
        assert result.correct is not None
        entry[f"{split}_cross_entropy"] = round(result.cross_entropy, 4)
        entry[f"{split}_right"] = round(float(result.correct.mean()), 4)
        print(split, entry[f"{split}_cross_entropy"], entry[f"{split}_right"])
    return entry


def main() -> None:
    """Train, write, and measure what was written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", type=Path, help="where to write")
    path = parser.parse_args().path
    torch.set_num_threads(1)
    images, labels = digits()
    order = np.random.default_rng(SEED).permutation(len(images)).astype(np.uint16)
    chosen = torch.from_numpy(order[:TRAIN].astype(np.int64))
    network = train(
        torch.from_numpy(images.transpose(0, 3, 1, 2))[chosen], torch.from_numpy(labels)[chosen]
    )
    export(network, order, path)
    write_entry(path.parent, "digits-cnn", describe(load_digits_cnn(path)))


if __name__ == "__main__":
    main()
