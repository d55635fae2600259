"""`archgym network`."""

import json

import pytest

from archgym.cli import main


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return caught.value.code, capsys.readouterr()


def test_list(capsys):
    status, printed = run(capsys, "network", "list")
    assert status == 0
    assert "resnet50" in printed.out
    assert "25,557,032" in printed.out


def test_show(capsys):
    status, printed = run(capsys, "network", "show", "llama-3-8b", "--stage", "decode")
    assert status == 0
    assert "layer.attention" in printed.out
    assert "8,030,261,248" in printed.out


def test_show_as_json_adds_up(capsys):
    _, printed = run(capsys, "network", "show", "resnet18", "--batch", "2", "--json")
    told = json.loads(printed.out)
    assert sum(each["count"] * each["macs"] for each in told["operators"]) == told["macs"]
    assert told["operators"][0]["reads"] == ["image"]


def test_refusals_are_one_line(capsys):
    status, printed = run(capsys, "network", "show", "resnet5")
    assert status == 2
    assert printed.err.count("\n") == 1
    assert "did you mean" in printed.err
