"""A teacher's pictures of a folder of photos, made once: a folder of pairs that can be used again.

    <run>/pairs-<digest>/before/photo_0001.png      what the teacher saw
                         after/photo_0001.png       what it made of it

What is there is not made again, so that an interrupted run goes on, and a teacher that failed on
some photos is asked for these once more. The digest tells teachers and views apart.
"""

import contextlib
import zlib
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pictures

from runtime.cli import Progress
from runtime.errors import StyleError, UsageError
from runtime.frame import Image
from runtime.outputs import replacing

from ..data.images import SUFFIXES, load_image, to_bytes
from ..teachers import Teacher, TeacherFailed, digest_of, open_teacher

# A teacher that fails on this many photos, and on every one so far, fails on all.
PATIENCE = 10
# Threads of a teacher that bears several: its own work may use all cores as well.
MOST_WORKERS = 4


@dataclass(frozen=True)
class View:
    """What of a photo the teacher sees.

    Attributes:
        short_side: px; 0 leaves the size.
        enlarge: of every second photo, a part up to this many times smaller, enlarged: what a full
            frame looks like, smooth where small photos are sharp.
        limit: photos, spread evenly over the folder; 0 takes all.
    """

    short_side: int = 320
    enlarge: float = 1.0
    limit: int = 0


@dataclass
class Made:
    """What became of the photos.

    Attributes:
        folder: of pairs.
        failed: photo -> why there is no pair of it.
    """

    folder: Path
    failed: dict[Path, str] = field(default_factory=dict)


def make_pairs(
    photos: Path,
    texts: Sequence[str],
    run: Path,
    view: View,
    workers: int = 0,
    *,
    ask: bool = True,
    quiet: bool = False,
    trusted: Collection[str] | None = None,
) -> Made:
    """Ask a teacher for its picture of every photo that has none yet.

    Args:
        photos: folder, with all folders below.
        texts: the teacher, see `open_teacher`.
        run: folder in which that of the pairs lies.
        view: what it sees.
        workers: photos at once; 0 chooses.
        ask: make what is missing; otherwise only say where pairs are (where another process asks).
        quiet: no progress.
        trusted: see `open_teacher`.

    Raises:
        UsageError: no photos, or no such teacher.
        StyleError: the teacher has failed on all photos.
    """
    paths = _photos(photos, view.limit)
    teacher = open_teacher(texts, trusted)
    with contextlib.closing(teacher):
        digest = digest_of(teacher.digest, f"{view.short_side} {view.enlarge}")
        made = Made(run / f"pairs-{digest[:8]}")
        if not ask:
            return made
        for name in ("before", "after"):
            (made.folder / name).mkdir(parents=True, exist_ok=True)
        todo = [(n, p) for n, p in names_of(photos, paths).items() if not _exists(made.folder, n)]
        if not todo:
            return made
        threads = workers or (MOST_WORKERS if teacher.parallel else 1)
        make = partial(_make, teacher=teacher, folder=made.folder, view=view)
        tried = 0
        with (
            Progress(len(todo), "photos", quiet=quiet) as progress,
            contextlib.closing(_in_threads(make, todo, threads)) as answers,
        ):
            for path, why in answers:
                progress.update()
                tried += 1
                if why:
                    made.failed[path] = why
                if tried == len(made.failed) == min(PATIENCE, len(paths)):
                    raise StyleError(
                        f'the teacher "{teacher.label}" failed on all of the first {tried} photos: '
                        f"{why}"
                    )
    return made


def names_of(folder: Path, paths: Iterable[Path]) -> dict[str, Path]:
    """A name for the pair of each photo: its own without suffix, whole where two are alike."""
    found: dict[str, Path] = {}
    for path in paths:
        inside = path.relative_to(folder)
        name = "-".join(inside.with_suffix("").parts)
        found[name if name not in found else "-".join(inside.parts).replace(".", "-")] = path
    return found


def see(path: Path, view: View) -> Image:
    """What the teacher sees of a photo, (H, W, 3) uint8 RGB.

    The part that is enlarged depends on the photo's name only.

    Raises:
        UsageError: it cannot be read.
    """
    photo = to_bytes(load_image(path, view.short_side))
    chance = zlib.crc32(path.name.encode("utf-8", "surrogateescape"))
    if view.enlarge <= 1 or chance % 2:
        return photo
    rng = np.random.default_rng(chance)
    height, width = photo.shape[:2]
    factor = rng.uniform(1, view.enlarge)
    rows, columns = round(height / factor), round(width / factor)
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    part = photo[top : top + rows, left : left + columns]
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC)


def _photos(folder: Path, limit: int) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f'no folder of photos "{folder}"')
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        kinds = ", ".join(sorted(SUFFIXES))
        raise UsageError(f'no photo in "{folder}"; photos are files ending in {kinds}')
    if limit and len(paths) > limit:
        paths = [paths[at] for at in np.linspace(0, len(paths) - 1, limit).round().astype(int)]
    return paths


def _exists(folder: Path, name: str) -> bool:
    return all((folder / side / f"{name}.png").is_file() for side in ("before", "after"))


def _make(job: tuple[str, Path], teacher: Teacher, folder: Path, view: View) -> tuple[Path, str]:
    """Make one pair; the photo, and why there is none."""
    name, path = job
    try:
        picture = see(path, view)
        answer = teacher(picture)
    except (TeacherFailed, UsageError) as error:
        return path, str(error)
    # The answer last: a pair is there when both are.
    for side, image in (("before", picture), ("after", answer)):
        with replacing(folder / side / f"{name}.png") as temporary:
            Pictures.fromarray(image).save(temporary, "PNG", compress_level=1)
    return path, ""


def _in_threads(
    make: Callable[[tuple[str, Path]], tuple[Path, str]],
    jobs: list[tuple[str, Path]],
    threads: int,
) -> Generator[tuple[Path, str], None, None]:
    """Answers as they come; closed early, nothing more is begun."""
    pool = ThreadPoolExecutor(threads, "teacher")
    try:
        waiting = {pool.submit(make, job) for job in jobs}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
