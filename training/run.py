"""One run of a recipe, as `training.train`, `export.distill` and `export.finetune` share it: their
flags, the budget, TensorBoard, resuming, several processes."""

import argparse
import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.card import JsonObject
from runtime.cli import print_text, say
from runtime.errors import DONE, OutputExists, SinkError, UsageError
from runtime.inputs import inside
from runtime.outputs import replacing

if TYPE_CHECKING:
    from .config import Recipe
    from .methods import Assets


# File of a run folder with the name of the run of torchrun that writes there.
ATTEMPT = ".torchrun"


@dataclass(frozen=True)
class RunOptions:
    """How a recipe is run; what a run computes stands in the recipe.

    Attributes:
        output: the run's folder.
        style: the painting; None finds it through the recipe, as the next two.
        content: folder of photos.
        weights: of the loss network, file or folder.
        resume: go on where the run in `output` was.
        overwrite: begin the run in `output` anew.
        device: "auto", "cpu" or "cuda".
        threads: of the CPU; None leaves the choice to PyTorch.
        budget: as many steps as fit, in the place of the recipe's: "90s", "10m", "1.5h".
        tensorboard: write an event file as well.
        quiet: no progress.
        teachers: those that the user named, which alone may be programs or functions: a recipe, or
            a run of somebody else's, is no reason to start one.
    """

    output: Path
    style: Path | None = None
    content: Path | None = None
    weights: Path | None = None
    resume: bool = False
    overwrite: bool = False
    device: str = "auto"
    threads: int | None = None
    budget: str = ""
    tensorboard: bool = False
    quiet: bool = False
    teachers: tuple[str, ...] = ()

    @property
    def checkpoint(self) -> Path:
        """Where the newest state is kept."""
        from .checkpoint import NEWEST

        return self.output / NEWEST


def add_arguments(parser: argparse.ArgumentParser, objective: bool = True) -> None:
    """The flags that every command that trains has; `objective`: and those of the objective."""
    add = parser.add_argument
    add("--content", type=Path, help="folder of photos")
    if objective:
        add("--style", type=Path, help="the painting")
        add("--weights", type=Path, help="weights of the loss network: file or folder")
    else:
        parser.set_defaults(style=None, weights=None)
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="change a recipe key")
    add("--resume", action="store_true", help="continue the run in --output")
    add("--overwrite", action="store_true", help="start the run in --output anew")
    add("--device", default="auto", help="auto, cpu or cuda")
    add(
        "--budget",
        default="",
        metavar="TIME",
        help="as many steps as fit: 90s, 10m, 1.5h (replaces steps)",
    )
    add("--threads", type=int, help="CPU threads (default: torch's choice)")
    add("--tensorboard", action="store_true", help="write an event file for TensorBoard as well")
    add("--dry-run", action="store_true", help="print the resolved recipe and stop")
    add("--quiet", "-q", action="store_true", help="no progress")


def options_of(args: argparse.Namespace, output: Path) -> RunOptions:
    """What the flags of `add_arguments` say."""
    own = ("output", "teachers")
    names = [field.name for field in dataclasses.fields(RunOptions) if field.name not in own]
    values = {name: getattr(args, name) for name in names}
    return RunOptions(output, teachers=_teachers_of(args), **values)


def _teachers_of(args: argparse.Namespace) -> tuple[str, ...]:
    """Those that `--teacher` and `--set` name."""
    from .config import apply_setting

    said: JsonObject = {"options": {"teacher": getattr(args, "teacher", None)}}
    for setting in args.set:
        apply_setting(said, setting)
    named = said["options"].get("teacher") if isinstance(said["options"], dict) else None
    listed = named if isinstance(named, list) else [named]
    return tuple(text for text in listed if isinstance(text, str))


def run_command_line(
    recipe: "Recipe", args: argparse.Namespace, output: Path, export_flags: str
) -> int:
    """Train as the flags of `add_arguments` say, or print the recipe (`--dry-run`).

    Prints the checkpoint on stdout, and on stderr the command that exports it, with `export_flags`,
    or the one that samples it.
    """
    if args.dry_run:
        return show(recipe)
    checkpoint = train(recipe, options_of(args, output))
    if checkpoint is None:
        return DONE
    print_text(checkpoint)
    if not args.quiet:
        say(f"next: {_next_command(recipe, output, export_flags)}")
    return DONE


def _next_command(recipe: "Recipe", output: Path, export_flags: str) -> str:
    """What a person does with a trained network: export it, or look at what it makes of noise."""
    from runtime.plugins import load

    from . import networks

    _, generator = load(networks, str(recipe.network["name"]))
    if getattr(generator, "from_noise", False):
        return f"python -m training.sample --checkpoint {output} --output {output / 'samples'}"
    command = f"python -m export --checkpoint {output} {export_flags}"
    return f"{command} --output {_proposed(output)}"


def _proposed(output: Path) -> Path:
    """A name for the model of a run: the folder's, but never that of one in models/."""
    from .checkpoint import MODELS

    name = output.resolve().name
    taken = any(MODELS.glob(f"{name}.*"))
    return Path("build") / f"{'my-' if taken else ''}{name}.onnx"


def resumed_recipe(
    output: Path, named: str | None, style: Path | None, settings: list[str]
) -> "Recipe":
    """The recipe of the run in a folder, with changes; those that would make it another run are
    refused by `Engine.resume`.

    Args:
        output: the run's folder.
        named: the recipe that the command line names as well.
        style: the painting that it names.
        settings: "key=value" changes.

    Raises:
        UsageError: there is no run, or it is one of another recipe or painting.
    """
    from .checkpoint import load_checkpoint
    from .config import apply_setting, load_recipe, recipe_from_dict

    table = load_checkpoint(output).recipe
    if named and load_recipe(named).name != table.get("name"):
        raise UsageError(
            f'"{output}" is a run of the recipe "{table.get("name")}", not of "{named}"; '
            "leave --recipe out, or choose another --output"
        )
    painting = Path(recipe_from_dict(table).style.image).name
    if style is not None and style.is_file() and painting != style.name:
        raise UsageError(
            f'"{output}" is a run with the painting "{painting}", not with "{style.name}"; leave '
            "--style out, or choose another --output"
        )
    for setting in settings:
        apply_setting(table, setting)
    return recipe_from_dict(table)


def default_folder(recipe: "Recipe") -> Path:
    """Where a run goes if nothing else is said."""
    return inside(Path("runs"), recipe.name, "the recipe")


def show(recipe: "Recipe") -> int:
    """Print the resolved recipe.

    Raises:
        UsageError: its method or its network has no such setting.
    """
    check_settings(recipe)
    print_text(json.dumps(recipe.to_dict(), indent=2))
    return DONE


def check_settings(recipe: "Recipe") -> None:
    """Raise UsageError for settings that the method or the network does not have, as a run would.

    What only a run knows (pictures, weights, the discriminators' shapes) is not looked at.
    """
    from importlib import import_module

    from runtime.fields import fill
    from runtime.plugins import load

    from . import methods, networks

    options = getattr(import_module(load(methods, recipe.method).__module__), "Options", None)
    if options is not None:
        fill(options, recipe.options, f'method "{recipe.method}"', "option")
    settings = {**recipe.network}
    name = str(settings.pop("name"))
    fill(load(networks, name)[0], settings, f'network "{name}"', "setting")


def check_output(options: RunOptions) -> None:
    """Raise OutputExists if there is a run already and nothing says what to do with it."""
    if options.checkpoint.exists() and not (options.resume or options.overwrite):
        raise OutputExists(f"{options.checkpoint} exists: pass --resume to continue or --overwrite")


def train(
    recipe: "Recipe", options: RunOptions, finish: Callable[[Path], None] | None = None
) -> Path | None:
    """Run a recipe to its end.

    Args:
        recipe: what to train.
        options: how.
        finish: called with the checkpoint by the main process, also when Ctrl-C or an error ends
            the run, but not if there is no checkpoint.

    Returns:
        the checkpoint; None in all processes but the main one.

    Raises:
        OutputExists: as `check_output`.
        StyleError: as `Engine.resume` and `Engine.run`.
    """
    import torch

    from . import distributed
    from .device import pick_device

    if options.threads:
        torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    distributed.join(device)
    try:
        return _train(recipe, options, device, finish)
    finally:
        distributed.leave()


def _train(
    recipe: "Recipe", options: RunOptions, device: str, finish: Callable[[Path], None] | None
) -> Path | None:
    from runtime.plugins import load

    from . import distributed, methods
    from .backbones import available
    from .engine import Engine
    from .methods import Assets

    resuming = _goes_on(options, device)
    if not resuming:
        check_output(options)
    quiet = options.quiet or not distributed.is_main()
    painting = options.style or _stored_painting(recipe, options.output)
    assets = Assets(
        painting, options.content, options.weights, device, options.output, quiet, options.teachers
    )
    backbone = available(recipe.backbone.name, options.weights)
    if backbone != recipe.backbone.name:
        if not quiet:
            say(f"loss network: {backbone}, which is here")
        recipe = dataclasses.replace(
            recipe, backbone=dataclasses.replace(recipe.backbone, name=backbone)
        )
    if options.budget:
        recipe = _fit(recipe, assets, options, resuming)
    method: methods.Method = load(methods, recipe.method)(recipe, assets)
    notes = list(method.notes)
    if skipped := method.unreadable():
        notes.append(f"{len(skipped)} unreadable photos skipped, the first {skipped[0]}")
    for note in notes:
        say(note, quiet=quiet)
    watchers = []
    if options.tensorboard and distributed.is_main():
        from .tensorboard import TensorBoard

        watchers.append(TensorBoard(options.output))
    engine = Engine(method, options.output, quiet, watchers)
    if engine.main:
        _note_attempt(options)
        _store_painting(recipe, painting, options.output)
    if resuming:
        engine.resume()
        if engine.done >= recipe.steps and not quiet:
            say(f"finished after {engine.done} steps; --steps N goes on to a later one")
    try:
        engine.run()
    finally:
        # There is no checkpoint if the very first step failed.
        if finish is not None and engine.main and engine.checkpoint_path.exists():
            finish(engine.checkpoint_path)
    return engine.checkpoint_path if engine.main else None


def _stored_painting(recipe: "Recipe", output: Path) -> Path | None:
    """The painting as it was stored with this run, or with one that this one starts from."""
    from .checkpoint import checkpoint_of

    name = Path(recipe.style.image).name
    starts = [recipe.options.get(key) for key in ("teacher", "start", "base", "original")]
    folders = [
        output,
        *(
            checkpoint_of(Path(start)).parent
            for start in starts
            if isinstance(start, str) and start
        ),
    ]
    found = [folder / name for folder in folders if name and (folder / name).is_file()]
    return found[0] if found else None


def _store_painting(recipe: "Recipe", given: Path | None, output: Path) -> None:
    """Keep a copy of the painting with the run: a student and the checks of an export need it."""
    from .config import find_data

    name = Path(recipe.style.image).name
    if not name or (output / name).exists():
        return
    try:
        source = given or find_data(recipe.style.image, "style")
    except UsageError:
        return  # a method that needs none
    if not source.is_file():
        return
    output.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(output / name) as copy:
            shutil.copyfile(source, copy)
    except OSError as error:
        raise SinkError(f'"{output / name}" cannot be written: {error.strerror}') from None


def _goes_on(options: RunOptions, device: str) -> bool:
    """Whether the run in the folder is gone on with: because that was asked for, or because
    `torchrun` has begun it and started its processes anew since."""
    from . import distributed

    again = distributed.agree_on_most(distributed.restarts(), device)
    name, noted = distributed.run_id(), options.output / ATTEMPT
    ours = bool(name) and noted.is_file() and noted.read_text("utf-8") == name
    started_anew = ours and options.checkpoint.exists() and (again > 0 or not options.overwrite)
    return bool(distributed.agree(int(options.resume or started_anew), device))


def _note_attempt(options: RunOptions) -> None:
    """Leave the name of torchrun's run, by which its next attempt knows that this was one."""
    from . import distributed

    if distributed.run_id():
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / ATTEMPT).write_text(distributed.run_id(), "utf-8")


def _fit(recipe: "Recipe", assets: "Assets", options: RunOptions, resuming: bool) -> "Recipe":
    """The recipe with as many steps as the budget allows."""
    from runtime.plugins import load

    from . import distributed, methods
    from .budget import parse_budget, plan_steps

    seconds = parse_budget(options.budget)
    if resuming and not options.resume:
        from .checkpoint import load_checkpoint

        steps = distributed.from_main(lambda: load_checkpoint(options.checkpoint).recipe["steps"])
        return dataclasses.replace(recipe, steps=steps)
    if options.resume or not recipe.steps:
        raise UsageError("--budget plans a new run: not with --resume, nor without steps")
    steps = plan_steps(load(methods, recipe.method)(recipe, assets), seconds)
    steps = distributed.agree(steps, assets.device)
    if not options.quiet and distributed.is_main():
        say(f"{steps} steps fit into {options.budget}")
    return dataclasses.replace(recipe, steps=steps)
