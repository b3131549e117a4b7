"""Where model files live: a name as typed after `--model` becomes a path.

Order: the path as given, the working directory, each folder in $IMPASTO_MODELS, and the `models`
folder beside this package. "starry" finds "starry.onnx".
"""

import hashlib
import os
from pathlib import Path

from .errors import ModelNotFound
from .plugins import suggest

# What an engine can open. ".ort" is ONNX Runtime's own serialization.
SUFFIXES = (".onnx", ".ort")
# The repository's models folder, or the one installed beside the packages.
BUNDLED = Path(__file__).resolve().parent.parent / "models"


def folders() -> list[Path]:
    """Folders searched, in order; those that do not exist are left out."""
    extra = os.environ.get("IMPASTO_MODELS", "")
    found = [Path.cwd(), *(Path(part) for part in extra.split(os.pathsep) if part), BUNDLED]
    return [folder for folder in dict.fromkeys(found) if folder.is_dir()]


def available() -> list[str]:
    """Sorted file names of all models in the searched folders."""
    return sorted(
        {path.name for folder in folders() for path in folder.iterdir() if path.suffix in SUFFIXES}
    )


def resolve(name: str | Path) -> Path:
    """The file a model name stands for.

    Args:
        name: a path, a file name ("starry.onnx") or a bare name ("starry").

    Raises:
        ModelNotFound: nothing answers to it, or it is a folder; the message suggests a near name
            and lists what there is.
    """
    asked = Path(name).expanduser()
    tries = [asked, *(asked.with_name(asked.name + suffix) for suffix in SUFFIXES)]
    for candidate in tries:
        if candidate.is_file():
            return candidate
    if asked.parent == Path() and not asked.is_absolute():
        for folder in folders():
            for candidate in tries:
                if (folder / candidate).is_file():
                    return folder / candidate
    if asked.is_dir():
        raise ModelNotFound(f'"{name}" is a folder, a model is a file ending in {_words()}')
    known = available()
    word = asked.name if asked.suffix in SUFFIXES else asked.name + SUFFIXES[0]
    where = "the working directory or models/" if asked.parent == Path() else str(asked.parent)
    raise ModelNotFound(f'no model "{name}" in {where}.{suggest(word, known)}')


def sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _words() -> str:
    return " or ".join(SUFFIXES)
