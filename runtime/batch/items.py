"""What there is to paint, and where it goes."""

import glob
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath, PureWindowsPath

from ..card import JsonObject
from ..clips.batch import FALLBACK as CLIP_FALLBACK
from ..clips.batch import VIDEOS
from ..errors import SourceError, UsageError
from ..media.muxing import MUXERS
from ..pictures.writing import FORMATS
from ..stills.batch import FALLBACK as PICTURE_FALLBACK
from ..stills.batch import READABLE
from .places import Place, Stamp

# Beside an output while it is made: its plan, and what was painted of it.
PARTS = ".pieces"


@dataclass(frozen=True, slots=True)
class Item:
    """One clip or picture.

    Attributes:
        input, output: addresses.
        clip: False for a picture.
        stamp: of the input.
    """

    input: str
    output: str
    clip: bool
    stamp: Stamp

    @property
    def parts(self) -> Place:
        """Folder of what is unfinished."""
        output = Place.parse(self.output)
        return Place(output.store, output.path + PARTS, output.query)

    def to_json(self) -> JsonObject:
        """Values that JSON can hold."""
        return asdict(self)

    @staticmethod
    def from_json(values: JsonObject) -> "Item":
        """The way back."""
        return Item(**{**values, "stamp": Stamp(**values["stamp"])})


def find_items(inputs: Iterable[str], output: str) -> list[Item]:
    """All clips and pictures that the inputs mean, each with its output.

    Args:
        inputs: files, folders, and patterns in a file's name ("s3://bucket/clips/*.mp4"); "**/"
            before the name means folders below as well, which the output gets, too.
        output: folder of the outputs.

    Raises:
        SourceError: nothing is there.
        UsageError: two would be written to one output, or an output would replace an input.
    """
    folder = Place.parse(output)
    items: list[Item] = []
    seen: dict[str, str] = {}
    for place, below in (found for text in inputs for found in _expand(text)):
        if ".." in {*PurePosixPath(below).parts, *PureWindowsPath(below + place.name).parts}:
            raise UsageError(f'"{place}" has ".." in its key: it would be written elsewhere')
        stamp = place.stamp()
        if stamp is None:
            raise SourceError(f'no input "{place}"')
        suffix = PurePosixPath(place.name).suffix.lower()
        clip = suffix in VIDEOS
        kept = suffix in (MUXERS if clip else FORMATS)
        ending = PurePosixPath(place.name).suffix
        if not kept:
            ending = CLIP_FALLBACK if clip else PICTURE_FALLBACK
        name = below + PurePosixPath(place.name).stem + ending
        target = folder.child(name)
        if str(target) in seen:
            if seen[str(target)] == str(place):
                continue  # named twice
            raise UsageError(
                f'"{seen[str(target)]}" and "{place}" would both be written to "{target}"; '
                "paint them in two runs"
            )
        if str(target) == str(place):
            raise UsageError(f'"{place}" is input and output; give another folder')
        seen[str(target)] = str(place)
        items.append(Item(str(place), str(target), clip, stamp))
    return items


def _expand(text: str) -> list[tuple[Place, str]]:
    """Files with the folder below the pattern's, "" or "a/b/"."""
    place = Place.parse(text)
    if place.is_folder():
        found = [p for p in place.matches("*") if _is_paintable(p)]
        if not found:
            raise SourceError(f'the folder "{text}" holds no clips and no pictures')
        return [(p, "") for p in found]
    if place.stamp() is not None or not glob.has_magic(place.path):
        return [(place, "")]
    base, _, name = place.path.rpartition("/")
    deep = base.endswith("/**")
    base = base.removesuffix("/**")
    if glob.has_magic(base):
        raise UsageError(f'"{text}": patterns stand in a file\'s name, or are "**/" before it')
    folder = Place(place.store, base, place.query)
    found = [p for p in folder.matches(name, deep=deep) if _is_paintable(p)]
    if not found:
        raise SourceError(f'no clip and no picture matches "{text}"')
    return [(p, p.path[len(base) :].strip("/").removesuffix(p.name)) for p in found]


def _is_paintable(place: Place) -> bool:
    return PurePosixPath(place.name).suffix.lower() in {*VIDEOS, *READABLE}
