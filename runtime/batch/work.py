"""What a worker does: plans an item, paints a piece of it, joins the pieces. Knows nothing of Ray.

While an item is made, the folder `<output>.pieces` lies beside its output, in whatever store:

    plan.json             how the clip is divided, and what it was divided for
    00003.json            what a journal says of the segments of the third piece, once it is painted
    00003-00000.seg ...   these segments
    00003.begun ...       until then: what of it is whole (`handover`)
    00003.tries           for each time the piece was begun, what went wrong
    result.json           the output is there
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from ..card import JsonObject
from ..clips import pieces
from ..clips.options import ClipOptions
from ..errors import CardMismatch, StyleError
from ..inputs import inside
from ..media.journal import Segment, is_whole
from ..meter import Meter
from ..model.options import StylizeOptions, open_stylizer
from ..provenance import Provenance
from ..provenance.signing import Signer
from ..regions.matte import Matte
from ..regions.segmenter import Segmenter
from ..stills.files import FileOptions, paint_file
from ..stills.painter import Options as StillOptions
from ..stills.painter import StillPainter
from ..stills.parts import Parts
from . import records
from .handover import Handover
from .items import Item
from .places import Place
from .records import Done

ATTEMPTS = 3
# What stands among the tries meanwhile, and remains if the process does not live to write more.
DIED = "the process that worked on it died"
PLAN, RESULT = "plan.json", "result.json"


@dataclass(frozen=True, slots=True)
class Signing:
    """Files that sign, under the same names on all machines: a key does not travel.

    Attributes:
        certificate, key: as `Signer` takes them.
    """

    certificate: Path
    key: Path | None = None

    def open(self) -> Signer:
        """Raises what `Signer` raises."""
        return Signer(self.certificate, self.key)


@dataclass(frozen=True, slots=True)
class Settings:
    """What all workers of a run are told.

    Attributes:
        style: models and effects.
        clip: what is done with clips.
        still, files: and with pictures.
        piece: frames after which a piece of a clip may end.
        encoder_threads: of one process on the machine that began the run.
        model_sha256: what a worker must find under the models' names.
        checksum: of all of this that decides the results.
        scratch: folder for copies; None takes the system's.
        provenance: what the files say made them; None for nothing.
        pictures: painted pictures are kept until they are encoded, where outputs are on a disk:
            of one machine, because those of a network have other things to do.
        signing: what signs the outputs; None for nobody.
    """

    style: StylizeOptions
    clip: ClipOptions
    still: StillOptions
    files: FileOptions
    piece: int
    encoder_threads: int
    model_sha256: str
    checksum: str
    scratch: str | None = None
    provenance: Provenance | None = None
    pictures: bool = True
    signing: Signing | None = None

    def signer(self) -> Signer | None:
        """What signs on this machine. Raises what `Signer` raises."""
        return None if self.signing is None else self.signing.open()


def is_result(item: Item, settings: Settings) -> Done | None:
    """What an earlier run made of the item, with these settings, if it did not live to note it."""
    values = item.parts.child(RESULT).read_json()
    if not _fits(values, item, settings) or Place.parse(item.output).stamp() is None:
        return None
    return records.read(Done, values)


def plan(item: Item, settings: Settings) -> list[int]:
    """Numbers of the pieces that are not painted yet.

    Raises:
        StyleError: the item cannot be read.
    """
    if not item.clip:
        return [0]
    values = item.parts.child(PLAN).read_json()
    known = records.read_plan(values) if _fits(values, item, settings) else None
    if known is None:
        item.parts.remove_folder()
        known = _plan(item, settings)
        item.parts.child(PLAN).write_json({**_header(item, settings), **asdict(known)})
        return list(range(len(known.pieces)))
    painted = {place.name for place in item.parts.matches("*.json")}
    numbers = range(len(known.pieces))
    return [n for n in numbers if f"{n:05}.json" not in painted or _segments(item, n) is None]


def _plan(item: Item, settings: Settings) -> pieces.Plan:
    with _Scratch(settings) as scratch, ExitStack() as closing:
        return pieces.plan_pieces(
            scratch.input(item),
            settings.clip,
            lambda: closing.enter_context(open_stylizer(settings.style)),
            target=settings.piece,
            threads=settings.encoder_threads,
        )


class Painter:
    """Keeps the models open, and the input of the piece before: the next one is often of it.

    Raises:
        StyleError: the models cannot be opened, or are not those of the run.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stylizer = open_stylizer(settings.style)
        other = settings.clip.regions.beside
        self._beside = [] if other is None else [open_stylizer(other)]
        self._segmenter: Segmenter | None = None
        if self._stylizer.digest != settings.model_sha256:
            raise CardMismatch(
                f'"{self._stylizer.model_path}" is another file here than where the run was begun; '
                "copy the same models to all machines"
            )
        self._scratch = _Scratch(settings)

    def paint(self, item: Item, number: int) -> list[str]:
        """Paint one piece of an item; what it made lies beside the item's output.

        Returns:
            What a user should know, one line each.

        Raises:
            StyleError: see `paint_piece` and `paint_file`.
        """
        source = self._scratch.input(item)
        with tempfile.TemporaryDirectory(dir=self._scratch.folder) as folder:
            if item.clip:
                return self._paint_clip(item, number, source, Path(folder))
            self._paint_picture(item, source, Path(folder))
            return []

    def _paint_clip(self, item: Item, number: int, source: Path, folder: Path) -> list[str]:
        planned, settings = _read_plan(item), self._settings
        scratch = folder / "before"
        scratch.mkdir()
        header = _header(item, settings)
        handover = Handover(item, number, header, scratch, pictures=settings.pictures)
        try:
            painted = pieces.paint_piece(
                source,
                planned.pieces[number],
                planned,
                folder / Place.parse(item.output).name,
                [self._stylizer, *self._beside],
                settings.clip,
                Meter(),
                handover.begun(),
            )
        except Exception:
            # What was taken over may be the reason: the next attempt begins anew.
            handover.forget()
            raise
        handover.finish()
        if not painted.taken:
            return []
        return [f"{painted.taken} frames of a piece were there of a worker that ended"]

    def _paint_picture(self, item: Item, source: Path, folder: Path) -> None:
        settings, output = self._settings, Place.parse(item.output)
        notes: list[str] = []
        painter = StillPainter(self._stylizer, settings.still, notes.append)
        painter.parts = self._parts()
        made = folder / output.name
        files = replace(settings.files, signer=settings.signer())
        done = paint_file(source, made, painter, files, Meter())
        output.put(made)
        _note_result(item, settings, Done(done.frames_out, [*notes, *done.notes]))

    def _parts(self) -> Parts | None:
        region = self._settings.clip.regions.region
        if region == "all":
            return None
        self._segmenter = self._segmenter or Segmenter()
        beside = [StillPainter(s, self._settings.still, lambda _: None) for s in self._beside]
        return Parts(region, Matte(self._segmenter, calm=False), beside[0] if beside else None)


def join(item: Item, settings: Settings) -> None:
    """Make a clip's file of its painted pieces.

    Raises:
        StyleError: see `join_pieces`; a segment is missing.
    """
    output = Place.parse(item.output)
    planned = _read_plan(item)
    with _Scratch(settings) as scratch:
        folder = scratch.folder / "segments"
        folder.mkdir()
        segments: list[pieces.Closed] = []
        for number in range(len(planned.pieces)):
            for segment in _segments(item, number) or ():
                file = inside(folder, segment.file, f'"{item.parts}"')
                item.parts.child(segment.file).fetch(file)
                if not is_whole(folder, segment):
                    item.parts.child(f"{number:05}.json").write_json(None)
                    raise StyleError(
                        f'"{item.parts.child(segment.file)}" is not what was painted: the next run '
                        "paints that piece again"
                    )
                segments.append((segment, file))
        made = scratch.folder / output.name
        clip = replace(settings.clip, signer=settings.signer())
        notes = pieces.join_pieces(
            scratch.input(item), planned, segments, made, clip, settings.provenance
        )
        output.put(made)
    _note_result(item, settings, Done(planned.frames, notes))


T = TypeVar("T")


def attempt(item: Item, name: str, work: Callable[[], T]) -> tuple[T | None, str]:
    """Do the work, unless it has failed `ATTEMPTS` times already, in this process or in others.

    Args:
        item: what is worked on.
        name: of the work, among those of the item.
        work: what to do.

    Returns:
        What `work` returned, and ""; or None, and what went wrong the last time.
    """
    tries = item.parts.child(f"{name}.tries")
    told = records.read_tries(tries.read_json())
    while len(told) < ATTEMPTS:
        tries.write_json([*told, DIED])
        try:
            return work(), ""
        except Exception as error:  # whatever it is, it must not cost the other items
            known = isinstance(error, StyleError)
            told.append(str(error) if known else f"{type(error).__name__}: {error}")
    tries.write_json(told)
    return None, told[-1]


def forget_attempts(item: Item) -> None:
    """Before a new run: what failed may be tried again."""
    if item.parts.is_folder():
        for place in item.parts.matches("*.tries"):
            place.write_json([])


class _Scratch:
    """A folder for copies of what lies in stores; files on disks are used where they are."""

    def __init__(self, settings: Settings) -> None:
        if settings.scratch is not None:
            Path(settings.scratch).mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(prefix="impasto-", dir=settings.scratch)
        self.folder = Path(self._folder.name)
        self._copied: tuple[str, Path] | None = None

    def input(self, item: Item) -> Path:
        """The item's input as a file."""
        place = Place.parse(item.input)
        if place.local is not None:
            return place.local
        if self._copied is not None and self._copied[0] == item.input:
            return self._copied[1]
        if self._copied is not None:
            self._copied[1].unlink(missing_ok=True)
        path = self.folder / f"input-{place.name}"
        place.fetch(path)
        self._copied = (item.input, path)
        return path

    def __enter__(self) -> "_Scratch":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _header(item: Item, settings: Settings) -> JsonObject:
    return {"settings": settings.checksum, "stamp": asdict(item.stamp)}


def _fits(values: object, item: Item, settings: Settings) -> bool:
    wanted = _header(item, settings)
    return isinstance(values, dict) and all(values.get(key) == wanted[key] for key in wanted)


def _note_result(item: Item, settings: Settings, done: Done) -> None:
    item.parts.child(RESULT).write_json({**_header(item, settings), **asdict(done)})


def _read_plan(item: Item) -> pieces.Plan:
    plan = records.read_plan(item.parts.child(PLAN).read_json())
    if plan is None:
        raise StyleError(f'"{item.parts}" was removed or changed while its clip was painted')
    return plan


def _segments(item: Item, number: int) -> list[Segment] | None:
    return records.read_segments(item.parts.child(f"{number:05}.json").read_json())
