"""Where model files live: a name as typed after `--model` becomes a path.

Order: the path as given, the working directory, each folder in $IMPASTO_MODELS (separated as in
$PATH), the user's own folder, where fetched models go, and those that come with Impasto. "starry"
finds "starry.onnx", or the first there is of the other kinds that an engine reads.
"""

import os
from pathlib import Path

from ..errors import ModelNotFound
from . import formats

VARIABLE = "IMPASTO_MODELS"
# models/ of a checkout; `impasto.models`, beside `impasto.runtime`, of an installation.
BUNDLED = Path(__file__).resolve().parents[2] / "models"


def own_folder() -> Path:
    """Where fetched models go: the first folder of $IMPASTO_MODELS, or the user's data folder
    (https://specifications.freedesktop.org/basedir-spec: $XDG_DATA_HOME, ~/.local/share)."""
    listed = [part for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    if listed:
        return Path(listed[0]).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "impasto" / "models"


def folders() -> list[Path]:
    """Folders searched, in order; those that do not exist are left out."""
    extra = [Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    found = [Path.cwd(), *extra, own_folder(), BUNDLED]
    return [folder for folder in dict.fromkeys(found) if folder.is_dir()]


def available() -> list[str]:
    """Sorted file names of all models in the searched folders."""
    return sorted(
        {path.name for folder in folders() for path in folder.iterdir() if formats.is_model(path)}
    )


def resolve(name: str | Path) -> Path:
    """The file a model name stands for.

    Args:
        name: a path, a file name ("starry.onnx") or a bare name ("starry").

    Raises:
        ModelNotFound: nothing answers to it, or it is a folder; the message suggests a near name
            and lists what there is.
    """
    if not str(name).strip():
        raise ModelNotFound("the name of a model is empty")
    asked = Path(name).expanduser()
    try:
        if asked.exists() and not (asked.is_file() or asked.is_dir()):
            raise ModelNotFound(f'"{name}" is no ordinary file (a pipe, a socket or a device)')
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelNotFound(f'model "{str(name)[:80]}" cannot be read: {reason}') from None
    kinds = formats.suffixes()
    tries = [asked, *(asked.with_name(asked.name + suffix) for suffix in kinds)]
    places = [Path()]
    if asked.parent == Path() and not asked.is_absolute():
        places += folders()
    for folder in places:
        for candidate in tries:
            found = folder / candidate
            if formats.is_model(found) or (candidate is asked and found.is_file()):
                return found
    if asked.is_dir():
        raise ModelNotFound(
            f'"{name}" is a folder, a model is a file ending in {formats.words(kinds)}'
        )
    from ..plugins import suggest

    known = available()
    word = asked.name if formats.suffix_of(asked) else asked.name + kinds[0]
    looked = folders() if asked.parent == Path() else [asked.parent]
    where = ", ".join(str(folder) for folder in looked)
    hint = f" (${VARIABLE} may name more folders)" if asked.parent == Path() else ""
    raise ModelNotFound(f'no model "{name}" in {where}{hint}.{suggest(word, known)}')
