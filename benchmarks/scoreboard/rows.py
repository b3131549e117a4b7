"""Rows of `benchmarks.scoreboard`: our models' pictures, and published pictures beside them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.verify.evaluator import SIZE
from export.verify.photos import cover
from runtime import input_noise
from runtime.errors import UsageError
from runtime.frame import Image
from runtime.input_noise.still import flat_noise
from runtime.model.session import open_session

from ..measuring import results
from ..measuring.results import Row
from ..metrics.periodicity import flat_periodicity
from ..metrics.phase_roughness import phase_roughness
from ..metrics.shift_equivariance import shift_equivariance
from ..students.rows import LARGE
from .yardstick import Yardstick, open_yardstick

# Our own, and those that other people's networks painted.
OURS, PUBLISHED = "ours", "published"
ROW_ID = ("model", "whose")
# Names in the folder of published pictures: photo_01.jpg, great_wave_01.jpg.
PHOTO = "photo_"
SUFFIXES = (".jpg", ".jpeg", ".png")  # of published pictures


@dataclass(frozen=True)
class Contestant:
    """A model, open, with one painting.

    Attributes:
        name: as it was asked for: "starry", "many:udnie", "runs/mine/last.safetensors".
        painting: file of what it imitates.
        sha256: of the file.
        paint: (H, W, 3) uint8 to its picture.
        paint_still: the same with this amount of input noise; None where there is no such way.
    """

    name: str
    painting: Path
    sha256: str
    paint: Callable[[Image], Image]
    paint_still: Callable[[Image, float], Image] | None = None


@contextmanager
def open_contestant(name: str) -> Iterator[Contestant]:
    """A model file, or a training checkpoint, or MODEL:PAINTING for a model of several.

    Raises:
        UsageError: a model of one painting without a recipe, or the painting cannot be found.
    """
    if name.endswith(".safetensors"):
        yield _checkpoint(name)
        return
    model, _, wanted = name.partition(":")
    with open_session(model, threads=1) as session:
        card = session.card
        if not wanted and not card.recipe.get("style", {}).get("image"):
            raise UsageError(
                f'model "{model}" does not say what it paints: give {model}:PAINTING, a name that '
                "the model knows or a picture"
            )
        painting = find_painting(wanted or card.recipe["style"]["image"])
        known = {style for port in card.inputs for style in port.names}
        style = wanted if wanted in known else painting

        given: dict[str, Any] = {"style": style} if wanted else {}

        def paint(picture: Image) -> Image:
            session.reset()
            return session.stylize(picture, **given)

        def paint_still(picture: Image, noise: float) -> Image:
            session.reset()
            return session.stylize(picture, offset=flat_noise(picture, noise).whole(), **given)

        learned = input_noise.learned(card)
        yield Contestant(name, painting, session.sha256, paint, paint_still if learned else None)


def find_painting(name: str) -> Path:
    """A painting by its path, or by name below $IMPASTO_DATA, with or without its suffix.

    Raises:
        UsageError: there is none.
    """
    from training.config import find_data

    return find_data(name if Path(name).suffix else f"{name}.jpg", "style")


def rows(
    contestants: Sequence[Contestant],
    photos: Mapping[str, Image],
    published: Path | None,
    step: Callable[[], object],
    weights: Path | None = None,
    noise: float = 0.0,
) -> list[Row]:
    """One row a contestant, one with input noise if it learned that, and after the first of each
    painting that others painted, too, theirs.

    Args:
        contestants: models.
        photos: name -> (H, W, 3) uint8.
        published: folder of pictures of the same photos, at `SIZE`: `<painting>_01` of `photo_01`;
            None compares with nobody.
        step: called after each picture.
        weights: folder of the loss network's.
        noise: amount of input noise, 0 for no such rows.
    """
    made, seen = [], set()
    for contestant in contestants:
        yardstick = open_yardstick(contestant.painting, weights)
        found = []
        for photo in photos.values():
            found.append(_figures(contestant.paint, photo, yardstick))
            step()
        model = Path(contestant.name).stem if "/" in contestant.name else contestant.name
        labels = {"model": model, "whose": OURS, "painting": contestant.painting.stem}
        made.append(results.row({**labels, "sha256": contestant.sha256}, _means(found), ROW_ID))
        if noise and contestant.paint_still is not None:
            covered = [cover(photo, *SIZE) for photo in photos.values()]
            pairs = [(contestant.paint_still(photo, noise), photo) for photo in covered]
            stills = [yardstick.measure(*pair) | _flaws(*pair) for pair in pairs]
            noisy = {**labels, "whose": f"{OURS}, noise {noise:g}", "sha256": contestant.sha256}
            made.append(results.row(noisy, _means(stills), ROW_ID))
        theirs = _published(published, contestant.painting.stem, photos)
        if theirs and contestant.painting not in seen:
            pairs = [(theirs[name], cover(photos[name], *SIZE)) for name in theirs]
            found = [yardstick.measure(*pair) | _flaws(*pair) for pair in pairs]
            made.append(results.row({**labels, "whose": PUBLISHED}, _means(found), ROW_ID))
        seen.add(contestant.painting)
    return made


def _figures(
    paint: Callable[[Image], Image], whole: Image, yardstick: Yardstick
) -> dict[str, float]:
    photo, large = cover(whole, *SIZE), cover(whole, *LARGE)
    painted = paint(photo)
    at_large = {f"{key}_large": value for key, value in _flaws(paint(large), large).items()}
    moving = {"eq": shift_equivariance(paint, photo)}
    return yardstick.measure(painted, photo) | moving | _flaws(painted, photo) | at_large


def _flaws(painted: Image, photo: Image) -> dict[str, float]:
    """What shows that a network paints on a grid of its own."""
    return {
        "periodicity_flat": flat_periodicity(painted, photo),
        "phase_roughness": phase_roughness(painted),
    }


def _means(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([each[key] for each in found])) for key in found[0]}


def _published(folder: Path | None, painting: str, photos: Mapping[str, Image]) -> dict[str, Image]:
    """Photo -> published picture, of those photos that have one."""
    from training.data.images import load_image, to_bytes

    found: dict[str, Image] = {}
    if folder is None:
        return found
    for name in photos:
        stem = f"{painting}_{name.removeprefix(PHOTO)}"
        for path in (folder / f"{stem}{suffix}" for suffix in SUFFIXES):
            if path.is_file():
                found[name] = to_bytes(load_image(path))
    return found


def _checkpoint(name: str) -> Contestant:
    """A network in training, to see where it stands."""
    from runtime.checksum import sha256
    from training.checkpoint import load_checkpoint
    from training.data.images import to_bytes, to_tensor
    from training.painting import paint

    checkpoint = load_checkpoint(name)
    generator = checkpoint.build_generator()
    painting = find_painting(checkpoint.recipe["style"]["image"])
    return Contestant(
        name, painting, sha256(Path(name)), lambda x: to_bytes(paint(generator, to_tensor(x)))
    )
