"""Attention on two arrays: published figures, counts by hand, and what must always hold."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.cost_models.accelerator.fusion import (
    RowMapping,
    binding_number,
    designs_of,
    fusion,
    sizes_of,
)
from archgym.cost_models.accelerator.fusion.area import area_parts_um2, area_um2
from archgym.cost_models.accelerator.fusion.energy import energy_j, energy_parts_j, word_pj
from archgym.cost_models.accelerator.fusion.linear import linear_layers
from archgym.cost_models.accelerator.fusion.presets import (
    CLOCK_HZ,
    PRESETS,
    array_sweep,
    best_mapping,
    model_sizes,
    preset,
    published_flat_mapping,
)

K = 1024
SMALL = {
    "array": 4,
    "lanes": 4,
    "buffer_bytes": 4096,
    "dram_bytes_per_s": 1e9,
    "clock_hz": 1e9,
    "word_bytes": 2,
    "exp_cycles": 7,
    "passes": 1,
    "binding": 3,
    "score_tiles": 0,
}


def _streamed(rows=1e9, **kept):
    names = [field.name for field in fields(RowMapping) if field.name != "rows"]
    return RowMapping(np.float64(rows), **{name: np.float64(kept.get(name, 0)) for name in names})


def _run(name, model, context):
    sizes = model_sizes([model], [context])
    return fusion(sizes, preset(name), published_flat_mapping(sizes), divide=True)


# Figures of the artifact of FuseMax (MICRO 2024), attn-*.csv: cycles at 940 MHz, bytes.
@pytest.mark.parametrize(
    ("name", "model", "context", "cycles", "traffic"),
    [
        ("flat", "BERT", K, 12_582_912, 1_308_622_848),
        ("cascade", "BERT", K, 14_413_824, 402_653_184),
        ("architecture", "BERT", K, 5_627_904, 402_653_184),
        ("fusemax", "BERT", K, 1_892_352, 402_653_184),
        ("fusemax", "BERT", 4 * K, 27_918_336, 1_610_612_736),
        ("fusemax", "BERT", 64 * K, None, 38_654_705_664),
        ("flat", "BERT", 256 * K, None, 435_458_144_206_848),
        ("flat", "XLM", K, None, 2_684_354_560),
        ("unfused", "BERT", K, None, 6_845_104_128),
        ("unfused", "XLM", K * K, None, 9_016_545_103_577_088),
    ],
)
def test_published_figures(name, model, context, cycles, traffic):
    found = _run(name, model, context)
    assert found.dram_bytes[0, 0] == traffic
    if cycles is not None:
        assert found.latency_s[0, 0] * CLOCK_HZ == pytest.approx(cycles, rel=1e-14)
    assert found.overflow_bytes[0, 0] == 0


def test_published_latencies_and_use():
    # attn-*.csv of the artifact.
    assert _run("flat", "BERT", 256 * K).latency_s[0, 0] == pytest.approx(1013.88, rel=1e-14)
    assert _run("unfused", "BERT", K).latency_s[0, 0] == pytest.approx(0.02182357659574468)
    fusemax = _run("fusemax", "BERT", K * K)
    assert fusemax.latency_s[0, 0] == pytest.approx(1891.8274331234043, rel=1e-14)
    assert fusemax.array_use[0, 0] == pytest.approx(0.9926412317445941, rel=1e-14)
    assert fusemax.lanes_use[0, 0] == pytest.approx(1.0)
    # Of 32 MiB and 256 KiB of scores and tiles, 1 / 129 does not fit.
    assert _run("flat", "T5", 4 * K).spilled[0, 0] == pytest.approx(1 / 129)


# attn-*.csv of the artifact, in pJ.
@pytest.mark.parametrize(
    ("name", "model", "context", "energy", "error"),
    [
        ("unfused", "BERT", 16 * K, 661185750924483.6, 1e-3),
        ("flat", "XLM", 4 * K, 92439452690514.44, 1e-3),
        ("cascade", "BERT", K, 2241395704198.6035, 1e-3),
        ("architecture", "T5", 64 * K, 5257026387339420.0, 1e-3),
        ("fusemax", "BERT", K, 1950645149855.2659, 1e-3),
        ("fusemax", "XLM", K * K, 5.274894234596324e18, 6e-3),
    ],
)
def test_published_energies(name, model, context, energy, error):
    sizes = model_sizes([model], [context])
    mapping = published_flat_mapping(sizes)
    found = fusion(sizes, preset(name), mapping, divide=True)
    ours = energy_j(sizes, preset(name), found, mapping)[0, 0]
    assert 1e12 * ours == pytest.approx(energy, rel=error)


def test_published_layers_and_arrays():
    layers = linear_layers(np.array([65536.0]), 2048.0, 8192.0, preset("fusemax"))
    # end2end-proposal.csv, XLM 1K.
    assert layers.dram_bytes[0, 0] == 10_234_101_760
    assert layers.latency_s[0, 0] == pytest.approx(0.05354430638297873, rel=1e-14)
    # pareto.csv: BERT at 256K; the largest array needs twice the blocks.
    designs, found = array_sweep(model_sizes(["BERT"], [256 * K]), [16, 256, 512])
    assert found.dram_bytes[:, 0].tolist() == [422264004673536, 26439818674176, 6648609374208]
    assert found.latency_s[:, 0] == pytest.approx(
        [30266.668803268083, 118.2793728, 29.583229276595745], rel=1e-14
    )
    assert designs.buffer_bytes[2] == 2 * 512 * (128 + 4 * 130)
    assert area_um2(designs, "sweep") == pytest.approx(
        [5441230.48908, 1220894441.8412402, 4885081008.9724], rel=0.01
    )


def test_one_pass_counted_tile_by_tile():
    sizes = sizes_of(batch=1, heads=2, queries=40, keys=24, key_size=3, value_size=5)
    for buffer in (150, 300, 500, 1000, 4096):
        designs = designs_of(**{**SMALL, "buffer_bytes": buffer})
        group = (buffer - 2 * 4 * 8) // (2 * 4 * 10)
        words = 0
        for _head in range(2):
            for start in range(0, 10, max(group, 1)):
                blocks = min(max(group, 1), 10 - start)
                words += blocks * 4 * (3 + 5) + 24 * (3 + 5)
        assert fusion(sizes, designs).dram_bytes[0, 0] == 2 * words
        divided = fusion(sizes, designs, divide=True).kv_passes[0, 0]
        assert 10 % divided == 0 and divided >= fusion(sizes, designs).kv_passes[0, 0]


def test_chosen_blocks_are_groups_or_do_not_fit():
    sizes = sizes_of(batch=1, heads=2, queries=40, keys=24, key_size=3, value_size=5)
    designs = designs_of(**{**SMALL, "buffer_bytes": 500})
    fitting = (500 - 2 * 4 * 8) // (2 * 4 * 10)
    free = fusion(sizes, designs)
    chosen = fusion(sizes, designs, blocks=np.array([[float(fitting)]]))
    for field in fields(free):
        assert np.array_equal(getattr(free, field.name), getattr(chosen, field.name))
    fewer = fusion(sizes, designs, blocks=np.ones((1, 1)))
    assert fewer.kv_passes[0, 0] == 10 and fewer.overflow_bytes[0, 0] == 0
    more = fusion(sizes, designs, blocks=np.array([[fitting + 1.0]]))
    assert more.overflow_bytes[0, 0] == 2 * 4 * (8 + (fitting + 1) * 10) - 500
    assert fusion(sizes, designs, blocks=np.array([[64.0]])).kv_passes[0, 0] == 1


def test_more_lanes_take_scores_and_outputs_side_by_side():
    sizes = sizes_of(batch=1, heads=1, queries=8, keys=16, key_size=4, value_size=6)
    base = {**SMALL, "binding": 1, "score_tiles": 4, "buffer_bytes": 1e9, "dram_bytes_per_s": 1e15}
    for lanes in (2, 4, 8, 32):
        designs = designs_of(**{**base, "lanes": lanes})

        def cycles(operations, lanes=lanes):
            return -(-operations * 4 // lanes)

        # Two blocks of queries by four of keys; exponentials of 7 cycles.
        tile = 9 * cycles(4) + 10 * cycles(1) + 2 * cycles(6) + cycles(6) / 4
        assert fusion(sizes, designs).lanes_s[0, 0] * 1e9 == pytest.approx(8 * tile)


def test_buffers_are_cactis_up_to_a_mebibyte_and_fitted_from_sixteen():
    sizes = 2.0 ** np.array([16, 20, 22, 24, 25, 26])
    read, write = word_pj(sizes)
    # CACTI 7 at 45 nm per 8 bytes; the fitted words.
    assert read[[0, 1, 3, 4]] == pytest.approx([9.4532 / 4, 46.9303 / 4, 45.077, 93.25])
    assert write[[0, 1, 3, 4]] == pytest.approx([39.8896 / 4, 158.593 / 4, 62.298, 105.82])
    assert read[2] == pytest.approx(np.sqrt(46.9303 / 4 * 45.077))
    assert read[5] == pytest.approx(93.25**2 / 45.077)
    for values in word_pj(2.0 ** np.arange(10, 28)):
        assert (np.diff(values) > 0).all()


def test_parts_of_energy_and_area_add_up():
    sizes = model_sizes(["BERT", "XLM"], [K, 64 * K])
    for name in PRESETS:
        mapping, designs = published_flat_mapping(sizes), preset(name)
        found = fusion(sizes, designs, mapping)
        parts = energy_parts_j(sizes, designs, found, mapping)
        assert sum(parts.values()) == pytest.approx(energy_j(sizes, designs, found, mapping))
        assert all((values >= 0).all() for values in parts.values())
        assert sum(area_parts_um2(designs).values()) == pytest.approx(area_um2(designs))
    with pytest.raises(ValueError, match="registers: 'none' is not allowed"):
        area_um2(preset("flat"), "none")


@pytest.mark.parametrize("stays", [0, 1])
def test_streamed_rows_counted_tile_by_tile(stays):
    sizes = sizes_of(batch=1, heads=1, queries=16, keys=24, key_size=3, value_size=4)
    designs = designs_of(**{**SMALL, "passes": 3, "binding": 1, "buffer_bytes": 1e9})
    mapping = _streamed(rows=8, keep_scores=1, weights_stay=stays)
    words = 0
    if stays:
        for _rows in range(2):
            for key in range(6):
                words += 4 * (3 + 4) + 8 * 3  # keys and values once, all queries past them
                words += 8 * 4 * (2 if key else 1)  # partial sums
    else:
        for _queries in range(4):
            words += 6 * (4 * 3 + 4 * 3 + 4 * 4) + 4 * 4
    assert fusion(sizes, designs, mapping).dram_bytes[0, 0] == 2 * words


def test_cascades_of_two_passes_cost_less_than_three_where_scores_spill():
    sizes = model_sizes(["BERT"] * 3, [16 * K, 64 * K, 256 * K])
    for binding in ("apart", "interleaved"):
        moved = []
        for passes in (1, 2, 3):
            base = {k: v[0] for k, v in vars(preset("flat")).items()}
            base |= {"passes": passes, "binding": binding_number(binding), "buffer_bytes": 2**22}
            designs = designs_of(**base)
            found = fusion(sizes, designs, best_mapping(sizes, designs))
            moved.append(found.dram_bytes[0])
        assert (moved[0] < moved[1]).all() and (moved[1] <= moved[2]).all()


def test_every_step_of_the_study_helps_at_length():
    sizes = model_sizes(["BERT", "XLM"], [256 * K, 64 * K])
    found = [
        fusion(sizes, preset(name), published_flat_mapping(sizes), divide=True).latency_s
        for name in ("cascade", "architecture", "fusemax")
    ]
    assert (found[0] > found[1]).all() and (found[1] > found[2]).all()


_WORK = st.builds(
    sizes_of,
    batch=st.integers(1, 3),
    heads=st.integers(1, 3),
    queries=st.integers(1, 60),
    keys=st.integers(1, 60),
    key_size=st.integers(1, 8),
    value_size=st.integers(1, 8),
)
_CHOICES = st.fixed_dictionaries(
    {
        "array": st.sampled_from([1, 3, 8]),
        "lanes": st.sampled_from([1, 2, 8, 16]),
        "buffer_bytes": st.integers(16, 20000),
        "passes": st.sampled_from([1, 2, 3]),
        "binding": st.integers(1, 3),
        "exp_cycles": st.integers(1, 8),
    }
)


@settings(deadline=None, max_examples=30)
@given(_WORK, _CHOICES, st.integers(0, 20000))
def test_bounds_and_growing_buffers(sizes, choice, more):
    small = designs_of(**{**SMALL, **choice})
    large = replace(small, buffer_bytes=small.buffer_bytes + more)
    mappings = [
        None if choice["passes"] == 1 else best_mapping(sizes, each) for each in (small, large)
    ]
    results = [
        fusion(sizes, each, mapping) for each, mapping in zip((small, large), mappings, strict=True)
    ]
    p, m = sizes.queries, sizes.keys
    both = sizes.key_size + sizes.value_size
    heads = sizes.batch * sizes.heads
    least = 2 * heads * (p + m) * both
    for found, each in zip(results, (small, large), strict=True):
        peak = each.array**2 * each.clock_hz
        assert (found.latency_s >= heads * p * m * both / peak * (1 - 1e-12)).all()
        assert (found.latency_s >= found.dram_bytes / each.dram_bytes_per_s * (1 - 1e-12)).all()
        assert (found.dram_bytes >= least * (1 - 1e-12)).all()
        assert (found.lanes_use <= 1 + 1e-12).all() and (found.array_use <= 1 + 1e-12).all()
    if (results[0].overflow_bytes == 0).all():
        assert (results[1].latency_s <= results[0].latency_s * (1 + 1e-12)).all()
        if choice["passes"] == 1:
            assert (results[1].dram_bytes <= results[0].dram_bytes).all()


def test_batches_are_their_entries():
    sizes = model_sizes(["BERT", "XLM", "T5"], [K, 4 * K, K])
    many = designs_of(
        **{
            name: np.concatenate([getattr(preset(each), name) for each in PRESETS])
            for name in vars(preset("flat"))
        }
    )
    mapping = published_flat_mapping(sizes)
    whole = fusion(sizes, many, mapping, divide=True)
    for i, name in enumerate(PRESETS):
        alone = fusion(sizes, preset(name), mapping, divide=True)
        for field in fields(alone):
            assert np.array_equal(getattr(whole, field.name)[i], getattr(alone, field.name)[0])


def test_torch_gives_the_same():
    torch = pytest.importorskip("torch")
    sizes = model_sizes(["BERT", "XLM"], [64 * K, 256 * K])

    def there(record):
        return replace(record, **{k: torch.asarray(np.array(v)) for k, v in vars(record).items()})

    for name in PRESETS:
        mapping = published_flat_mapping(sizes)
        here = fusion(sizes, preset(name), mapping, divide=True)
        other = fusion(there(sizes), there(preset(name)), there(mapping), divide=True)
        for field in fields(here):
            assert np.array_equal(getattr(here, field.name), getattr(other, field.name).numpy())
        energy = energy_j(there(sizes), there(preset(name)), other, there(mapping))
        ours = energy_j(sizes, preset(name), here, mapping)
        assert energy.numpy() == pytest.approx(ours, rel=1e-14)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"array": 0}, "array: 0 is not allowed, must be above 0"),
        ({"lanes": 2.5}, "lanes: 2.5 is not a whole number"),
        ({"passes": 4}, r"passes: 4 is not allowed. Allowed: 1, 2, 3"),
        ({"binding": 9}, r"binding: 9 is not allowed. Allowed: 0, 1, 2, 3"),
        ({"binding": 0}, "passes: of binding 'unfused' must be 3"),
        ({"clock_hz": np.inf}, "clock_hz: inf is not allowed"),
        ({"clock": 1}, "field 'clock' is unknown"),
    ],
)
def test_wrong_designs_are_refused(change, said):
    with pytest.raises(ValueError, match=said):
        designs_of(**{**SMALL, **change})


def test_wrong_names_and_sizes_are_refused():
    with pytest.raises(ValueError, match="did you mean 'fusemax'"):
        preset("fuse_max")
    with pytest.raises(ValueError, match="did you mean 'stalled'"):
        binding_number("staled")
    with pytest.raises(ValueError, match="queries: 0 is not allowed, must be at least 1"):
        sizes_of(batch=1, heads=1, queries=0, keys=1, key_size=1, value_size=1)
    with pytest.raises(ValueError, match="model: unknown name 'GPT'"):
        model_sizes(["GPT"], [K])
    with pytest.raises(ValueError, match="sizes: 2 attentions are not allowed, must be one"):
        array_sweep(model_sizes(["BERT"] * 2, [K, K]), [16])
    with pytest.raises(ValueError, match="mapping: missing"):
        fusion(model_sizes(["BERT"], [K]), preset("flat"))
