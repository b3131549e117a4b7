"""Where pretrained weights come from: a given file, the folder named by $IMPASTO_WEIGHTS, or the
one that `training.fetch_weights` fills, `weights/` of the checkout."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from runtime.errors import EngineUnavailable, UsageError

VARIABLE = "IMPASTO_WEIGHTS"
FETCHED = Path(__file__).resolve().parents[2] / "weights"


@dataclass(frozen=True)
class WeightFile:
    """A file of pretrained weights: its name, sha256 and where it can be had."""

    name: str
    sha256: str
    origin: str


def folders() -> list[Path]:
    """Where weights are looked for if none are given."""
    named = os.environ.get(VARIABLE)
    return [*([Path(named)] if named else []), FETCHED]


def find(known: WeightFile, given: str | Path | None) -> Path:
    """The path of a weight file.

    Raises:
        UsageError: `given` does not exist.
        EngineUnavailable: nothing given and nothing found: says which file, from where.
    """
    if given is not None:
        path = Path(given)
        if path.is_dir():
            path = path / known.name
        if not path.is_file():
            raise UsageError(f'no weight file "{path}"; expected {known.name}')
        return path
    for folder in folders():
        if (folder / known.name).is_file():
            return folder / known.name
    looked = ", ".join(str(folder) for folder in folders())
    named = "" if os.environ.get(VARIABLE) else f" (${VARIABLE} is not set)"
    raise EngineUnavailable(
        f"weights {known.name} not found in {looked}{named}: python -m training.fetch_weights "
        f"brings VGG-19 in their place. Or get {known.origin} (sha256 {known.sha256[:16]}...) and "
        f"set {VARIABLE} to its folder, or pass --weights FILE"
    )


def read(path: Path, known: WeightFile, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Read safetensors, in float32, after checking that the file holds the expected tensors.

    A file of another sha256 is accepted if every tensor has the right shape: a user may bring
    weights of their own. Everything else is refused with both sides of the difference.

    Raises:
        UsageError: not safetensors, or a tensor is missing or has another shape.
    """
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except Exception as error:
        raise UsageError(
            f"{path} is not a safetensors file ({type(error).__name__}); expected {known.name} "
            f"with sha256 {known.sha256[:16]}..., this file has {sha256(path)[:16]}..."
        ) from None
    for key, shape in shapes.items():
        found = tuple(tensors[key].shape) if key in tensors else None
        if found != shape:
            raise UsageError(
                f"{path} does not fit {known.name}: tensor {key} should be {shape}, "
                f"found {found or 'none'} (sha256 {sha256(path)[:16]}..., "
                f"expected {known.sha256[:16]}...)"
            )
    return {key: tensor.float() for key, tensor in tensors.items()}


def sha256(path: Path) -> str:
    """Hex sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
