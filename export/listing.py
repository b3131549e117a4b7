"""The table of targets: what there is, what this machine can make, how to enable the rest."""

from runtime import plugins
from runtime.card import JsonObject

from . import foreign_environments, targets
from .targets import Target


def load_all() -> dict[str, type[Target]]:
    """Name -> target, by name; importing them is light."""
    return {name: plugins.load(targets, name) for name in plugins.names(targets)}


def precisions() -> list[str]:
    """Every precision that any target writes; imports none of them."""
    declared = plugins.constants(targets, "precisions").values()
    return list(dict.fromkeys(precision for some in declared for precision in some))


def rows() -> list[JsonObject]:
    """One row per target, plain data for `--json`."""
    return [_row(name, target) for name, target in load_all().items()]


def table() -> str:
    """The same for people and for the README: a Markdown table, then how to enable what is not."""
    lines = [
        "| target | writes | precisions | sizes | starts from | run and compared by | runs on |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    absent = []
    for row in rows():
        if row["missing"]:
            absent.append(f"{row['target']} {row['missing']}")
        cells = (
            row["target"],
            " + ".join(row["writes"]),
            ", ".join(row["precisions"]),
            "any" if row["default_size"] is None else "one ({}x{})".format(*row["default_size"]),
            "--checkpoint" if row["starts_from"] == "checkpoint" else "--model, --checkpoint",
            row["engine"] or row["examined_by"],
            row["runs_on"],
        )
        lines.append("| " + " | ".join(cells) + " |")
    notes = [f"not available here: {sentence}" for sentence in absent]
    options = [
        f"--target {row['target']} --option {key}=...: {text}"
        for row in rows()
        for key, text in row["options"].items()
    ]
    return "\n".join([*lines, *([""] if notes or options else []), *options, *notes])


def _row(name: str, target: type[Target]) -> JsonObject:
    if target.folder:
        writes = [f"{target.suffix or 'a folder'}/" if target.suffix else "a folder"]
    else:
        writes = [target.suffix, *target.beside]
    return {
        "target": name,
        "writes": writes,
        "precisions": list(target.precisions),
        "default_size": list(target.default_size) if target.default_size else None,
        "starts_from": target.starts_from,
        "engine": target.engine,
        "examined_by": target.examined_by,
        "extra": target.extra,
        "runs_on": target.runs_on,
        "options": dict(target.options),
        "missing": foreign_environments.missing(target),
    }
