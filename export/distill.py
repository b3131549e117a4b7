"""python -m export.distill --teacher runs/starry --student lean-c48n3r4

Trains a smaller network on a finished one: the teacher's pictures, the painting's style, motion and
grid-artifact losses together (training/methods/distill.py). The teacher's recipe is taken over;
change it with --set. The student is a run folder like any other: resume it, export it.
"""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.card import JsonObject
from runtime.cli import command_main, command_parser
from runtime.errors import UsageError
from training.run import add_arguments, default_folder, run_command_line

if TYPE_CHECKING:
    from training.config import Recipe

# Steps a student gets unless told otherwise: students with instance normalization still improve at
# 2000 and need the teacher's length to come near it.
STEPS = 20_000


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_parser(__doc__)
    parser.add_argument("--teacher", type=Path, required=True, help="run folder or checkpoint")
    parser.add_argument(
        "--student",
        default="lean-c48n3r4",
        help="lean-c<width>n<blocks>r<scale>; c48n3r4 is the default, c32n2r4 the fast one; or a "
        "run folder or checkpoint (of export.prune): its network, going on from its weights",
    )
    parser.add_argument("--output", type=Path, help="run folder (default: runs/<name>-<student>)")
    add_arguments(parser)
    return parser


def parse_student(text: str) -> JsonObject:
    """Network settings of a student like lean-c48n3r4. Raises UsageError naming the form."""
    match = re.fullmatch(r"lean-c(\d+)n(\d+)r(\d+)", text)
    if match is None:
        raise UsageError(f'student "{text}" is not lean-c<width>n<blocks>r<scale>: lean-c48n3r4')
    width, blocks, scale = map(int, match.groups())
    return {"name": "lean", "width": width, "blocks": blocks, "scale": scale}


def find_student(text: str) -> Path | None:
    """The checkpoint that `--student` names, None if it names a form of network."""
    path = Path(text)
    path = path / "last.safetensors" if path.is_dir() else path
    return path if path.is_file() else None


def student_recipe(teacher: Path, student: str, settings: list[str]) -> "Recipe":
    """The teacher's recipe, turned into its student's."""
    from training.checkpoint import load_checkpoint
    from training.config import apply_setting, recipe_from_dict
    from training.methods.distill import Options

    checkpoint = load_checkpoint(teacher)
    table = dict(checkpoint.recipe)
    started = find_student(student)
    label = started.parent.name if started else student
    table["name"] = f"{table.get('name') or 'run'}-{label}"
    table["method"], table["steps"] = "distill", STEPS
    if started:
        table["network"] = dict(load_checkpoint(started).network)
    else:
        table["network"] = student_network(parse_student(student), checkpoint.network)
    known = Options.__dataclass_fields__  # not those of the teacher's own method
    kept = {key: value for key, value in table.get("options", {}).items() if key in known}
    table["options"] = {**kept, "teacher": str(teacher)}
    start = str(started or pruned_start(teacher, checkpoint.network, table["network"]))
    if start:
        table["options"]["start"] = start
    for setting in settings:
        apply_setting(table, setting)
    return recipe_from_dict(table)


def student_network(shape: JsonObject, teacher: JsonObject) -> JsonObject:
    """A student's settings: where a lean teacher's convolutions repeat the picture's edge, its own
    do, too, and need no margin; zeros are kept out of sight by one as wide as they reach."""
    from training.networks import lean

    padding = teacher.get("padding", "zeros") if teacher.get("name") == "lean" else "zeros"
    if padding == "zeros":
        return {**shape, "margin": lean.reach(shape["blocks"], shape["scale"])}
    return {**shape, "padding": padding, "margin": 0}


def pruned_start(teacher: Path, network: JsonObject, student: JsonObject) -> str:
    """The teacher as the student's start, where the student is a smaller network of its kind."""
    kind = ("name", "scale", "normalization")
    alike = all(network.get(k) == student.get(k, network.get(k)) for k in kind)
    fits = alike and all(student[k] <= network[k] for k in ("width", "blocks"))
    return str(teacher) if fits else ""


def run(args: argparse.Namespace) -> int:
    """Train the student; prints its checkpoint and the command that exports it."""
    teacher = args.teacher / "last.safetensors" if args.teacher.is_dir() else args.teacher
    if find_student(args.student) is None:
        parse_student(args.student)
    recipe = student_recipe(teacher, args.student, args.set)
    output = args.output or default_folder(recipe)
    return run_command_line(recipe, args, output, "--precision int8")


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
