"""What commands that train have in common: their flags, and the run itself."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from runtime.errors import DONE, OutputExists


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of a run, as `training.train` has them."""
    parser.add_argument("--style", type=Path, help="the painting")
    parser.add_argument("--content", type=Path, help="folder of photos")
    parser.add_argument("--weights", type=Path, help="weights of the loss network: file or folder")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--resume", action="store_true", help="continue the run in --output")
    parser.add_argument("--overwrite", action="store_true", help="start the run anew")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    parser.add_argument("--dry-run", action="store_true", help="print the recipe and stop")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress")


def place(output: Path, args: argparse.Namespace) -> Path:
    """The run's checkpoint. Raises OutputExists: it is there, and nothing said what to do."""
    checkpoint = output / "last.safetensors"
    if checkpoint.exists() and not (args.resume or args.overwrite):
        raise OutputExists(f"{checkpoint} exists: pass --resume to continue or --overwrite")
    return checkpoint


def train(recipe: Any, output: Path, args: argparse.Namespace) -> int:
    """Train by the recipe; prints the checkpoint and the command that exports it."""
    if args.dry_run:
        print(json.dumps(recipe.to_dict(), indent=2))
        return DONE
    import torch

    from runtime.plugins import load
    from training import methods
    from training.device import pick_device
    from training.engine import Engine
    from training.methods import Assets

    if args.threads:
        torch.set_num_threads(args.threads)
    place(output, args)
    assets = Assets(args.style, args.content, args.weights, pick_device(args.device))
    engine = Engine(load(methods, recipe.method)(recipe, assets), output, args.quiet)
    if args.resume:
        engine.resume()
    elif args.overwrite:
        (output / "log.jsonl").unlink(missing_ok=True)
    engine.run()
    print(engine.checkpoint_path)
    if not args.quiet:
        print(
            f"next: python -m export --checkpoint {engine.checkpoint_path} "
            f"--precision int8 --output models/{recipe.name}.onnx",
            file=sys.stderr,
        )
    return DONE
