import math
from typing import Annotated

import pytest

from archgym.hyperparameters import Choice, Hyperparameter, Range, declared, resolve


class Searcher:
    def __init__(
        self,
        space,
        seed=0,
        count: Annotated[int, Range(1, 64, log=True)] = 8,
        rate: Annotated[float, Range(0.0, 1.0)] = 0.5,
        mode: Annotated[str, Choice(("fast", "slow"))] = "fast",
        free: bool = True,
    ):
        pass


def refused(**given):
    with pytest.raises(ValueError) as error:
        resolve("searcher", Searcher, given)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_declarations_are_read_from_the_constructor():
    table = declared(Searcher)
    assert table == {
        "count": Hyperparameter("count", int, 8, Range(1, 64, log=True)),
        "rate": Hyperparameter("rate", float, 0.5, Range(0.0, 1.0)),
        "mode": Hyperparameter("mode", str, "fast", Choice(("fast", "slow"))),
        "free": Hyperparameter("free", bool, True, None),
    }
    assert list(table) == ["count", "rate", "mode", "free"]


def test_descriptions_are_plain_data():
    described = {name: each.describe() for name, each in declared(Searcher).items()}
    assert described["count"] == {
        "name": "count",
        "type": "int",
        "default": 8,
        "low": 1,
        "high": 64,
        "log": True,
    }
    assert described["mode"]["choices"] == ["fast", "slow"]
    assert described["free"] == {"name": "free", "type": "bool", "default": True}


def test_defaults_fill_what_is_not_given():
    resolved = resolve("searcher", Searcher, {"rate": 0.25})
    assert resolved == {"count": 8, "rate": 0.25, "mode": "fast", "free": True}


def test_ends_of_a_range_belong_to_it():
    assert resolve("searcher", Searcher, {"count": 1})["count"] == 1
    assert resolve("searcher", Searcher, {"count": 64})["count"] == 64


def test_a_whole_number_is_a_float_where_one_is_expected():
    rate = resolve("searcher", Searcher, {"rate": 1})["rate"]
    assert rate == 1.0
    assert type(rate) is float


@pytest.mark.parametrize("value", [0, 65])
def test_outside_the_range(value):
    assert refused(count=value) == (f"agent 'searcher': count: value {value} is outside 1..64")


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.001])
def test_floats_outside_the_range(value):
    assert "is outside 0.0..1.0" in refused(rate=value)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("count", 2.0, "int"),
        ("count", True, "int"),
        ("count", "8", "int"),
        ("count", None, "int"),
        ("rate", "0.5", "float"),
        ("rate", False, "float"),
        ("mode", 1, "str"),
        ("free", 1, "bool"),
    ],
)
def test_wrong_types(name, value, kind):
    assert refused(**{name: value}) == (
        f"agent 'searcher': {name}: value {value!r} is not of type {kind}"
    )


def test_unknown_choices_and_names_show_the_closest():
    assert "mode: unknown name 'fats'; did you mean 'fast'? Allowed: fast, slow." in refused(
        mode="fats"
    )
    assert "hyperparameter: unknown name 'cuont'; did you mean 'count'?" in refused(cuont=3)
