"""What agents with a model of the score share: targets, expected improvement, local search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from archgym.agents._operators import Seen, keys, mutate, ordered_mask, pick_genes
from archgym.metric import FloatArray
from archgym.space import BoolArray, DesignSpace, IntArray

HALF_LOG_2PI = 0.5 * float(np.log(2.0 * np.pi))
HALF_LOG_PI_2 = 0.5 * float(np.log(0.5 * np.pi))
FAR = -1e3
"""Below this many standard deviations the asymptote of log expected improvement is more exact."""

DOUBT = 0.02
"""Least probability of being feasible, or of not being level with the best: nothing is ruled out
for good."""

GOOD = 16
"""Number of the best designs near which candidates are drawn."""

NEAR = 8
"""Number of the best designs whose surroundings a local choice is made from."""

STEPS = 30
"""Largest number of steps of a climb on the acquisition."""


def warped(scores: FloatArray) -> FloatArray:
    """Returns targets of mean 0 and variance 1 in the order of the scores `(n,)`, all finite.

    Scores below the median are replaced by normal quantiles with the spread of the better half, so
    that very poor designs do not flatten the differences between good ones (the half-rank warping
    of Song et al. 2024, arXiv:2408.11527).
    """
    middle = np.median(scores)
    better = scores[scores >= middle]
    spread = float(np.sqrt(np.mean(np.square(better - middle))))
    values = scores.copy()
    poor = scores < middle
    if spread > 0 and poor.any():
        values[poor] = middle + spread * np.minimum(_normal_quantiles(scores), 0.0)[poor]
    return _standardised(values)


def ranked(scores: FloatArray) -> FloatArray:
    """Returns targets of mean 0 and variance 1 that depend on the order of the scores `(n,)` only.

    They are normal quantiles, equal scores sharing one. The differences that are left between good
    designs count however small they are.
    """
    return _standardised(_normal_quantiles(scores))


VIEWS = ((warped, False), (ranked, True))
"""How scores become targets, and whether the choice is local, in turn.

The size of differences finds the way from afar. Ranks near the best designs go on where the
differences between those are small against the spread of the scores.
"""


def _normal_quantiles(scores: FloatArray) -> FloatArray:
    from scipy.special import ndtri

    _, rank, count = np.unique(scores, return_inverse=True, return_counts=True)
    below = np.cumsum(count) - 0.5 * (count + 1.0)
    return np.asarray(ndtri((below[rank] + 0.5) / len(scores)))


def _standardised(values: FloatArray) -> FloatArray:
    values = values - values.mean()
    deviation = float(values.std())
    return np.asarray(values / deviation if deviation > 0 else values)


def log_expected_improvement(mean: FloatArray, deviation: FloatArray, best: float) -> FloatArray:
    """Returns the log of the expected improvement on `best`, without loss by cancellation.

    Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian Optimization",
    NeurIPS 2023, arXiv:2310.20708, equation 9.

    Args:
        mean: predicted means `(n,)`, to be maximised.
        deviation: predicted standard deviations `(n,)`, positive.
        best: the value to improve on.
    """
    from scipy.special import erfcx, log_ndtr

    z = (mean - best) / deviation
    near = np.maximum(z, -1.0)
    density = np.exp(-0.5 * near * near - HALF_LOG_2PI)
    close = np.log(density + near * np.exp(log_ndtr(near)))
    tail = np.minimum(z, -1.0)
    # log(1 - x) with x the Mills ratio times |z|, close to 1 far out.
    ratio = np.log(-tail * erfcx(-tail * 0.5**0.5)) + HALF_LOG_PI_2
    with np.errstate(divide="ignore"):
        rest = np.log(-np.expm1(np.minimum(ratio, 0.0)))
    # The two leading terms of 1 - x, where the difference has no digits left.
    rest = np.where(tail < FAR, -2.0 * np.log(-tail), rest)
    away = -0.5 * z * z - HALF_LOG_2PI + rest
    return np.where(z > -1.0, close, away) + np.log(deviation)


def level_with_best(scores: FloatArray) -> BoolArray:
    """Returns which of the scores `(n,)` are the best one once more, to the last bit.

    Where a parameter has no effect, designs share a score. Around the best of them a model expects
    more that are as good, and since they might be better by its own error, an expected improvement
    goes on with them for ever. What is learned of these designs tells plateaus from slopes.
    """
    level = scores == scores.max()
    level[np.argmax(level)] = False
    return np.asarray(level)


def log_not_level(probability: FloatArray) -> FloatArray:
    """Returns the log of the share of the improvement that is left `(n,)`.

    A score that is level with the best with some probability, and else distributed as the model
    says, improves on the best in the other cases only.

    Args:
        probability: of being level with the best `(n,)`.
    """
    return np.asarray(np.log(1.0 - (1.0 - DOUBT) * probability))


def fresh(rows: IntArray, seen: Seen) -> IntArray:
    """Returns the different canonical rows `(m, d)` of `rows` that are not in `seen`."""
    found: dict[bytes, int] = {}
    for i, key in enumerate(keys(rows)):
        if key not in found and key not in seen:
            found[key] = i
    return rows[list(found.values())]


def unseen_sample(space: DesignSpace, n: int, seen: Seen, rng: np.random.Generator) -> IntArray:
    """Draws `n` rows `(n, d)` that were never seen, repeats only where a space is used up."""
    left = space.canonical_size - len(seen)
    drawn = space.canonical(space.sample(n, rng))
    if left <= 0:
        return drawn
    rows = fresh(drawn, seen)[:0]
    while len(rows) < min(n, left):
        drawn = space.canonical(space.sample(4 * n, rng))
        rows = fresh(np.concatenate([rows, drawn]), seen)
    more = rng.integers(len(rows), size=max(0, n - len(rows)))
    return np.concatenate([rows[:n], rows[more]])


def candidates(
    space: DesignSpace,
    ordered: BoolArray,
    good: IntArray,
    count: int,
    seen: Seen,
    rng: np.random.Generator,
) -> IntArray:
    """Returns about `count` new designs: uniform ones, and good ones with one to four changes.

    A space of few designs is returned as a whole.

    Args:
        space: the design space.
        ordered: `(d,)`, which parameters are ordered.
        good: designs `(k, d)` to start from, possibly none.
        count: number of designs.
        seen: what was proposed or told before.
        rng: where the designs are drawn from.
    """
    if space.size <= 2 * count:
        return fresh(space.canonical(space.enumerate(0, space.size)), seen)
    drawn = [space.sample(count if len(good) == 0 else count // 2, rng)]
    for changes in range(1, 5) if len(good) else ():
        parents = good[rng.integers(len(good), size=count // 8)]
        genes = pick_genes(space, parents, changes, rng)
        drawn.append(mutate(space, ordered, parents, genes, rng))
    return fresh(space.canonical(np.concatenate(drawn)), seen)


def surroundings(
    space: DesignSpace,
    ordered: BoolArray,
    good: IntArray,
    count: int,
    seen: Seen,
    rng: np.random.Generator,
) -> IntArray:
    """Returns new designs near good ones: their neighbours, and about `count` further changes.

    Args:
        space: the design space.
        ordered: `(d,)`, which parameters are ordered.
        good: designs `(k, d)`, at least one.
        count: number of designs with one to three changes.
        seen: what was proposed or told before.
        rng: where the designs are drawn from.
    """
    drawn = [space.neighbours(row) for row in good]
    for changes in range(1, 4):
        parents = good[rng.integers(len(good), size=count // 3)]
        genes = pick_genes(space, parents, changes, rng)
        drawn.append(mutate(space, ordered, parents, genes, rng))
    return fresh(space.canonical(np.concatenate(drawn)), seen)


def climb(
    space: DesignSpace,
    starts: IntArray,
    values: FloatArray,
    evaluate: Callable[[IntArray], FloatArray],
    seen: Seen,
    visited: Seen,
) -> None:
    """Climbs from several designs at once until no new neighbour is better.

    Args:
        space: the design space.
        starts: designs `(k, d)`.
        values: theirs `(k,)`.
        evaluate: the function to maximise; takes designs `(m, d)`, keeps what it needs of them.
        seen: designs that are passed over.
        visited: designs that were evaluated before; those evaluated now are added.
    """
    here, heights = starts.copy(), values.copy()
    for _ in range(STEPS):
        blocks = []
        for row in here:
            around = fresh(space.neighbours(row), seen)
            blocks.append(around[visited.add(around)])
        sizes = [len(block) for block in blocks]
        if sum(sizes) == 0:
            return
        found = np.split(evaluate(np.concatenate(blocks)), np.cumsum(sizes)[:-1])
        moved = [i for i, part in enumerate(found) if len(part) and part.max() > heights[i]]
        here = np.array([blocks[i][np.argmax(found[i])] for i in moved], np.int64)
        heights = np.array([found[i].max() for i in moved])


class Surrogate(Protocol):
    """A model of the score with a growing list of candidates."""

    def add(self, rows: IntArray) -> None:
        """Adds candidates `(m, d)`."""
        ...

    def values(self, first: int = 0) -> FloatArray:
        """Returns the acquisition of the candidates from number `first` on, to be maximised."""
        ...

    def believe(self, i: int) -> None:
        """Takes candidate `i` as chosen, so that the next choice differs."""
        ...


class Chooser:
    """Chooses new designs for which an acquisition is largest.

    Args:
        space: the design space.
        pool: number of random designs and changes of good ones that are looked up first.
        starts: number of designs that are climbed from for each choice.
    """

    def __init__(self, space: DesignSpace, pool: int, starts: int) -> None:
        self._ordered = ordered_mask(space)
        self._pool, self._starts = pool, starts

    def choose(
        self,
        n: int,
        space: DesignSpace,
        surrogate: Surrogate,
        good: IntArray,
        seen: Seen,
        rng: np.random.Generator,
        local: bool = False,
    ) -> IntArray:
        """Returns up to `n` different designs that are not in `seen`, fewer where none are left.

        Args:
            n: number of designs.
            space: the design space.
            surrogate: without candidates yet.
            good: designs `(k, d)` near which to look, the best first, possibly none.
            seen: what was proposed or told before.
            rng: where candidates are drawn from.
            local: whether to look near the best designs only, unless too few are left there.
        """
        rows = good[:0]
        if local:
            rows = surroundings(space, self._ordered, good[:NEAR], self._pool, seen, rng)
        if len(rows) < n:
            local = False
            rows = candidates(space, self._ordered, good, self._pool, seen, rng)
        surrogate.add(rows)
        visited = Seen()
        visited.add(rows)
        taken: list[int] = []

        def evaluate(more: IntArray) -> FloatArray:
            nonlocal rows
            surrogate.add(more)
            rows = np.concatenate([rows, more])
            return surrogate.values(len(rows) - len(more))

        starts, heights = good[: self._starts], np.full(len(good[: self._starts]), -np.inf)
        for _ in range(n):
            values = surrogate.values()
            values[taken] = -np.inf
            top = np.argsort(-values, kind="stable")[: self._starts]
            starts, heights = np.concatenate([starts, rows[top]]), np.append(heights, values[top])
            if not local:
                climb(space, starts, heights, evaluate, seen, visited)
            values = surrogate.values()
            values[taken] = -np.inf
            if len(taken) == len(rows):
                break
            taken.append(int(np.argmax(values)))
            surrogate.believe(taken[-1])
            starts, heights = starts[:0], heights[:0]
        return rows[taken]
