"""The text that `train_kjv_lm.py` learns: chapters, their split, and a byte-level BPE tokenizer.

The King James text comes from Debian's `bible-kjv-text` (data) through `bible` (package
`bible-kjv`). Its copyright has expired; the data file's own legend is `LEGEND`, which has to stay
with it. The program is GPL and no part of what is shipped.
"""

from __future__ import annotations

import re
import subprocess
from typing import Any

import numpy as np

LEGEND = (
    "This file is provided for unrestricted use provided that this legend is included on all tape "
    "media and as a part of the software program in whole or part. Users may copy, modify or "
    "distribute this file at will. -- Chip Chapin, September 4, 1989"
)
"""What Debian's copyright file of `bible-kjv-text` asks to be passed on with the text."""

CHAPTERS, VERSES = 1_189, 31_102
"""In the King James text; another count means that the program answered something else."""

SPLITS = {"validation": 7, "test": 17}
"""Chapters whose index modulo 20 is this belong to the split; all others train."""


def read_chapters() -> list[str]:
    """The text of each chapter in the order of the books, a verse per line.

    Raises:
        ValueError: If the answer is not the whole text.
    """
    output = subprocess.run(
        ["bible", "-f"], input="gen1:1-rev22:21\n", capture_output=True, text=True, check=True
    ).stdout
    chapters: dict[str, dict[int, str]] = {}
    # By number: the program greets with the first verse before it answers with it.
    for found in re.finditer(r"^(\d?[A-Za-z]+\d+):(\d+) (.*)$", output, re.MULTILINE):
        chapters.setdefault(found[1], {})[int(found[2])] = found[3].strip()
    verses = sum(len(lines) for lines in chapters.values())
    if (len(chapters), verses) != (CHAPTERS, VERSES):
        raise ValueError(
            f"bible -f gave {len(chapters)} chapters of {verses} verses; "
            f"the text has {CHAPTERS} of {VERSES}"
        )
    return ["\n".join(lines.values()) + "\n\n" for lines in chapters.values()]


def split_chapters(chapters: list[str]) -> dict[str, list[str]]:
    """Chapters by split: `train`, `validation` and `test`."""
    by_remainder = {remainder: name for name, remainder in SPLITS.items()}
    parts: dict[str, list[str]] = {"train": [], **{name: [] for name in SPLITS}}
    for index, chapter in enumerate(chapters):
        parts[by_remainder.get(index % 20, "train")].append(chapter)
    return parts


def train_tokenizer(chapters: list[str], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer (PyPI `tokenizers`) that has seen only these chapters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        chapters,
        trainers.BpeTrainer(
            # Without the whole byte alphabet, most of which this text never uses.
            vocab_size=vocabulary,
            show_progress=False,
        ),
    )
    return tokenizer


def tokenize(parts: dict[str, list[str]], tokenizer: Any) -> dict[str, np.ndarray]:
    """Token ids (uint16) of each split, its chapters one after another."""
    return {
        name: np.concatenate([tokenizer.encode(chapter).ids for chapter in chapters]).astype(
            np.uint16
        )
        for name, chapters in parts.items()
    }
