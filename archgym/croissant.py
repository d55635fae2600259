"""A dataset described for machines, as Croissant JSON-LD, and for people, as a README.

Croissant is the vocabulary of MLCommons for datasets, here version 1.1
(https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archgym.dataset_columns import RUN_COLUMNS, TRIAL_COLUMNS, value_type
from archgym.space import Parameter

_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "annotation": "cr:annotation",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "excludes": "cr:excludes",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "readLines": "cr:readLines",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
    "unArchive": "cr:unArchive",
    "value": "cr:value",
}
_PARQUET = "application/x-parquet"
_TYPES = {bool: "sc:Boolean", int: "cr:Int64", float: "cr:Float64", str: "sc:Text"}
_KINDS = {"seed": int, "budget": int, "trials": int, "complete": bool, "feasible": bool}
_KINDS |= {"sample": int, "score": float}


def croissant(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the Croissant description of a dataset.

    Args:
        meta: the content of `dataset.json`.
    """
    told: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": meta["name"],
        "description": _summary(meta),
        "datePublished": meta["date"],
        "version": "1.0.0",
        "keywords": ["design-space exploration", "computer architecture", "archgym"],
        "citeAs": _citation(meta),
    }
    for name, value in (("license", meta["license"]), ("url", meta["url"])):
        if value:
            told[name] = value
    if meta["creators"]:
        told["creator"] = [{"@type": "sc:Organization", "name": n} for n in meta["creators"]]
    told["distribution"] = [*_files(meta), *(_file_set(space) for space in meta["spaces"])]
    told["recordSet"] = [
        *(_trials(name, space) for name, space in meta["spaces"].items()),
        _runs(),
    ]
    return told


def _summary(meta: Mapping[str, Any]) -> str:
    tasks = meta["tasks"].values()
    trials, designs = (sum(task[key] for task in tasks) for key in ("trials", "designs"))
    return (
        f"{trials:,} evaluated designs ({designs:,} different ones per task, summed up) of "
        f"{len(tasks)} design-space exploration tasks of archgym: what search methods proposed, "
        f"with the metrics that the cost model answered."
    )


def _citation(meta: Mapping[str, Any]) -> str:
    names = ", ".join(meta["creators"])
    return f"{names + ': ' if names else ''}{meta['name']}, {meta['date']}"


def _files(meta: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{told['bytes']} B",
            "encodingFormat": _PARQUET,
            "sha256": told["sha256"],
        }
        for name, told in meta["files"].items()
    ]


def _file_set(space: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"trials-{space}",
        "name": f"trials-{space}",
        "description": "one folder per task, one row per trial",
        "encodingFormat": _PARQUET,
        "includes": f"trials/space={space}/*/*.parquet",
    }


def _field(
    record_set: str,
    column: str,
    description: str,
    kind: type,
    source: Mapping[str, Any],
    shape: str | None = None,
) -> dict[str, Any]:
    told = {
        "@type": "cr:Field",
        "@id": f"{record_set}/{column}",
        "name": column,
        "description": description,
        "dataType": _TYPES[kind],
        "source": {**source, "extract": {"column": column}},
    }
    return told if shape is None else {**told, "isArray": True, "arrayShape": shape}


def _sentence(doc: str, unit: str = "", detail: str = "") -> str:
    said = f"Unit: {unit}." if unit else "No unit."
    text = f"{doc[:1].upper()}{doc[1:]}." if doc else ""
    return " ".join(part for part in (text, said, detail) if part)


def described_columns(space: Mapping[str, Any]) -> Iterator[tuple[str, str, type, str | None]]:
    """Yields name, meaning with unit, type and array shape of the columns of a space's trials."""
    fixed = dict(TRIAL_COLUMNS)
    shapes = {"design": str(len(space["parameters"])), "violations": "-1"}
    kinds: dict[str, type] = {**_KINDS, "design": int}

    def own(name: str) -> tuple[str, str, type, str | None]:
        return name, _sentence(fixed[name]), kinds.get(name, str), shapes.get(name)

    before = [name for name in fixed if name not in ("design", "feasible", "violations", "score")]
    yield from (own(name) for name in before)
    for each in space["parameters"]:
        described = {name: each[name] for name in each if name != "column"}
        detail = f"Parameter, one of {', '.join(map(str, each['values']))}"
        detail += "; empty where it has no effect." if each["when"] else "."
        kind = value_type(Parameter.parse(described))
        yield each["column"], _sentence(each["doc"], each["unit"], detail), kind, None
    for each in space["metrics"]:
        way = {"none": "only reported"}.get(each["direction"], f"to {each['direction']}")
        detail = f"Metric, {way}; not a number where the design was not evaluated."
        yield each["column"], _sentence(each["doc"], each["unit"], detail), float, None
    yield from (own(name) for name in fixed if name not in before)


def _trials(name: str, space: Mapping[str, Any]) -> dict[str, Any]:
    here = f"trials-{name}-records"
    source = {"fileSet": {"@id": f"trials-{name}"}}
    fields = [
        _field(here, name, text, kind, source, shape)
        for name, text, kind, shape in described_columns(space)
    ]
    task = {
        "@type": "cr:Field",
        "@id": f"{here}/task",
        "name": "task",
        "description": "Id of the task, from the folder's name. No unit.",
        "dataType": "sc:Text",
        "source": {
            **source,
            "extract": {"fileProperty": "fullpath"},
            "transform": {"regex": ".*task=([^/]+)/.*"},
        },
    }
    for field in fields:
        if field["name"] == "run":
            field["references"] = {"field": {"@id": "runs/run"}}
    return {
        "@type": "cr:RecordSet",
        "@id": here,
        "name": here,
        "description": f"Trials of {space['env']}, design space {space['fingerprint']}.",
        "field": [task, *fields],
    }


def _runs() -> dict[str, Any]:
    source = {"fileObject": {"@id": "runs.parquet"}}
    return {
        "@type": "cr:RecordSet",
        "@id": "runs",
        "name": "runs",
        "description": "One row per run.",
        "key": {"@id": "runs/run"},
        "field": [
            _field(
                "runs",
                name,
                f"{text[:1].upper()}{text[1:]}. No unit.",
                _KINDS.get(name, str),
                source,
            )
            for name, text in RUN_COLUMNS.items()
        ],
    }


def _cell(text: object) -> str:
    """Returns a text that cannot break a table or become markup."""
    plain = " ".join(str(text).split())
    for mark in "\\|<>`*[]":
        plain = plain.replace(mark, f"&#{ord(mark)};")
    return plain


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines] + [""]


def card(meta: Mapping[str, Any]) -> str:
    """Returns the README of a dataset.

    Args:
        meta: the content of `dataset.json`.
    """
    lines = [f"# {_cell(meta['name'])}", "", _summary(meta), ""]
    lines += [f"Licence: {_cell(meta['license']) or 'none was given'}", ""]
    if meta["creators"]:
        lines += [f"By {_cell(', '.join(meta['creators']))}", ""]
    lines += ["## Tasks", ""]
    lines += _table(
        ["task", "different designs", "feasible trials", "trials", "runs", "agents", "archgym"],
        [
            [
                _cell(task["name"]),
                *(f"{task[key]:,}" for key in ("designs", "feasible", "trials", "runs")),
                _cell(", ".join(task["agents"])),
                _cell(task["version"]),
            ]
            for task in meta["tasks"].values()
        ],
    )
    if meta["notes"]:
        lines += ["## Not everything is here", "", *(f"- {_cell(n)}" for n in meta["notes"]), ""]
    lines += ["## Where it comes from", "", "Written with", "", f"    {meta['command']}", ""]
    again = [
        f"    archgym run {source['experiment']} -o {source['folder']}"
        for source in meta["sources"]
        if "experiment" in source
    ]
    if again:
        lines += ["from results that these commands make again:", "", *again, ""]
    lines += [
        "## How to read it",
        "",
        "`croissant.json` describes every file and field (Croissant 1.1), `runs.parquet` has a row",
        "per run, and the trials are plain parquet files, partitioned by design space and task:",
        "",
        "```python",
        "import archgym",
        "",
        'dataset = archgym.load_dataset(".")',
        "train, test = dataset.split(test=0.2, seed=0)   # by design: none is on both sides",
        "```",
        "",
    ]
    for name, space in meta["spaces"].items():
        lines += [f"## Columns of `trials/space={name}`", ""]
        lines += _table(
            ["column", "meaning"], [[_cell(c), _cell(t)] for c, t, *_ in described_columns(space)]
        )
    return "\n".join(lines)
