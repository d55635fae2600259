import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgym.agents import _operators as operators
from archgym.space import DesignSpace, Parameter


def space_of(cardinalities):
    return DesignSpace(
        [
            Parameter(f"p{j}", tuple(range(c)), ordered=j % 2 == 0)
            for j, c in enumerate(cardinalities)
        ]
    )


spaces = st.lists(st.integers(1, 9), min_size=1, max_size=6).map(space_of)
seeds = st.integers(0, 2**32 - 1)


@given(spaces, seeds)
def test_mutate_changes_every_masked_gene_that_has_another_value_and_no_other(space, seed):
    rng = np.random.default_rng(seed)
    rows = space.sample(20, rng)
    mask = rng.random(rows.shape) < 0.5
    mutated = operators.mutate(space, operators.ordered_mask(space), rows, mask, rng)
    space.validate(mutated)
    assert np.array_equal(mutated != rows, mask & (space.cardinalities > 1))


def test_mutate_reaches_every_value_and_prefers_steps_where_ordered():
    space = space_of((6, 6))
    rows = np.full((4000, 2), 3)
    rng = np.random.default_rng(0)
    mutated = operators.mutate(
        space, operators.ordered_mask(space), rows, np.ones_like(rows, bool), rng
    )
    counts = [np.bincount(column, minlength=6) / 4000 for column in mutated.T]
    assert counts[0] == pytest.approx([0.1, 0.1, 0.35, 0.0, 0.35, 0.1], abs=0.04)
    assert counts[1] == pytest.approx([0.2, 0.2, 0.2, 0.0, 0.2, 0.2], abs=0.04)


@given(spaces, seeds, st.integers(1, 8))
def test_pick_genes_marks_the_count_asked_for_as_far_as_there_are_genes(space, seed, count):
    rng = np.random.default_rng(seed)
    mask = operators.pick_genes(space, space.sample(10, rng), count, rng)
    movable = int((space.cardinalities > 1).sum())
    assert (mask.sum(axis=1) == min(count, movable)).all()
    assert not mask[:, space.cardinalities == 1].any()


def test_pick_genes_leaves_inert_genes_alone():
    space = DesignSpace([Parameter("a", (0, 1)), Parameter("b", tuple(range(8)), when={"a": (1,)})])
    rng = np.random.default_rng(0)
    mask = operators.pick_genes(space, np.zeros((50, 2), np.int64), 1, rng)
    assert mask[:, 0].all()
    assert not mask[:, 1].any()


@given(spaces, seeds, st.integers(1, 40))
def test_balanced_sample_uses_the_values_of_a_parameter_equally_often(space, seed, n):
    rows = space.validate(operators.balanced_sample(space, n, np.random.default_rng(seed)))
    for column, cardinality in zip(rows.T, space.cardinalities, strict=True):
        counts = np.bincount(column, minlength=cardinality)
        assert counts.max() - counts.min() <= 1


def test_propose_new_replaces_what_was_seen_and_repetitions_within_a_batch():
    space = space_of((8, 8, 8))
    rng = np.random.default_rng(0)
    seen = operators.Seen()
    old = space.sample(20, rng)
    seen.add(old)
    rows = np.concatenate([old, old])
    new = operators.propose_new(space, rows, seen, rng, lambda r, _: space.sample(len(r), rng))
    assert len(np.unique(new, axis=0)) == 40
    assert not {row.tobytes() for row in old} & {row.tobytes() for row in new}


def test_propose_new_lets_a_repetition_through_where_the_space_is_used_up():
    space = space_of((2,))
    rng = np.random.default_rng(0)
    rows = operators.propose_new(
        space, space.sample(5, rng), operators.Seen(), rng, lambda r, _: 1 - r
    )
    assert set(rows[:, 0]) == {0, 1}
