"""Models of other people, from the Hugging Face Hub (needs `huggingface_hub`).

Only ONNX files are taken, and the cards beside them: they are read as data, never run as code.
"""

# The library is an optional one: where it is absent, its answers have no type.
# pyright: basic

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import StyleError, UsageError
from ..inputs import inside
from ..outputs import check_output, place
from . import zoo

KINDS = (".onnx", ".onnx.card.json")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a repository has for us.

    Attributes:
        repository: "owner/name".
        revision: the commit that was looked at; what is fetched is of this one.
        license: as its page says, "" if it says none.
        files: names of the files that would be fetched.
    """

    repository: str
    revision: str
    license: str
    files: tuple[str, ...]


def look_up(repository: str) -> Offer:
    """Ask the Hub what is there; nothing is fetched.

    Raises:
        ModuleNotFoundError: `huggingface_hub` is not installed.
        UsageError: no such repository, or it holds no model of ours.
        StyleError: the Hub cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        found = HfApi().model_info(repository)
    except (HFValidationError, RepositoryNotFoundError):
        raise UsageError(
            f'no repository "{repository}" on the Hub (or a private one): write owner/name'
        ) from None
    except Exception as error:  # whatever HTTP libraries raise
        raise _unreachable(error) from None
    names = [entry.rfilename for entry in found.siblings or ()]
    files = tuple(name for name in names if "/" not in name and name.endswith(KINDS))
    if not any(name.endswith(KINDS[0]) for name in files):
        raise UsageError(f'"{repository}" holds no .onnx file at its top')
    card = found.card_data
    return Offer(repository, str(found.sha), str((card or {}).get("license") or ""), files)


def fetch(offer: Offer, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Fetch an offer's files into a folder; all of them or none.

    Raises:
        OutputExists: one is there already.
        UsageError: a file is no ONNX file.
        StyleError: the Hub cannot be reached.
    """
    from huggingface_hub import hf_hub_download

    targets = [
        check_output(inside(folder, name, "the repository"), overwrite=overwrite)
        for name in offer.files
    ]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as held:
        try:
            made = [
                Path(
                    hf_hub_download(offer.repository, name, revision=offer.revision, local_dir=held)
                )
                for name in offer.files
            ]
        except Exception as error:  # whatever HTTP libraries raise
            raise _unreachable(error) from None
        _check(made)
        for path, target in zip(made, targets, strict=True):
            place(path, target, overwrite=overwrite)
    return targets


def _check(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.suffix != KINDS[0]:
            continue
        try:
            zoo.read_metadata(path)
        except (OSError, EOFError, ValueError):
            raise UsageError(f'"{path.name}" of this repository is no ONNX file') from None


def _unreachable(error: Exception) -> StyleError:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return StyleError(f"the Hub does not answer as it should: {reason}")
