"""Submissions: packed the same byte for byte, read without trusting them."""

import io
import itertools
import json
import pickle
import re
import tarfile

import polars
import pyarrow
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archgym import yamlfile
from archgym.archive import Limits, entries, write_archive
from archgym.experiment import load_experiment
from archgym.results import load_results
from archgym.runner import run_experiment
from archgym.submission import (
    TEMPLATE,
    parse_description,
    read_description,
    read_submission,
    submit,
    write_template,
)
from archgym.verify import verify

FILLED = {
    "version": 1,
    "title": "Loud against random",
    "authors": ["Ada Lovelace", "Žofie Ňuhlíčková <b>"],
    "code": "https://example.org/loud",
    "description": "random search that prints",
    "tuning": "defaults",
    "hardware": "one core",
}
RUN = "runs/Outside-v0_walk_fast/loud/seed-0"


@pytest.fixture
def results(toy):
    """Results of two seeds of two agents, 40 designs each."""
    return run_experiment(load_experiment(toy), "out", workers=1).folder


@pytest.fixture
def description(workplace):
    file = workplace / "about.yaml"
    file.write_text(yaml.safe_dump(FILLED))
    return file


@pytest.fixture
def packed(results, description, workplace):
    """A submission."""
    assert submit(results, "good.tar.zst", description).ok
    return workplace / "good.tar.zst"


def contents(file):
    return dict(entries(file, Limits()))


def compress(file, data):
    with pyarrow.CompressedOutputStream(str(file), "zstd") as stream:
        stream.write(data)


def tar(members, format=tarfile.USTAR_FORMAT):
    """Returns a tar of (TarInfo or name, content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for info, content in members:
            info = tarfile.TarInfo(info) if isinstance(info, str) else info
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def special(kind, name="runs/x", target="/etc/passwd"):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def refusal(file, folder="unpacked", **limits):
    """Returns why an archive is refused, and checks that nothing is left of it."""
    from pathlib import Path

    before = sorted(p for p in Path().rglob("*") if p != Path(file))
    with pytest.raises(ValueError) as caught:
        read_submission(file, folder, Limits(**limits))
    assert sorted(p for p in Path().rglob("*") if p != Path(file)) == before
    text = str(caught.value)
    assert text.startswith(f"{file}: ")
    assert "\n" not in text
    return text


def test_results_come_back_as_they_were_handed_in(results, packed, description, workplace):
    submit(results, "two.tar.zst", description)
    assert packed.read_bytes() == (workplace / "two.tar.zst").read_bytes()
    read = read_submission(packed, "unpacked")
    assert read.description.authors == FILLED["authors"]
    assert len(read.specs) == 4
    verification = verify(read.folder, sample=None)
    assert verification.ok and verification.complete
    for file in results.rglob("*.parquet"):
        there = read.folder / file.relative_to(results)
        assert there.read_bytes() == file.read_bytes()
    assert load_results(read.folder).to_dict() == load_results(results).to_dict()
    with pytest.raises(ValueError, match="unpacked: is not an empty folder"):
        read_submission(packed, "unpacked")


def test_other_tools_read_it_too(packed, workplace):
    with pyarrow.CompressedInputStream(pyarrow.OSFile(str(packed)), "zstd") as stream:
        data = stream.read()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
    assert [m.name for m in members] == sorted(contents(packed))
    assert {(m.mtime, m.uid, m.uname, m.mode, m.type) for m in members} == {
        (0, 0, "", 0o644, tarfile.REGTYPE)
    }


def test_names_longer_than_a_header(workplace):
    name = f"runs/{'a' * 89}/{'b' * 89}/seed-0/trials.parquet"
    write_archive(workplace / "long.tar.zst", {name: b"x" * 1000, "short": b""})
    assert contents(workplace / "long.tar.zst") == {name: b"x" * 1000, "short": b""}
    with pytest.raises(ValueError, match="is not a plain relative path"):
        write_archive(workplace / "bad.tar.zst", {"../up": b""})
    assert not (workplace / "bad.tar.zst").exists()


NAMES = ["/etc/passwd", "../up", "a/../../up", "a/./b", "a//b", "", ".", "..", "a/", ".hidden"]
NAMES += ["a\\..\\b", "C:/x", "a b", "a\nb", "ä", "-/../x", "a/b/c/d/e/f/g"]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_leave_the_folder(workplace, name):
    compress("bad.tar.zst", tar([(name, b"x")], tarfile.GNU_FORMAT))
    text = refusal("bad.tar.zst")
    assert "is not a plain relative path" in text or "damaged header" in text


KINDS = {
    tarfile.SYMTYPE: "a link",
    tarfile.LNKTYPE: "a link",
    tarfile.DIRTYPE: "a folder",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a device",
    tarfile.GNUTYPE_SPARSE: "of type",
    tarfile.XHDTYPE: "of type",
    tarfile.XGLTYPE: "of type",
    tarfile.GNUTYPE_LONGLINK: "of type",
    b"Z": "of type",
}


@pytest.mark.parametrize("kind", KINDS)
def test_entries_that_are_no_files(workplace, kind):
    compress("bad.tar.zst", special(kind).tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    assert f"entry 'runs/x' is {KINDS[kind]}" in refusal("bad.tar.zst")


def test_long_names_cannot_hide_anything(workplace):
    def header(size, kind=tarfile.GNUTYPE_LONGNAME):
        info = tarfile.TarInfo("x")
        info.type, info.size = kind, size
        return info.tobuf(tarfile.GNU_FORMAT)

    def block(data):
        return data.ljust(512, b"\0")

    for size in (0, 10**6, 2**40):
        compress("bad.tar.zst", header(size) + bytes(2048))
        assert "holds a name of" in refusal("bad.tar.zst")
    up = header(6) + block(b"../up\0") + header(0, tarfile.REGTYPE)
    compress("bad.tar.zst", up + bytes(1024))
    assert "'../up' is not a plain relative path" in refusal("bad.tar.zst")
    link = header(6) + block(b"runs/x") + special(tarfile.SYMTYPE).tobuf(tarfile.GNU_FORMAT)
    compress("bad.tar.zst", link + bytes(1024))
    assert "entry 'runs/x' is a link" in refusal("bad.tar.zst")
    compress("bad.tar.zst", header(6) + block(b"runs/x") + bytes(1024))
    assert "is truncated" in refusal("bad.tar.zst")
    compress("bad.tar.zst", header(2) + block(b"x\0") + header(2) + block(b"y\0") + bytes(1024))
    assert "of type b'L'" in refusal("bad.tar.zst")


def test_names_that_meet(workplace):
    compress("bad.tar.zst", tar([("a/b", b"1"), ("A/B", b"2")]))
    assert "entry 'A/B' is there twice" in refusal("bad.tar.zst")
    compress("bad.tar.zst", tar([("a", b"1"), ("a/b", b"2")]))
    assert "is both a file and a folder" in refusal("bad.tar.zst")
    compress("bad.tar.zst", tar([("a/b", b"1"), ("a", b"2")]))
    assert "is both a file and a folder" in refusal("bad.tar.zst")


def test_bombs(workplace):
    compress("bad.tar.zst", bytes(512) + bytes(50 * 2**20))
    assert "holds data after its end" in refusal("bad.tar.zst")
    big = tarfile.TarInfo("big")
    big.size = 2**62
    compress("bad.tar.zst", big.tobuf(tarfile.GNU_FORMAT))
    assert "has 4,611,686,018,427,387,904 bytes, at most" in refusal("bad.tar.zst")
    compress("bad.tar.zst", tar([("a", bytes(2000))]))
    assert "entry 'a' has 2,000 bytes, at most 1,000" in refusal("bad.tar.zst", file_bytes=1000)
    many = [(f"f{i}", b"x" * 600) for i in range(30)]
    compress("bad.tar.zst", tar(many))
    assert "holds more than 20 files" in refusal("bad.tar.zst", files=20)
    assert "holds more than 9,000 bytes" in refusal("bad.tar.zst", total_bytes=9000)
    negative = tarfile.TarInfo("a")
    negative.size = -1
    compress("bad.tar.zst", negative.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    assert "entry 'a' has -1 bytes" in refusal("bad.tar.zst")


def test_damaged_archives(packed, workplace):
    whole = packed.read_bytes()
    for data in (b"", b"not zstd at all", whole[: len(whole) // 2], whole[:-5]):
        (workplace / "bad.tar.zst").write_bytes(data)
        text = refusal("bad.tar.zst")
        assert "truncated" in text or "damaged" in text
    (workplace / "bad.tar.zst").write_bytes(whole + b"garbage")
    refusal("bad.tar.zst")
    compress("bad.tar.zst", b"x" * 1024)
    assert "damaged header" in refusal("bad.tar.zst")
    with pytest.raises(ValueError, match=r"none\.tar\.zst: cannot be read"):
        read_submission("none.tar.zst", "unpacked")


def index(files):
    """Returns files with an index that fits them."""
    from archgym.submission import _index

    rest = {name: content for name, content in files.items() if name != "files.json"}
    return {**rest, "files.json": _index(rest)}


def test_contents_that_are_no_submission(packed, workplace):
    good = contents(packed)

    def told(change, fitting=True):
        files = change(dict(good))
        write_archive(workplace / "bad.tar.zst", index(files) if fitting else files)
        return refusal("bad.tar.zst")

    def without(name):
        return lambda files: {k: v for k, v in files.items() if k != name}

    def with_(name, content):
        return lambda files: {**files, name: content}

    assert "files.json: is missing" in told(without("files.json"), fitting=False)
    assert "submission.yaml: is missing" in told(without("submission.yaml"))
    assert f"{RUN}/run.json: is missing" in told(without(f"{RUN}/run.json"))
    for name in ("runs/x.pkl", "setup.py", f"{RUN}/trials.jsonl"):
        assert f"{name}: is no part of the runs" in told(with_(name, pickle.dumps(1)))
    changed = told(with_(f"{RUN}/run.json", b"{}"), fitting=False)
    assert f"{RUN}/run.json: is not the file that files.json lists" in changed
    assert "files.json: is not an index" in told(with_("files.json", b"[" * 10**5), fitting=False)
    old = json.dumps({"format": 9, "files": {}}).encode()
    assert "files.json: format 9 is not supported" in told(with_("files.json", old), fitting=False)
    assert "trials.parquet: is truncated or no parquet" in told(
        with_(f"{RUN}/trials.parquet", pickle.dumps([1]))
    )
    plan = json.loads(good["runs.json"])
    plan[0]["folder"] = "../up"
    text = told(with_("runs.json", json.dumps(plan).encode()))
    assert "runs.json: [0].folder: '../up' is not runs/TASK/AGENT/seed-N" in text
    assert "runs.json: is nested too deeply" in told(with_("runs.json", b"[" * 10**5))
    plan = json.loads(good["runs.json"])
    plan[0]["task"]["workload"] = "file:/etc/passwd"
    text = told(with_("runs.json", json.dumps(plan).encode()))
    assert "[0].task.workload: 'file:/etc/passwd' is a file that is not part" in text
    unsafe = b"!!python/object/apply:os.system ['touch owned']"
    for name in ("submission.yaml", "experiment.yaml"):
        assert f"{name}:1:1: the tag " in told(with_(name, unsafe))
        assert f"{name}: " in told(with_(name, b"\xff\xfe"))
        for nested in (b"[" * 60_000, b"{a: " * 60_000, b"- " * 60_000):
            assert f"{name}: not valid YAML (nested too deeply)" in told(with_(name, nested))
    lists = [f"{a}: &{a} [{', '.join([f'*{b}'] * 9)}]" for b, a in itertools.pairwise("abcdefghij")]
    merged = [each.replace("[", "{<<: [").replace("]", "]}") for each in lists]
    for lines in (["a: &a [x]", *lists], ["a: &a {x: 1}", *merged]):
        for name in ("submission.yaml", "experiment.yaml"):
            text = told(with_(name, "\n".join([*lines, "title: *j"]).encode()))
            assert f"{name}: not valid YAML (aliases are not allowed)" in text
    long = told(with_("submission.yaml", b"#" * 2**21))
    assert "submission.yaml: has 2,097,152 bytes, at most 262,144 are read" in long


def test_trials_that_would_fill_the_memory(packed, monkeypatch):
    monkeypatch.setattr("archgym.trialfile.MAX_VALUES", 300)
    text = refusal(packed.name)
    assert re.search(r"(trials|times)\.parquet: holds \d+ values, at most 300 are read", text)


def test_false_results_are_neither_packed_nor_verified(results, packed, description, workplace):
    file = results / RUN / "trials.parquet"
    frame = polars.read_parquet(file)
    frame.with_columns(cost_ns=frame["cost_ns"] / 2).write_parquet(file)
    told = submit(results, "bad.tar.zst", description)
    assert not told.ok
    assert not (workplace / "bad.tar.zst").exists()
    files = {**contents(packed), f"{RUN}/trials.parquet": file.read_bytes()}
    write_archive(workplace / "bad.tar.zst", index(files))
    read = read_submission("bad.tar.zst", "unpacked")
    assert str(verify(read.folder).all_findings[0]).startswith(f"{RUN}/trials.parquet: trial ")


def test_incomplete_results_are_not_packed(results, description):
    for file in (results / RUN).iterdir():
        file.unlink()
    with pytest.raises(ValueError, match="1 of 4 runs are missing; only complete results are"):
        submit(results, "bad.tar.zst", description)
    with pytest.raises(ValueError, match="nothing: holds no results"):
        submit("nothing", "bad.tar.zst", description)


def test_the_template_is_a_description_to_fill_in(workplace):
    write_template(workplace / "about.yaml")
    with pytest.raises(ValueError, match=r"about\.yaml: title: value '' is empty, fill it in"):
        read_description(workplace / "about.yaml")
    with pytest.raises(ValueError, match=r"about\.yaml: is there already"):
        write_template(workplace / "about.yaml")
    assert list(yamlfile.parse(TEMPLATE, "")) == [*FILLED, "notes"]
    text = TEMPLATE
    for name, value in FILLED.items():
        line = next(each for each in TEMPLATE.splitlines() if each.startswith(f"{name}:"))
        text = text.replace(line, f"{name}: {json.dumps(value)}")
    (workplace / "about.yaml").write_text(text)
    assert read_description(workplace / "about.yaml").model_dump() == {**FILLED, "notes": ""}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"titel": "x"}, "key: unknown name 'titel'; did you mean 'title'?"),
        ({"title": ""}, "title: value '' is empty, fill it in"),
        ({"title": " "}, "title: value ' ' is empty, fill it in"),
        ({"title": "a\nb"}, r"title: value 'a\\nb' is not one line"),
        ({"title": 7}, "title: value '7' is not a text"),
        ({"title": "x" * 300}, "title: value 'x+' is too long"),
        ({"authors": []}, r"authors: value '\[\]' is empty, fill it in"),
        ({"authors": "Ada"}, "authors: value 'Ada' is not a list"),
        ({"authors": [""]}, r"authors\[0\]: value '' is empty, fill it in"),
        ({"code": "javascript:alert(1)"}, "code: value 'java.*' is not an http or https address"),
        ({"code": "ftp://x"}, "code: value 'ftp://x' is not an http or https address"),
        ({"code": 'https://x"><script>'}, "code: .* is not an http or https address"),
        ({"version": 2}, "version: value '2' is not 1"),
    ],
)
def test_mistakes_in_a_description(changed, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        parse_description({**FILLED, **changed})
    with pytest.raises(ValueError, match="hardware: is missing"):
        parse_description({k: v for k, v in FILLED.items() if k != "hardware"})
    with pytest.raises(ValueError, match="is not a mapping with the keys version, title"):
        parse_description([])


quiet = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@quiet
@given(data=st.binary(max_size=3000), zipped=st.booleans())
def test_arbitrary_bytes_are_refused_in_one_line(workplace, data, zipped):
    if zipped:
        compress("bad.tar.zst", data)
    else:
        (workplace / "bad.tar.zst").write_bytes(data)
    refusal("bad.tar.zst")


@quiet
@given(data=st.data())
def test_arbitrary_headers_never_leave_the_folder(workplace, data):
    """Entries of any kind, name and size: refused, and nothing is written anywhere."""
    names = st.sampled_from(["a", "a/b", "../a", "/a", "a/../b"]) | st.text(max_size=40)
    blocks = b""
    for _ in range(data.draw(st.integers(1, 4))):
        info = tarfile.TarInfo(data.draw(names))
        info.type = bytes([data.draw(st.sampled_from(b"0123456LKSxgV\0Z"))])
        info.linkname = data.draw(names)
        content = data.draw(st.binary(max_size=100))
        info.size = data.draw(st.sampled_from([0, len(content), 512, 10**12]))
        form = data.draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
        header = info.tobuf(form, "utf-8", "surrogateescape")
        blocks += header + content.ljust(512, b"\0")
    compress("bad.tar.zst", blocks + bytes(1024))
    refusal("bad.tar.zst")


@quiet
@given(data=st.data())
def test_a_flipped_byte_is_refused(packed, workplace, data):
    """In the archive before compression: padding aside, every byte is held by a digest."""
    with pyarrow.CompressedInputStream(pyarrow.OSFile(str(packed)), "zstd") as stream:
        whole = bytearray(stream.read())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    compress("bad.tar.zst", bytes(whole))
    try:
        read = read_submission("bad.tar.zst", workplace / "unpacked")
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert contents(workplace / "bad.tar.zst") == contents(packed)
        for file in sorted(read.folder.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()


def test_through_the_command(results, command, workplace):
    status, out, errors = command("submit", "--template", "about.yaml")
    assert (status, errors) == (0, "")
    assert out.startswith("about.yaml: fill it in, then `archgym submit DIR -o FILE")
    arguments = ["submit", "out", "-o", "x.tar.zst"]
    status, _, errors = command(*arguments, "--description", "about.yaml")
    assert status == 2
    assert errors == "error: about.yaml: title: value '' is empty, fill it in\n"
    (results / "submission.yaml").write_text(yaml.safe_dump(FILLED))
    status, out, errors = command(*arguments)
    assert (status, errors) == (0, "")
    assert re.fullmatch(r"x\.tar\.zst: 4 runs, 160 trials, 0\.\d\d MB\n", out)
    file = results / RUN / "trials.parquet"
    file.write_bytes(file.read_bytes()[:99])
    (workplace / "x.tar.zst").unlink()
    status, out, errors = command(*arguments)
    assert status == 1
    assert out.startswith(f"mismatch: {RUN}/trials.parquet: file: is truncated")
    assert errors == "error: out: is not packed, it does not hold\n"
    assert not (workplace / "x.tar.zst").exists()
