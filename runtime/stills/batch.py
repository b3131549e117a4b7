"""Which pictures to paint, and where the results go."""

import glob
from pathlib import Path

from ..errors import OutputExists, SourceError, UsageError
from ..inputs import is_folder, list_folder
from ..outputs import check_output
from ..pictures.writing import FORMATS, format_of

# What counts as a picture in a folder: all we can write, and what Pillow reads besides.
READABLE = {
    *FORMATS,
    ".heic",
    ".heif",
    ".jfif",
    ".jp2",
    ".jxl",
    ".pbm",
    ".pgm",
    ".pnm",
    ".ppm",
    ".tga",
}
# Written instead of formats that can only be read.
FALLBACK = ".png"

Job = tuple[Path, Path]


def plan(
    inputs: list[str],
    output: str | None,
    style: str,
    *,
    overwrite: bool,
    skip_existing: bool,
    together: int = 1,
) -> tuple[list[Job], int]:
    """Pair inputs with outputs before any work is done.

    Args:
        inputs: files, folders and patterns.
        output: file or folder; None writes beside each input, as "photo-starry.jpg".
        style: the model's name, for those names.
        overwrite: existing outputs are replaced.
        skip_existing: existing outputs are left alone, and their inputs with them.
        together: files that make one scene: a left and a right view.

    Returns:
        (input, output) pairs, and the number skipped.

    Raises:
        SourceError: an input does not exist or holds no picture.
        UsageError, OutputExists: an output is impossible or already there; a view lacks the other.
    """
    sources = list(dict.fromkeys(path for text in inputs for path in expand(text)))
    # A pipe by that name is refused when it is opened.
    named = Path(inputs[0]) if len(sources) == len(inputs) == 1 else None
    single = named is not None and named.exists() and not named.is_dir()
    jobs = [(source, _target(source, output, style, single)) for source in sources]
    _check_distinct(jobs)
    if skip_existing:
        left = [job for job in jobs if not job[1].exists()]
        skipped = len(jobs) - len(left)
        jobs = left
    else:
        skipped = 0
    there = [target for _, target in jobs if target.exists() and not target.is_dir()]
    if len(there) > 1 and not overwrite:
        raise OutputExists(
            f'{len(there)} outputs exist, the first is "{there[0]}"; use another folder, '
            "--overwrite, or --skip-existing"
        )
    if len(jobs) % together:
        raise UsageError(
            f"--views pairs takes a left and a right view in turn, given are {len(jobs)}"
        )
    for _, target in jobs:
        format_of(target)
    for _, target in jobs:  # makes the folder, when all else is right
        check_output(target, overwrite=overwrite)
    return jobs, skipped


def expand(text: str) -> list[Path]:
    """The files an input stands for, sorted: itself, a folder's pictures, a pattern's matches."""
    path = Path(text).expanduser()
    if is_folder(path):
        found = [p for p in list_folder(path) if p.suffix.lower() in READABLE and p.is_file()]
        if not found:
            raise SourceError(f'the folder "{text}" holds no pictures')
        return found
    if path.exists():
        return [path]
    if glob.has_magic(text):
        found = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())
        if not found:
            raise SourceError(f'no picture matches "{text}"')
        return found
    raise SourceError(f'no picture "{text}"')


def _target(source: Path, output: str | None, style: str, single: bool) -> Path:
    suffix = source.suffix if source.suffix.lower() in FORMATS else FALLBACK
    if output is None:
        return source.with_name(f"{source.stem}-{style}{suffix}")
    folder = Path(output).expanduser()
    if single and not folder.is_dir() and not output.endswith(("/", "\\")):
        return folder
    if folder.is_file() or (folder.suffix.lower() in FORMATS and not folder.is_dir()):
        raise UsageError(f'several inputs need a folder as output, "{output}" is a file name')
    return folder / f"{source.stem}{suffix}"


def _check_distinct(jobs: list[Job]) -> None:
    seen: dict[Path, Path] = {}
    for source, target in jobs:
        if target in seen:
            raise UsageError(
                f'"{seen[target]}" and "{source}" would both be written to "{target}"; '
                "paint them in two runs"
            )
        seen[target] = source
