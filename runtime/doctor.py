"""python -m runtime.doctor

Say what works on this machine and how to mend what does not: first what you can do with Impasto
here, then what was tried: packages, wheels that overwrite each other, execution providers (each
runs a test model), encoders (each encodes frames), windows, virtual camera, cameras with their
modes, models. With --licenses: what is installed and under which terms. With --model FILE: what a
model takes and gives, how that is known, and how fast it is here. With --gpu: a minute's test of
an NVIDIA GPU with the model of --model, in every way there is; --report FILE writes it as JSON to
be sent back.
"""

import argparse
import json
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from . import cli
from .errors import DONE, GATE_REFUSED, UNAVAILABLE, UsageError
from .outputs import check_output, replacing

if TYPE_CHECKING:
    from .checks.machine import Check
    from .checks.summary import Ability

# What --gpu tries: GPUs compute in float, whole-frame int8 is for CPUs.
GPU_MODEL = "starry-fp32"
# What is printed for the states of a check: an option that is not there is no fault.
SHOWN = {"ok": "ok", "optional": "option", "broken": "broken"}


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    parser = cli.new_parser("doctor", __doc__)
    parser.add_argument(
        "--model", metavar="FILE", help="explain this model in a page, and time it here"
    )
    parser.add_argument(
        "--gpu", action="store_true", help=f"try {GPU_MODEL}, or --model, on the GPU for a minute"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.add_argument(
        "--licenses", action="store_true", help="list what is installed and its licenses"
    )
    parser.add_argument(
        "--sbom", type=Path, metavar="FILE", help="write that list as CycloneDX 1.6 (JSON)"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write what --gpu found as JSON, to send back"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing FILE")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the findings; exit 3 if something that every run needs is broken."""
    if args.report and not args.gpu:
        raise UsageError("--report is what --gpu found; give --gpu, too")
    if args.licenses or args.sbom:
        return _licenses(args)
    if args.gpu:
        return _gpu(args)
    if args.model:
        return _model(args)
    from .checks import machine
    from .checks.summary import abilities

    found = machine.run_checks()
    able = abilities(found)
    if args.json:
        summary = {ability.name: ability.works for ability in able}
        cli.print_json({**machine.as_json(found), "summary": summary})
    else:
        cli.print_text("\n".join([*summary_lines(able), "", *detail_lines(found)]))
    return UNAVAILABLE if any(check.status == "broken" for check in found) else DONE


def summary_lines(able: "Iterable[Ability]") -> list[str]:
    """What can be done here, with what to do about the rest."""
    lines = []
    for ability in able:
        answer = "ok" if ability.works else "no"
        lines.append(f"{ability.name:<9} {answer}" + (f": {ability.detail}" * bool(ability.detail)))
        if not ability.works and ability.mend:
            lines.append(f"          -> {ability.mend}")
    return lines


def detail_lines(found: "Iterable[Check]") -> list[str]:
    """Everything that was tried, by group."""
    lines = []
    for group, members in groupby(found, key=lambda check: check.group):
        lines.append(group)
        for check in members:
            lines.append(f"  {SHOWN[check.status]:<8}{check.name}: {check.detail}")
            if check.mend:
                lines.append(f"          -> {check.mend}")
    return lines


def _model(args: argparse.Namespace) -> int:
    from .checks import model_page
    from .model import store

    page = model_page.describe(store.resolve(args.model))
    if args.json:
        cli.print_json(page.facts)
    else:
        cli.print_text("\n".join(page.lines))
    return DONE


def _gpu(args: argparse.Namespace) -> int:
    from .checks import gpu
    from .model import store

    path = args.report and check_output(args.report, overwrite=args.overwrite)
    cli.say("a minute, please", quiet=args.json)
    page = gpu.self_test(store.resolve(args.model or GPU_MODEL))
    if args.json:
        cli.print_json(page.facts)
    else:
        cli.print_text("\n".join(page.lines))
    if path:
        with replacing(path, overwrite=args.overwrite) as made:
            made.write_text(json.dumps(page.facts, indent=2) + "\n", encoding="utf-8")
        cli.say(str(path), quiet=args.json)
    elif not args.json:
        cli.say("--report gpu.json writes all of it to a file that you can send back")
    return DONE if page.alike else GATE_REFUSED


def _licenses(args: argparse.Namespace) -> int:
    from .checks import licenses

    parts = licenses.components()
    if args.licenses:
        cli.print_text(licenses.text(parts))
    if args.sbom:
        path = check_output(args.sbom, overwrite=args.overwrite)
        with replacing(path, overwrite=args.overwrite) as made:
            made.write_text(json.dumps(licenses.sbom(parts), indent=2) + "\n", encoding="utf-8")
        cli.say(str(path))
    return DONE


main = cli.command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
