"""Why a file is no model that ONNX Runtime can load, in words that say what to do."""

import re
from pathlib import Path

# First bytes of files that people give in place of a model, and what to do with each.
CHECKPOINT = (
    "a checkpoint, not a graph: make a run folder of it with python -m export.import_weights, then "
    "python -m export --checkpoint FOLDER --target onnx"
)
KINDS: tuple[tuple[int, bytes, str], ...] = (
    (
        0,
        b"version https://git-lfs",
        "a Git LFS pointer; fetch the file that it stands for: git lfs pull",
    ),
    (0, b"PK\x03\x04", CHECKPOINT),  # torch.save since 1.6 writes a zip archive
    (0, b"\x80", CHECKPOINT),  # a pickle, as before
    (0, b"\x89HDF", "a Keras file (HDF5): convert it with tf2onnx"),
    (4, b"TFL3", "a TensorFlow Lite model: name it .tflite and use --engine litert"),
    (
        8,
        b'{"',
        "a safetensors checkpoint, not a graph: python -m export --checkpoint FILE --target onnx",
    ),
)
WEB_PAGE = re.compile(rb"^\s*(?:<!doctype html|<html)", re.IGNORECASE)
HEAD = 512  # bytes that tell the kind of a file
SUFFIXES = {
    ".t7": "a Torch7 file: python -m export.import_weights FILE --output runs/NAME, then "
    "python -m export --checkpoint runs/NAME",
}


def explain(source: str | bytes, reason: str) -> str:
    """The cause of a refused file, "" if only ONNX Runtime's own words tell.

    Args:
        source: the path, or the content.
        reason: what ONNX Runtime said.
    """
    return _by_content(source) or _by_reason(reason)


def _by_content(source: str | bytes) -> str:
    if isinstance(source, bytes):
        head, suffix = source[:HEAD], ""
    else:
        path = Path(source)
        suffix = path.suffix.lower()
        try:
            with path.open("rb") as stream:
                head = stream.read(HEAD)
        except OSError:
            return ""
    if WEB_PAGE.match(head):
        return "it is a web page: the download brought a page about the file, not the file"
    for at, mark, words in KINDS:
        if head[at:].startswith(mark):
            return f"it is {words}"
    return f"it is {SUFFIXES[suffix]}" if suffix in SUFFIXES else ""


def _by_reason(reason: str) -> str:
    version = re.search(
        r"Unsupported model IR version: (\d+), max supported IR version: (\d+)", reason
    )
    if version:
        return (
            f"it has IR version {version[1]}, this ONNX Runtime reads up to {version[2]}: upgrade "
            "onnxruntime, or save the model with an older onnx"
        )
    official = re.search(r"till opset (\d+)", reason)
    if official:
        named = re.search(r"[Oo]pset (\d+) is under development", reason)
        has = f"opset {named[1]}" if named else "a newer opset"
        return (
            f"it has {has}, this ONNX Runtime knows up to {official[1]}: upgrade onnxruntime, or "
            "export the model with an older opset"
        )
    outside = re.search(r'External data path does not exist: "?([^"]+)"?', reason)
    if outside:
        name = re.split(r"[\\/]", outside[1].strip())[-1]
        return f'its weights lie in a file of their own, "{name}", which is missing beside it'
    operation = re.search(r"(\S+)\(-?\d+\) is not a registered function/op", reason)
    operation = operation or re.search(r"No Op registered for (\S+)", reason)
    if operation:
        return f"it uses the operation {operation[1]}, which this ONNX Runtime does not have"
    return ""
