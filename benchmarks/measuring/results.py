"""One layout for every result file: what was run, where, and rows of labels and numbers.

    {"schema": "impasto.benchmark", "version": 1, "kind": "latency", "created": "2026-11-20T...",
     "command": "python -m benchmarks.latency ...", "environment": {...}, "settings": {...},
     "thermometer": {...} or null, "rows": [{"id": "...", "labels": {...}, "metrics": {...}}]}

Metrics are numbers, null (asked for but not obtainable here) or flat lists of numbers; their names
end in their unit (`_ms _fps _mib _px _percent _gops`). `benchmarks.report` reads nothing else.
"""

import json
import math
import os
import re
import shlex
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from runtime.card import JsonObject
from runtime.errors import OutputExists, UsageError
from training.portable import portable_recipe

from . import environment as machine
from .environment import Facts

NAME = "impasto.benchmark"
VERSION = 1
KINDS = (
    *("latency", "end_to_end", "startup", "frame_costs", "quality", "temporal", "folding"),
    *("sanity", "soak", "targets", "crawl", "students", "pruning", "scoreboard"),
    *("live_features", "live_session", "encoders", "filters", "keyframes", "batch", "serving"),
    *("generative", "photoreal", "stereo", "page"),
)

# Settings that hold something for each model, by its name.
OF_MODELS = ("sha256", "problems")

# Words, numbers, flags or None, by name.
Labels = JsonObject
# Numbers, None, or lists of numbers, by name.
Metrics = JsonObject


class Row(TypedDict):
    """One line of a result; see `row`."""

    id: str
    labels: Labels
    metrics: Metrics


class Document(TypedDict):
    """A whole result file; see the module's docstring."""

    schema: str
    version: int
    kind: str
    created: str
    command: str
    environment: Facts
    settings: Facts
    thermometer: Facts | None
    rows: list[Row]


_NUMBER = {"type": ["number", "null"]}
_STATE = {"type": "object", "additionalProperties": _NUMBER}
SCHEMA: Facts = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": NAME,
    "type": "object",
    "required": ["schema", "version", "kind", "created", "command", "environment", "rows"],
    "additionalProperties": False,
    "properties": {
        "schema": {"enum": [NAME]},
        "version": {"enum": [VERSION]},
        "kind": {"enum": list(KINDS)},
        "created": {"type": "string"},
        "command": {"type": "string"},
        "environment": {
            "type": "object",
            "required": ["system", "cpu", "gpus", "python", "packages", "providers", "git"],
            "properties": {
                "system": {"type": "object"},
                "cpu": {
                    "type": "object",
                    "required": ["model", "isa", "cores", "governor"],
                    "properties": {"isa": {"type": "array", "items": {"type": "string"}}},
                },
                "gpus": {"type": "array", "items": {"type": "object"}},
                "python": {"type": "string"},
                "packages": {"type": "object", "additionalProperties": {"type": "string"}},
                "providers": {"type": "array", "items": {"type": "string"}},
                "git": {"type": "object", "required": ["commit", "dirty"]},
                "load": _NUMBER,
            },
        },
        "settings": {"type": "object"},
        "thermometer": {
            "type": ["object", "null"],
            "required": ["peak", "readings", "marked_rounds"],
            "properties": {
                "peak": {"type": "object", "additionalProperties": _STATE},
                "readings": {"type": "array", "items": _STATE},
                "marked_rounds": {"type": "array", "items": {"type": "integer"}},
            },
        },
        "rows": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "labels", "metrics"],
                "additionalProperties": False,
                "properties": {
                    "id": {"type": "string"},
                    "labels": {
                        "type": "object",
                        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
                    },
                    "metrics": {
                        "type": "object",
                        "additionalProperties": {
                            "type": ["number", "null", "array"],
                            "items": {"type": "number"},
                        },
                    },
                },
            },
        },
    },
}


def violations(data: object) -> list[str]:
    """Every breach of `SCHEMA`, and ids that two rows share, as "$.rows[3].metrics.p50_ms: ..."
    sentences. A number must be finite, because NaN and Infinity are not JSON.

    Raises:
        ImportError: jsonschema is not installed.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    checker = Draft202012Validator.TYPE_CHECKER
    finite = checker.redefine(
        "number", lambda _, value: checker.is_type(value, "number") and math.isfinite(value)
    )
    found = extend(Draft202012Validator, type_checker=finite)(SCHEMA).iter_errors(data)
    return [f"{error.json_path}: {error.message}" for error in found] + _repeated(data)


def document(
    kind: str,
    rows: list[Row],
    settings: Facts | None = None,
    calibration: Facts | None = None,
    environment: Facts | None = None,
) -> Document:
    """Wrap rows (see `row`) with the environment, the time and the command line that made them."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    name = f"python -m {module.name.removesuffix('.__main__')}" if module else "python"
    return {
        "schema": NAME,
        "version": VERSION,
        "kind": kind,
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        # Without the folders of the machine that measured.
        "command": shlex.join([*name.split(), *portable_recipe({"": sys.argv[1:]})[""]]),
        "environment": environment or machine.describe(),
        "settings": settings or {},
        "thermometer": calibration,
        "rows": rows,
    }


def row(labels: Labels, metrics: Metrics, name_by: Iterable[str] | None = None) -> Row:
    """One line of a result; its id is its label values joined by "/" (None is left out).

    Args:
        labels: what tells this row from others, and what a reader should know about it.
        metrics: numbers, by names that end in their unit.
        name_by: the labels that make up the id; all of them if not given.
    """
    keys = list(labels) if name_by is None else name_by
    return {
        "id": "/".join(str(labels[key]) for key in keys if labels[key] is not None),
        "labels": labels,
        "metrics": metrics,
    }


def joined(data: Document, earlier: Document | None) -> Document:
    """A result with the rows that an earlier one has of other models, each where it stood there.

    A row that is kept says in its label "measured" of which day it is.

    Raises:
        UsageError: it is of another kind, or was measured with other settings.
    """
    if earlier is None:
        return data
    if earlier["kind"] != data["kind"]:
        raise UsageError(f'--keep: it is a result of "{earlier["kind"]}", not "{data["kind"]}"')
    ours, theirs = (_of_no_model(each["settings"]) for each in (data, earlier))
    if ours != theirs:
        other = sorted(k for k in ours | theirs if ours.get(k) != theirs.get(k))
        raise UsageError(f"--keep: measured with other settings ({', '.join(other)})")
    new = [row["labels"].get("model") for row in data["rows"]]
    left, rows = list(data["rows"]), []
    for row in earlier["rows"]:
        model = row["labels"].get("model")
        if model in new:
            rows += [each for each in left if each["labels"].get("model") == model]
            left = [each for each in left if each["labels"].get("model") != model]
        else:
            day = {"measured": earlier["created"][:10]}
            rows.append({**row, "labels": {**day, **row["labels"]}})
    settings = dict(data["settings"])
    for key in settings.keys() & set(OF_MODELS):
        settings[key] = {**earlier["settings"].get(key, {}), **settings[key]}
    return {**data, "settings": settings, "rows": [*rows, *left]}


def _of_no_model(settings: Facts) -> Facts:
    return {key: value for key, value in settings.items() if key not in OF_MODELS}


def write(path: Path, data: Document, overwrite: bool = False) -> Path:
    """Validate and write a result file in one step: a reader never sees half of it.

    Raises:
        OutputExists: the file is there and `overwrite` is false.
        ValueError: the data breaks `SCHEMA` (a bug of the caller), or two rows have one id.
    """
    problems = violations(data)
    if problems:
        raise ValueError("not a result file: " + "; ".join(problems[:5]))
    if path.exists() and not overwrite:
        raise OutputExists(f"{path} exists; give another --output, or --overwrite to replace it")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(dumps(data), encoding="utf-8")
    partial.replace(path)
    return path


def dumps(data: Document) -> str:
    """JSON with one line per row and per reading, so that a diff shows which numbers changed."""
    lines: list[str] = []

    def line(value: object) -> str:
        lines.append(json.dumps(value, ensure_ascii=False, allow_nan=False))
        return f"\0{len(lines) - 1}\0"

    shown: dict[str, object] = {**data, "rows": [line(item) for item in data["rows"]]}
    if heat := data.get("thermometer"):
        shown["thermometer"] = {**heat, "readings": [line(item) for item in heat["readings"]]}
    text = json.dumps(shown, indent=1, ensure_ascii=False, allow_nan=False)
    # Two passes, because indented and compact parts cannot be mixed in one call of `json.dumps`.
    return re.sub(r'"\\u0000(\d+)\\u0000"', lambda found: lines[int(found[1])], text) + "\n"


def _repeated(data: object) -> list[str]:
    rows = data.get("rows") if isinstance(data, dict) else None
    ids = [str(item.get("id")) for item in rows or () if isinstance(item, dict)]
    return [
        f'two rows are called "{name}"' for name in sorted({i for i in ids if ids.count(i) > 1})
    ]


def read(path: Path) -> Document:
    """A validated result file. Raises UsageError naming the first thing that is wrong with it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"no result file {path}; make one with python -m benchmarks.latency"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not a result file ({error})") from None
    problems = violations(data)
    if problems:
        raise UsageError(f"{path} is not a version {VERSION} result file: {problems[0]}")
    return data
