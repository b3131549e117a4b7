"""python -m training.train --recipe starry --output runs/starry

Trains a generator by a recipe. Needs photos (--content), a painting (--style) and the weights of
the loss network (--weights); what is not given is looked up in the folders that IMPASTO_DATA and
IMPASTO_WEIGHTS name. Stop it with Ctrl-C at any time: --resume goes on where it was, bit for bit.
Watch it in index.html of the run folder. On several GPUs: torchrun --nproc-per-node 2 -m
training.train, and the flags as ever.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cli import run_command
from runtime.errors import DONE, OutputExists, StyleError, UsageError
from runtime.inputs import inside

if TYPE_CHECKING:
    from .config import Recipe
    from .methods import Assets

ROOT = Path(__file__).resolve().parent.parent


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--recipe", required=True, help="bundled recipe, or a TOML file")
    parser.add_argument("--style", type=Path, help="the painting")
    parser.add_argument("--content", type=Path, help="folder of photos")
    parser.add_argument("--weights", type=Path, help="weights of the loss network: file or folder")
    parser.add_argument("--output", type=Path, help="run folder (default: runs/<recipe name>)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a recipe key"
    )
    parser.add_argument("--resume", action="store_true", help="continue the run in --output")
    parser.add_argument("--overwrite", action="store_true", help="start the run in --output anew")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--export",
        type=Path,
        metavar="FILE",
        help="write the model as ONNX at the end, also after Ctrl-C (adapt: into the run folder)",
    )
    parser.add_argument(
        "--budget", metavar="TIME", help="as many steps as fit: 90s, 10m, 1.5h (replaces steps)"
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    parser.add_argument(
        "--tensorboard", action="store_true", help="write an event file for TensorBoard as well"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the resolved recipe and stop")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


def run(args: argparse.Namespace) -> int:
    """Train; prints the run's checkpoint and the command that exports it."""
    from .config import load_recipe, with_painting

    recipe = load_recipe(args.recipe, args.set)
    if args.style and args.style.is_file():
        recipe = with_painting(recipe, args.recipe, args.style)
    if args.dry_run:
        print(json.dumps(recipe.to_dict(), indent=2))
        return DONE
    import torch

    from . import distributed
    from .device import pick_device

    if args.threads:
        torch.set_num_threads(args.threads)
    device = pick_device(args.device)
    distributed.join(device)
    try:
        return _train(args, recipe, device)
    finally:
        distributed.leave()


def _train(args: argparse.Namespace, recipe: "Recipe", device: str) -> int:
    from runtime.plugins import load

    from . import distributed, methods
    from .engine import Engine
    from .methods import Assets

    output = args.output or inside(Path("runs"), recipe.name, "the recipe")
    checkpoint = output / "last.safetensors"
    if checkpoint.exists() and not (args.resume or args.overwrite):
        raise OutputExists(f"{checkpoint} exists: pass --resume to continue or --overwrite")
    assets = Assets(args.style, args.content, args.weights, device)
    if args.budget:
        recipe = _fit(recipe, assets, args)
    method = load(methods, recipe.method)(recipe, assets)
    skipped = getattr(getattr(method, "photos", None), "skipped", [])
    if skipped and not args.quiet and distributed.is_main():
        print(f"{len(skipped)} unreadable photos skipped, the first {skipped[0]}", file=sys.stderr)
    engine = Engine(method, output, args.quiet, _watchers(args, output))
    if args.resume:
        engine.resume()
    elif args.overwrite and engine.main:
        (output / "log.jsonl").unlink(missing_ok=True)
    model = args.export
    if model is None and recipe.method == "adapt":
        model = output / f"{args.style.stem if args.style else recipe.name}.onnx"
    try:
        engine.run()
    finally:
        # Nothing to export if the very first step failed.
        if engine.main and model is not None and engine.checkpoint_path.exists():
            _export(engine.checkpoint_path, model, args.quiet)
    if not engine.main:
        return DONE
    print(model or engine.checkpoint_path)
    if model is None and not args.quiet:
        print(
            f"next: python -m export --checkpoint {engine.checkpoint_path} "
            f"--target onnx --output models/{recipe.name}.onnx",
            file=sys.stderr,
        )
    return DONE


def _watchers(args: argparse.Namespace, output: Path) -> list:
    from . import distributed

    if not (args.tensorboard and distributed.is_main()):
        return []
    from .tensorboard import TensorBoard

    return [TensorBoard(output)]


def _fit(recipe: "Recipe", assets: "Assets", args: argparse.Namespace) -> "Recipe":
    """The recipe with as many steps as the budget allows."""
    from runtime.plugins import load

    from . import distributed, methods
    from .budget import parse_budget, plan_steps

    seconds = parse_budget(args.budget)
    if args.resume or not recipe.steps:
        raise UsageError("--budget plans a new run: not with --resume, nor without steps")
    steps = plan_steps(load(methods, recipe.method)(recipe, assets), seconds)
    steps = distributed.agree(steps, assets.device)
    if not args.quiet and distributed.is_main():
        print(f"{steps} steps fit into {args.budget}", file=sys.stderr)
    return dataclasses.replace(recipe, steps=steps)


def _export(checkpoint: Path, model: Path, quiet: bool) -> None:
    """Run `python -m export` as the user would: nothing here imports what builds on training.

    Raises:
        StyleError: the export failed; its own message is on stderr.
    """
    words = ["--checkpoint", str(checkpoint.resolve()), "--output", str(model.resolve())]
    words.append("--overwrite")
    command = [sys.executable, "-m", "export", *words, *(["--quiet"] if quiet else [])]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise StyleError(f"export failed ({done.returncode}); the checkpoint is {checkpoint}")


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(lambda: run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
