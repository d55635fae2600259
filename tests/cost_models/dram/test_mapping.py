"""Address mappings: bit fields, XORed fields, and the named ones for devices of any size."""

import csv
import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgym.cost_models.dram import AddressMapping, DramDevice, DramSimulator, load_device
from archgym.cost_models.dram import policy_row as policy
from archgym.cost_models.dram.mapping import NAMED_MAPPINGS
from archgym.cost_models.dram.trace_formats import load_trace

DDR3 = load_device("ddr3-1600-1gb-x8")
DDR4 = load_device("ddr4-2400-8gb-x8")


def organised(**counts: int) -> DramDevice:
    """DDR4-2400 in another organisation."""
    return dataclasses.replace(DDR4, organisation=dataclasses.replace(DDR4.organisation, **counts))


@st.composite
def small_devices(draw: Any) -> DramDevice:
    """Devices of at most 2^13 bursts, of every shape."""
    counts = {
        name: 1 << draw(st.integers(0, most))
        for name, most in (("channels", 2), ("ranks", 2), ("bank_groups", 2), ("rows", 3))
    }
    columns = 1 << draw(st.integers(6, 7))
    counts["banks_per_group"] = 1 << draw(st.integers(0, 1))
    # Half as wide, a burst is half a line.
    return organised(**counts, columns=columns, devices_per_rank=draw(st.sampled_from([4, 8])))


@settings(deadline=None, max_examples=60)
@given(device=small_devices(), name=st.sampled_from(sorted(NAMED_MAPPINGS)))
def test_named_mappings_give_every_burst_a_place_of_its_own(device: DramDevice, name: str) -> None:
    mapping = AddressMapping.named(name, device)
    step = device.request_bytes
    place = mapping.decode(np.arange(0, device.capacity_bytes, step))
    o = device.organisation
    number = np.zeros_like(place.row)
    for values, count in (
        (place.channel, o.channels),
        (place.rank, o.ranks),
        (place.bankgroup, o.bank_groups),
        (place.bank, o.banks_per_group),
        (place.row, o.rows),
        (place.column // o.burst_length, o.columns // o.burst_length),
    ):
        assert values.min() >= 0
        assert values.max() < count
        number = number * count + values
    assert np.array_equal(np.sort(number), np.arange(device.capacity_bytes // step))
    assert (place.column % o.burst_length == 0).all()
    # A line lies in one row, and all bytes of a burst in one place.
    lines = vars(mapping.decode(np.arange(place.row.size) * step // 64 * 64))
    for field, values in vars(place).items():
        assert field == "column" or np.array_equal(values, lines[field])
    within = mapping.decode(np.arange(0, device.capacity_bytes, step) + step - 1)
    assert np.array_equal(within.row, place.row)
    assert np.array_equal(within.column // o.burst_length, place.column // o.burst_length)


def places(name: str, lines: list[int], **counts: int) -> list[tuple[int, ...]]:
    """(channel, rank, bank group, bank, row) of some 64-byte lines."""
    place = AddressMapping.named(name, organised(**counts)).decode(np.array(lines) * 64)
    fields = (place.channel, place.rank, place.bankgroup, place.bank, place.row)
    return list(zip(*(values.tolist() for values in fields), strict=True))


def test_where_neighbours_go() -> None:
    two = {"channels": 2, "ranks": 2}
    # 128 bursts per row: line 256 follows a row in each of two channels.
    assert places("RoBaRaCoCh", [0, 1, 2, 256, 512], **two) == [
        (0, 0, 0, 0, 0),
        (1, 0, 0, 0, 0),
        (0, 0, 0, 0, 0),
        (0, 1, 0, 0, 0),
        (0, 0, 1, 0, 0),
    ]
    assert places("RoBaRaCoBgCh", [0, 2, 4, 8], **two) == [
        (0, 0, 0, 0, 0),
        (0, 0, 1, 0, 0),
        (0, 0, 2, 0, 0),
        (0, 0, 0, 0, 0),
    ]
    assert places("RoCoBaRaCh", [1, 2, 4, 16, 64], **two) == [
        (1, 0, 0, 0, 0),
        (0, 1, 0, 0, 0),
        (0, 0, 1, 0, 0),
        (0, 0, 0, 1, 0),
        (0, 0, 0, 0, 0),
    ]
    assert places("BaRoRaCoCh", [1, 256, 512], **two) == [
        (1, 0, 0, 0, 0),
        (0, 1, 0, 0, 0),
        (0, 0, 0, 0, 1),
    ]
    gib = 1 << 24
    assert places("ChRaBaRoCo", [127, 128, 4 * gib, 8 * gib, 16 * gib], **two) == [
        (0, 0, 0, 0, 0),
        (0, 0, 0, 0, 1),
        (0, 0, 2, 0, 0),
        (0, 1, 0, 0, 0),
        (1, 0, 0, 0, 0),
    ]
    assert places("MOP", [3, 4, 8, 16, 64, 256], **two) == [
        (0, 0, 0, 0, 0),
        (1, 0, 0, 0, 0),
        (0, 1, 0, 0, 0),
        (0, 0, 1, 0, 0),
        (0, 0, 0, 1, 0),
        (0, 0, 0, 0, 0),
    ]


def test_rows_of_one_bank_are_permuted_over_all() -> None:
    rows = [2048 * row for row in range(16)]  # 16 banks of 128 bursts: the next row of a bank
    assert len({place[2:4] for place in places("RoBaRaCoCh", rows)}) == 1
    assert len({place[2:4] for place in places("Permutation", rows)}) == 16
    assert places("Permutation", [2048 * 5])[0] == (0, 0, 1, 1, 5)


MOP_RUNS = ("bank_conflict", "stream_write", "strided")


@pytest.mark.parametrize("name", MOP_RUNS)
def test_mop4clxor_is_ramulators(reference_dir: Any, name: str) -> None:
    folder = reference_dir / "dram"
    with (folder / "ramulator21_dramsim3.csv").open() as file:
        row = next(
            row
            for row in csv.DictReader(file)
            if row["config"] == "C8_2400_1R_open_mop4clxor" and row["trace"] == name
        )
    trace = load_trace(folder / "traces" / f"{name}.csv.gz")
    timing = dataclasses.replace(DDR4.timing, tRFC=433, tREFI=9364)
    device = dataclasses.replace(DDR4, timing=timing)
    mapping = AddressMapping.named("MOP4CLXOR", device)
    simulator = DramSimulator(device, trace, mapping=mapping, controller="ramulator")
    result = simulator.run([policy("ramulator")])
    assert result.total_time_ns[0] * 1000 / device.tCK_ps == pytest.approx(int(row["cycles_total"]))
    for count in ("n_act", "n_rd", "n_wr", "n_ref", "row_hits", "row_misses", "row_conflicts"):
        assert getattr(result, count)[0] == int(row[count]), count


def test_devices_without_such_a_mapping() -> None:
    with pytest.raises(ValueError, match=r"'MOP' needs rows of 256 bytes, .* has rows of 128"):
        AddressMapping.named("MOP", organised(columns=16))
    with pytest.raises(ValueError, match="field channel has 3 values, must be a power of two"):
        AddressMapping.named("RoBaRaCoCh", organised(channels=3))
    with pytest.raises(ValueError, match=r"'mop4clxr' is unknown.*did you mean 'MOP4CLXOR'"):
        AddressMapping.named("mop4clxr", DDR4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bank^rwo:0", "field 'rwo' is unknown, .*did you mean 'row'"),
        ("bank^row", "part 'bank\\^row' must be field\\^source:bit"),
        ("bank^bankgroup:0", "bank cannot be XORed with 'bankgroup', allowed are row, column"),
        ("row^row:0", "row cannot be XORed with 'row', allowed are column"),
        ("column^row:0", "column cannot be XORed"),
    ],
)
def test_bad_hashes(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AddressMapping.parse(f"row:16 bank:2 bankgroup:2 column:10 offset:3 {text}")


def test_hashes_are_read_from_text() -> None:
    text = "row:16 bank:2 bankgroup:2 column:10 offset:3 bankgroup^row:0 bank^row:2"
    one, other = AddressMapping.parse(text), AddressMapping.named("Permutation", DDR4)
    address = np.random.default_rng(0).integers(0, DDR4.capacity_bytes, 1000)
    for ours, theirs in zip(
        vars(one.decode(address)).values(), vars(other.decode(address)).values(), strict=True
    ):
        assert np.array_equal(ours, theirs)


def test_mapping_decodes_bit_fields():
    place = AddressMapping.parse(DDR3.mapping).decode(np.array([0x3B22EDC0]))
    address = 0x3B22EDC0
    assert place.column[0] == address >> 3 & 1023
    assert place.bank[0] == address >> 13 & 7
    assert place.row[0] == address >> 16
    assert place.rank[0] == place.bankgroup[0] == place.channel[0] == 0


def test_mapping_joins_split_fields():
    mapping = AddressMapping.parse("row:2 bank:1 row:3 column:1")
    place = mapping.decode(np.array([0b1011101]))
    assert (place.row[0], place.bank[0], place.column[0]) == (0b10110, 1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rwo:14", "did you mean 'row'"),
        ("row", "must be field:bits"),
        ("row:x", "must be field:bits"),
    ],
)
def test_bad_mappings(text, message):
    with pytest.raises(ValueError, match=message):
        AddressMapping.parse(text)


def test_mapping_must_fit_the_device():
    with pytest.raises(ValueError, match="field row has 13 bits, must have 14 for 16384"):
        AddressMapping.parse("row:13 bank:3 column:10 offset:3").check(DDR3)
    two = dataclasses.replace(DDR3, organisation=dataclasses.replace(DDR3.organisation, ranks=2))
    with pytest.raises(ValueError, match="field rank has 0 bits, must have 1 for 2"):
        AddressMapping.parse(DDR3.mapping).check(two)
