"""Which model files a result was measured with, and whether those are the bundled ones.

A figure on a page belongs to the files that are shipped. Every table is therefore followed by one
sentence, made here from the checksums in the result file and those of `models/`. Times belong to a
graph, whatever its weights (`measuring.structure`).
"""

from pathlib import Path

from runtime.checksum import sha256
from runtime.model import formats

from ..measuring.results import Document
from ..measuring.structure import structure

SHORT = 8  # hexadecimal digits of a checksum that are shown; enough to tell ten files apart

CHECKPOINT = ".safetensors"  # what the other formats are made from, and what training starts from

# Kinds that measure the runtime itself or networks trained for the occasion: no bundled file.
NO_BUNDLED_MODEL = ("frame_costs", "sanity", "crawl", "generative", "photoreal")

# Kinds that hold times and sizes alone, which depend on a file's graph and not on its weights.
OF_GRAPHS = ("latency",)

# Kinds whose rows may be of files that never were bundled: those of a name that none of ours has.
ALSO_OTHERS = ("filters",)


def bundled(folder: Path) -> dict[str, str]:
    """Checksum to file name of every model and every checkpoint in a folder."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    shipped = (p for p in files if formats.is_model(p) or p.suffix == CHECKPOINT)
    return {sha256(path): path.name for path in shipped}


def structures(folder: Path) -> dict[str, str]:
    """Name to `measuring.structure` of every ONNX file in a folder."""
    files = sorted(folder.glob("*.onnx")) if folder.is_dir() else []
    return {path.stem: str(structure(path)) for path in files}


def measured(data: Document) -> dict[str, str]:
    """Checksum to the name that the result file uses, of every model of ours in it.

    Networks with random weights, which stand in tables for their speed, are left out.
    """
    found: dict[str, str] = {}
    for row in data["rows"]:
        labels = row["labels"]
        digest = labels.get("sha256")
        if digest and labels.get("weights") != "random" and labels.get("role") != "peer":
            found.setdefault(digest, str(labels["model"]))
    for name, digest in data.get("settings", {}).get("sha256", {}).items():
        found.setdefault(digest, name)
    return found


def sentence(data: Document, models: dict[str, str], graphs: dict[str, str]) -> str:
    """When a result was measured and with what, in Markdown.

    Args:
        data: a result file.
        models: from `bundled`.
        graphs: from `structures`.
    """
    day = data["created"][:10]
    if data["kind"] in NO_BUNDLED_MODEL:
        return f"*Measured {day}; depends on no bundled model.*"
    digests = measured(data)
    if not digests:
        return (
            f"**To be measured again:** *measured {day} with model files whose checksums the "
            "result does not record.*"
        )
    current = _listed({d: models[d] for d in digests if d in models})
    strange = {d: name for d, name in digests.items() if d not in models}
    shipped = {Path(name).stem for name in models.values()}
    apart = data["kind"] in ALSO_OTHERS
    own = {d: name for d, name in strange.items() if Path(name).stem in shipped or not apart}
    others = _listed({d: name for d, name in strange.items() if d not in own})
    same = _same_graphs(data, graphs)
    retrained = _listed({d: name for d, name in own.items() if d in same})
    former = _listed({d: name for d, name in own.items() if d not in same})
    if not former:
        kinds = (
            ("the bundled", current),
            ("former weights in the bundled graphs, whose times are the same:", retrained),
            ("files that are not bundled:", others),
        )
        with_what = " and ".join(f"{kind} {names}" for kind, names in kinds if names)
        return f"*Measured {day} with {with_what}.*"
    if not current and not retrained and not others:
        return f"**To be measured again:** *measured {day} with former model files: {former}.*"
    known = (current and f"the bundled {current}", retrained, others)
    names = " and ".join(name for name in known if name)
    return (
        f"*Measured {day} with {names}.* "
        f"**To be measured again:** *what former files gave: {former}.*"
    )


def _same_graphs(data: Document, graphs: dict[str, str]) -> set[str]:
    """Checksums of the former files whose graph is that of the bundled file of the same name."""
    if data["kind"] not in OF_GRAPHS:
        return set()
    labels = [row["labels"] for row in data["rows"]]
    return {
        each["sha256"]
        for each in labels
        if each.get("structure") and graphs.get(Path(str(each["model"])).stem) == each["structure"]
    }


def _listed(digests: dict[str, str]) -> str:
    return ", ".join(f"`{name}` {digest[:SHORT]}" for digest, name in digests.items())
