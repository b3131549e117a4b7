"""python -m runtime.batch --input clips/*.mp4 --output painted/ --model starry

Paint archives of clips and pictures on many machines: Ray gives the work to them (pip install
"impasto[ray]"). The result is that of one machine, frame by frame. Folders may be stores
(s3://bucket/clips). What is finished stands in manifest.jsonl among the outputs: the same command
goes on behind an interruption, and paints what is new.
"""

import argparse
import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from .. import cli
from ..errors import DONE, FAILED, EngineUnavailable, OutputExists
from ..fields import is_whole
from ..plugins import installed

if TYPE_CHECKING:
    from .cluster import Progress, Resources
    from .items import Item
    from .manifest import Manifest
    from .work import Settings, Signing

# Questions to a store at once: each waits for the network.
QUESTIONS = 16


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    from ..clips.flags import add_encoding_flags, add_painting_flags
    from ..clips.pieces import PIECE_FRAMES
    from ..model.flags import add_stylizer_flags
    from ..regions.options import add_region_flags

    parser = cli.new_parser("batch", __doc__)
    cli.add_common_flags(parser)
    cli.add_signing_flags(parser)
    parser.add_argument(
        "--input",
        "-i",
        nargs="+",
        required=True,
        metavar="PLACE",
        help="clips, pictures, folders, patterns (s3://bucket/**/*.mp4: folders below as well)",
    )
    parser.add_argument(
        "--output", "-o", required=True, metavar="PLACE", help="folder, on a disk or in a store"
    )
    parser.add_argument(
        "--skip-existing", action="store_true", help="leave outputs alone that are there"
    )
    cluster = parser.add_argument_group("machines")
    cluster.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help='of a running cluster ("auto": the one of this machine); default: this machine alone',
    )
    cluster.add_argument(
        "--jobs", type=_positive, metavar="N", help="painters at once (default: as many as fit)"
    )
    cluster.add_argument(
        "--cpus-per-job", type=_positive, default=1, metavar="N", help="of each (default: 1)"
    )
    cluster.add_argument(
        "--gpus-per-job",
        type=_share,
        default=0.0,
        metavar="F",
        help="of each: 0.25 puts four painters on a GPU (default: 0)",
    )
    cluster.add_argument(
        "--piece",
        type=_positive,
        default=PIECE_FRAMES,
        metavar="FRAMES",
        help="clips are divided at the first shot behind so many frames (default: %(default)s)",
    )
    cluster.add_argument(
        "--scratch", metavar="FOLDER", help="for copies of what lies in stores, on each machine"
    )
    add_painting_flags(parser)
    parser.add_argument(
        "--noise",
        type=cli.parse_fraction,
        metavar="0..1",
        help="soft input noise where the picture is flat, from which strokes grow in skies and "
        "walls (default: 0.15 for pictures, of models that were trained with noise; 0 for clips)",
    )
    parser.add_argument("--seed", type=int, default=0, help="which noise (default: 0)")
    reading = parser.add_argument_group("reading")
    reading.add_argument("--strict", action="store_true", help="refuse damaged clips")
    reading.add_argument(
        "--hdr",
        choices=("tonemap", "refuse"),
        default="tonemap",
        help="what to do with high dynamic range (default: tonemap)",
    )
    add_encoding_flags(parser.add_argument_group("writing clips").add_argument)
    add_stylizer_flags(parser)
    add_region_flags(parser)
    return parser


def _positive(text: str) -> int:
    if not is_whole(text) or not int(text):
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number above 0')
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of GPUs, 0 or more')
    return value


def run(args: argparse.Namespace) -> int:
    """Paint what is not done yet; items that fail are listed, the rest goes on."""
    if not installed("ray") or not installed("pyarrow"):
        raise EngineUnavailable("ray is not installed: pip install 'impasto[ray]'")
    from . import cluster
    from .items import find_items
    from .manifest import Manifest
    from .places import Place

    settings = _settings(args)
    items = find_items(args.input, args.output)
    if settings.signing is not None:
        signer = settings.signing.open()
        for item in items:
            signer.check(item.output, painted=settings.provenance is not None)
    manifest = Manifest(Place.parse(args.output))
    start = time.monotonic()
    books = _Books(manifest, settings, args.quiet)
    left, skipped = _left_to_do(items, books, args)
    if left:
        try:
            _paint(left, settings, _resources(args, cluster.Resources), books, args.quiet)
        finally:
            books.close()
    result = {
        "items": len(items),
        "painted": books.painted,
        "skipped": skipped,
        "failed": len(books.errors),
        "frames": books.frames,
        "seconds": round(time.monotonic() - start, 3),
        "model_sha256": settings.model_sha256,
        "errors": books.errors,
    }
    if args.json:
        cli.print_json(result)
    cli.say(
        f"{books.painted} painted, {skipped} done before, {len(books.errors)} failed",
        quiet=args.quiet,
    )
    return FAILED if books.errors else DONE


def _paint(
    items: "list[Item]",
    settings: "Settings",
    resources: "Resources",
    books: "_Books",
    quiet: bool,
) -> None:
    from . import cluster

    with cli.Progress(None, "pieces", quiet=quiet) as progress:
        try:
            cluster.paint(
                items, settings, resources, books.note, lambda count, _: progress.update()
            )
        except KeyboardInterrupt:
            cli.say(f"{books.painted} items are finished; the same command goes on behind them")
            raise


class _Books:
    """What became of the items, on stderr and in the manifest."""

    def __init__(self, manifest: "Manifest", settings: "Settings", quiet: bool) -> None:
        self.manifest, self.settings, self._quiet = manifest, settings, quiet
        self.painted = self.frames = 0
        self.errors: list[dict[str, str]] = []
        self._finished: list[Item] = []

    def note(self, state: "Progress") -> None:
        """An item is finished, or was given up."""
        from .work import is_result

        item, done = state.item, None
        if not state.error:
            done = is_result(item, self.settings)
            state.error = "" if done else "its output vanished"
        if done is None:
            self.errors.append({"input": item.input, "error": state.error})
            cli.say(f"error: {item.input}: {state.error}")
            self._add(item, 0, state.seconds, state.error)
            self._forget(item)
            return
        self.painted += 1
        self.frames += done.frames
        for text in [*state.notes, *done.notes]:
            cli.say(f"{item.input}: {text}", quiet=self._quiet)
        cli.say(f"{item.output}  {done.frames} frames", quiet=self._quiet)
        self._finished.append(item)
        self._add(item, done.frames, state.seconds, "")

    def _add(self, item: "Item", frames: int, seconds: float, error: str) -> None:
        from .manifest import Entry

        sha256, settings = self.settings.model_sha256, self.settings.checksum
        entry = Entry(
            item.input, item.output, frames, round(seconds, 3), sha256, settings, item.stamp, error
        )
        if self.manifest.add(entry):
            self._tidy()

    def _forget(self, item: "Item") -> None:
        """What a failed item leaves is kept if there is something painted in it."""
        if item.parts.is_folder():
            names = {place.name for place in item.parts.matches("*")}
            if all(name.endswith(".tries") for name in names):
                item.parts.remove_folder()

    def _tidy(self) -> None:
        """What the manifest says is finished needs its pieces no more."""
        while self._finished:
            self._finished.pop().parts.remove_folder()

    def close(self) -> None:
        """Write what is new."""
        self.manifest.save()
        self._tidy()


def _left_to_do(
    items: "list[Item]", books: _Books, args: argparse.Namespace
) -> "tuple[list[Item], int]":
    """Items without those that are finished, and how many those are.

    Raises:
        OutputExists: outputs are there that no run of ours left.
    """
    from .cluster import Progress
    from .places import Place
    from .work import forget_attempts, is_result

    def look(item: "Item") -> str:
        if books.manifest.is_done(item, books.settings.checksum):
            return "done"
        ours = item.parts.is_folder()
        if ours and is_result(item, books.settings):
            return "made"  # and not noted, because the run was killed
        if ours:
            forget_attempts(item)
        elif not args.overwrite and Place.parse(item.output).stamp() is not None:
            return "there"
        return "left"

    with ThreadPoolExecutor(QUESTIONS) as pool:
        states = list(zip(items, pool.map(look, items), strict=True))
    for item, state in states:
        if state == "made":
            books.note(Progress(item, set()))
    books.close()
    there = [item for item, state in states if state == "there"]
    if there and not args.skip_existing:
        raise OutputExists(
            f'{len(there)} outputs exist, the first is "{there[0].output}"; use another folder, '
            "--overwrite, or --skip-existing"
        )
    left = [item for item, state in states if state == "left"]
    return left, len(items) - len(left) - books.painted


def _resources(args: argparse.Namespace, kind: "type[Resources]") -> "Resources":
    return kind(
        address=args.ray_address,
        jobs=args.jobs,
        cpus=args.cpus_per_job,
        gpus=args.gpus_per_job,
        quiet=not args.verbose,
    )


def _settings(args: argparse.Namespace) -> "Settings":
    """What the flags say, and a checksum of all that decides the results."""
    from dataclasses import replace

    from ..checksum import sha256
    from ..clips.options import ClipOptions
    from ..model.flags import stylize_options
    from ..model.options import model_files, provenance_on
    from ..regions.options import regions_of, take_models
    from ..sinks.file import encoder_threads
    from ..stills.files import FileOptions
    from ..stills.painter import Options
    from .work import Settings

    part, beside = take_models(args)
    style = stylize_options(args)
    style = replace(style, threads=None if args.gpus_per_job else args.cpus_per_job)
    clip = ClipOptions(
        source={"strict": args.strict, "hdr": args.hdr},
        sink={
            "codec": args.codec,
            "quality": args.quality,
            "preset": args.preset,
            "encoder": args.encoder,
        },
        stabilizer=args.stabilizer,
        stability=args.stability,
        noise=args.noise or 0.0,
        seed=args.seed,
        size=args.size,
        regions=regions_of(part, beside, style),
        provenance=args.provenance,
    )
    still = Options(size=args.size, noise=args.noise, seed=args.seed, quiet=True)
    files = FileOptions(provenance=args.provenance)
    models = "+".join(sha256(path) for path in model_files(style))
    others = clip.regions.beside
    named = [sha256(path) for path in (model_files(others) if others else [])]
    named += [sha256(path) for path in _named_files(args)]
    signing = _signing(args)
    if signing is not None:
        named.append(sha256(signing.certificate))
    threads = encoder_threads()
    decisive = repr((style, clip, still, files, models, threads, named))
    return Settings(
        style=style,
        clip=clip,
        still=still,
        files=files,
        piece=args.piece,
        encoder_threads=threads,
        model_sha256=models,
        checksum=hashlib.sha256(decisive.encode()).hexdigest(),
        scratch=args.scratch,
        provenance=provenance_on([style, *([others] if others else [])])
        if args.provenance
        else None,
        pictures=args.ray_address is None,
        signing=signing,
    )


def _signing(args: argparse.Namespace) -> "Signing | None":
    """The files that sign. Raises as `cli.signer_of` on this machine, before the work."""
    from .work import Signing

    if cli.signer_of(args) is None:
        return None
    return Signing(args.sign.absolute(), args.sign_key.absolute() if args.sign_key else None)


def _named_files(args: argparse.Namespace) -> Iterator[Path]:
    """Pictures that the flags name, besides the inputs."""
    from ..model.flags import parse_styles

    names = [args.mask, *(name for text in args.style or () for name, _ in parse_styles(text))]
    for name in filter(None, names):
        if Path(name).is_file():
            yield Path(name)


main = cli.command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
