"""Which clips a command means, and where the results go."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutputExists, SourceError, UsageError
from ..inputs import is_folder, list_folder
from ..media import muxing
from ..media.journal import SUFFIX as PARTS
from ..sources.images import PATTERN, list_pictures, list_sequence
from ..sources.pipe import is_pipe

# What counts as a clip in a folder.
_ENDINGS = (
    "3g2 3gp asf avi divx dv f4v flv gif m2ts m2v m4v mkv mov mp4 mpeg mpg mts mxf ogm ogv rm rmvb "
    "ts vob webm wmv y4m"
)
VIDEOS = frozenset(f".{ending}" for ending in _ENDINGS.split())
FALLBACK = ".mp4"  # written instead of formats that are only read


@dataclass(frozen=True)
class Job:
    """One input and its output, as the sources and sinks understand them."""

    input: str
    output: str


def plan(
    inputs: list[str], output: str | None, style: str, *, recursive: bool = False
) -> list[Job]:
    """Pair inputs with outputs before any work is done.

    Args:
        inputs: clips, folders of clips, folders of pictures (one clip each), patterns, "-".
        output: file, folder or "-"; None writes beside each input, as "clip-starry.mp4".
        style: the model's name, for those names.
        recursive: folders with all folders in them; an output folder gets the same folders.

    Raises:
        SourceError: an input does not exist or holds no clip.
        UsageError: two clips would be written to one output.
    """
    # Each clip once, with the folder that the output's folders are counted from.
    found = {spec: top for text in inputs for spec, top in _found(text, recursive)}
    several = len(found) > 1 or (Path(inputs[0]).is_dir() and inputs[0] not in found)
    jobs = [Job(spec, _target(spec, top, output, style, several)) for spec, top in found.items()]
    seen: dict[str, str] = {}
    for job in jobs:
        if job.output in seen:
            raise UsageError(
                f'"{seen[job.output]}" and "{job.input}" would both be written to '
                f'"{job.output}"; paint them in two runs'
            )
        seen[job.output] = job.input
        source, target = Path(job.input), Path(job.output)
        if source.is_file() and target.exists() and source.samefile(target):
            raise UsageError(f'"{job.input}" is input and output; give the output another name')
    return jobs


def _found(text: str, recursive: bool) -> list[tuple[str, Path]]:
    """The clips one input stands for, and the folder each is counted from."""
    path = Path(text)
    if not (recursive and is_folder(path)):
        return [(spec, Path(spec).parent) for spec in expand(text)]
    clips = [spec for folder in folders_in(path) for spec in _clips_in(folder)]
    if not clips:
        raise SourceError(f'"{text}" and the folders in it hold no clips and no pictures')
    return [(spec, path) for spec in clips]


def folders_in(folder: Path) -> list[Path]:
    """A folder and all folders below it, sorted; hidden ones and links to folders are left out."""
    below = [p for p in list_folder(folder) if p.is_dir() and not p.is_symlink()]
    shown = [p for p in below if not p.name.startswith(".") and p.suffix != PARTS]
    return [folder, *(inner for path in shown for inner in folders_in(path))]


def _clips_in(folder: Path) -> list[str]:
    clips = [p for p in list_folder(folder) if p.suffix.lower() in VIDEOS and p.is_file()]
    if clips:
        return [_as_path(str(clip)) for clip in clips]
    return [str(folder)] if list_pictures(str(folder)) else []


def expand(text: str) -> list[str]:
    """The clips one input stands for."""
    path = Path(text)
    if is_folder(path):
        clips = _clips_in(path)
        if clips:
            return clips
        raise SourceError(
            f'the folder "{text}" holds no clips and no pictures; --recursive looks into the '
            "folders in it"
        )
    if glob.has_magic(text) and "://" not in text and not os.path.lexists(text):
        found = sorted(glob.glob(text))
        clips = [_as_path(name) for name in found if Path(name).suffix.lower() in VIDEOS]
        if clips:
            return clips
        if found and list_pictures(text):
            return [text]
        raise SourceError(f'no clip matches "{text}"')
    return [text]


def _target(spec: str, top: Path, output: str | None, style: str, several: bool) -> str:
    source = Path(spec)
    suffix = source.suffix.lower()
    suffix = suffix if suffix in muxing.MUXERS else FALLBACK
    if output is None:
        if is_pipe(spec) or not (os.path.lexists(spec) or glob.has_magic(spec)):
            raise UsageError(f'input "{spec}" is no file to write beside; give --output')
        return _as_path(str(source.with_name(f"{source.stem}-{style}{suffix}")))
    into_folder = Path(output).is_dir() or output.endswith(("/", "\\"))
    if output in ("-", "null") or not (several or into_folder):
        if several and output == "-":
            raise UsageError("several clips cannot share one pipe; give a folder")
        return output
    if Path(output).suffix.lower() in muxing.MUXERS and not Path(output).is_dir():
        raise UsageError(f'several clips need a folder as output, "{output}" is a file name')
    if Path(output).suffix.lower() == ".png":
        raise UsageError(f'several clips cannot share the pictures "{output}"; give a folder')
    folder = Path(output)
    if os.path.lexists(spec):
        folder = folder / os.path.relpath(Path(spec).parent, top)
    return str(folder / f"{_stem(spec)}{suffix}")


def numbered(output: str, number: int) -> str:
    """Where a further part of a clip goes: `out-2.mp4`, `frames/2-%06d.png`."""
    if is_pipe(output) or output == "null":
        return output
    path = Path(output)
    if "%" in path.name or "*" in path.name:
        return str(path.with_name(f"{number}-{path.name}"))
    return str(path.with_name(f"{path.stem}-{number}{path.suffix}"))


def _stem(spec: str) -> str:
    if is_pipe(spec):
        return "stdin"
    # "synthetic:640x480@30" is no name of a file, "Screencast 12:30:00.mp4" is one.
    name = spec if os.path.lexists(spec) or "://" in spec else spec.partition(":")[0]
    return Path(name).stem or Path(spec).stem


def _as_path(name: str) -> str:
    """The name of a file so that nobody takes a colon in it for the end of a word of ours."""
    return os.path.join(".", name) if ":" in name.split(os.sep)[0] else name


def left_to_do(jobs: list[Job], skip_finished: bool, overwrite: bool) -> tuple[list[Job], int]:
    """Jobs without those whose output is finished; and how many were left out.

    Args:
        jobs: all of them.
        skip_finished: leave finished outputs alone (otherwise they are in the way).
        overwrite: replace them.

    Raises:
        OutputExists: several outputs are there, and nothing says what to do about it.
    """
    done = [job for job in jobs if is_finished(job.output)]
    if skip_finished:
        return [job for job in jobs if job not in done], len(done)
    if len(done) > 1 and not overwrite:
        raise OutputExists(
            f'{len(done)} outputs exist, the first is "{done[0].output}"; use another folder, '
            "--overwrite, or --skip-existing"
        )
    return jobs, 0


def is_finished(output: str) -> bool:
    """Whether an output is there and no unfinished state lies beside it."""
    from ..media.journal import Journal

    path = Path(output)
    if PATTERN.search(path.name):
        there = is_folder(path.parent) and bool(list_sequence(path.parent, path.name))
    else:
        there = path.is_file()
    return there and not Journal.is_unfinished(path)
