"""python -m export.train --recipe adapt --style mine.jpg

Trains by a recipe with the flags of training.train and writes the model as ONNX at the end, also
when Ctrl-C ends the run early: --export FILE, or <painting>.onnx in the run folder. The recipe says
in which precision, and for how many steps the network learns to live with bytes before
([delivery]); a recipe about a clip ends in the painted clip as well.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cli import command_main, print_text, say
from runtime.errors import DONE
from training.run import RunOptions, options_of, show, train
from training.train import build_parser as training_parser
from training.train import read_recipe

from .finetune import finetuning_recipe, first_ranges
from .targets.onnx import OnnxTarget

if TYPE_CHECKING:
    from training.config import Recipe

BYTES = "int8"  # folder of the quantization-aware training, in that of the run


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = training_parser(__doc__)
    parser.add_argument(
        "--export",
        type=Path,
        metavar="FILE",
        help="model to write (default: <painting>.onnx in the run folder)",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Train and export; prints the model's path, and the painted clip's."""
    recipe, output = read_recipe(args)
    if args.dry_run:
        return show(recipe)
    options = options_of(args, output)
    name = options.style.stem if options.style else recipe.name
    delivery = _Delivery(recipe, options, args.export or output / f"{name}.onnx")

    def finish(checkpoint: Path) -> None:
        # A run that was ended early is not trained on.
        if not (recipe.delivery.finetune and _is_finished(checkpoint)):
            delivery.write(checkpoint)

    checkpoint = train(recipe, options, finish)
    if checkpoint is None:
        return DONE
    if recipe.delivery.finetune and _is_finished(checkpoint):
        delivery.write(delivery.finetune(checkpoint))
    print_text(delivery.model)
    if clip := recipe.options.get("clip"):
        print_text(delivery.paint(clip))
    return DONE


@dataclass(frozen=True)
class _Delivery:
    """What becomes of a trained network."""

    recipe: "Recipe"
    options: RunOptions
    model: Path

    def finetune(self, checkpoint: Path) -> Path:
        """Quantization-aware training of it; the checkpoint of that."""
        from training.checkpoint import NEWEST, load_checkpoint
        from training.config import find_data
        from training.pairs.held_out import seen

        options = self.options
        say("quantization-aware training", quiet=options.quiet)
        content = seen(options.output) or options.content
        content = content or find_data(self.recipe.data.content, "content")
        output = options.output / BYTES
        begun = options.resume and (output / NEWEST).is_file()
        if begun:
            from training.config import recipe_from_dict

            recipe = recipe_from_dict(load_checkpoint(output).recipe)
        else:
            trained = load_checkpoint(checkpoint)
            ranges = first_ranges(trained, content)
            steps = self.recipe.delivery.finetune
            recipe = finetuning_recipe(
                trained.recipe, trained.network, checkpoint, steps, ranges, []
            )
        how = RunOptions(
            output, None, content, None, begun, not begun, options.device, options.threads,
            quiet=options.quiet,
        )  # fmt: skip
        found = train(recipe, how)
        assert found is not None  # it is one process' work
        return found

    def write(self, checkpoint: Path) -> None:
        """The model and its report."""
        from training.pairs.held_out import seen

        from .artifact import Request, export
        from .verify.delivery import check_place

        path = check_place(self.model, OnnxTarget, overwrite=True)
        photos = seen(self.options.output)
        report = export(
            Request(
                "onnx", path, path.stem, checkpoint,
                precision=self.recipe.delivery.precision, photos=photos,
            ),
            lambda text: say(text, quiet=self.options.quiet),
        )  # fmt: skip
        judged = report.get("judged", {}).get("artefact", {})
        if "psnr_db" in judged:
            perceptual = judged.get("lpips_squeezenet")
            more = "" if perceptual is None else f", LPIPS-squeezenet {perceptual:.3f}"
            say(
                f"{judged['psnr_db']:.1f} dB to the teacher's pictures{more}",
                quiet=self.options.quiet,
            )

    def paint(self, clip: str) -> Path:
        """The clip in the new style, in the run's folder."""
        from runtime.clips.batch import Job
        from runtime.clips.options import ClipOptions
        from runtime.clips.runner import paint_clips
        from runtime.model.options import StylizeOptions, open_stylizer
        from training.config import find_data

        source = find_data(clip, "clip")
        target = self.options.output / f"{source.stem}-{self.model.stem}.mp4"
        stylizer = open_stylizer(StylizeOptions([(str(self.model), 1.0)]))
        try:
            paint_clips(
                [Job(str(source), str(target))],
                [stylizer],
                ClipOptions(stabilizer="best", overwrite=True),
                quiet=self.options.quiet,
            )
        finally:
            stylizer.close()
        return target


def _is_finished(checkpoint: Path) -> bool:
    from training.checkpoint import load_checkpoint

    found = load_checkpoint(checkpoint)
    return found.step >= int(found.recipe["steps"])


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
