"""python -m runtime.doctor

Say what works on this machine and how to mend what does not: packages, wheels that overwrite each
other, execution providers (each runs a test model), encoders (each encodes frames), windows,
virtual camera, cameras with their modes, models.
"""

import argparse
from itertools import groupby

from . import cli
from .errors import DONE, UNAVAILABLE


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    parser = cli.new_parser("doctor", __doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the findings; exit 3 if something that every run needs is broken."""
    from . import doctor_checks

    found = doctor_checks.run_checks()
    if args.json:
        cli.print_json(doctor_checks.as_json(found))
    else:
        for group, members in groupby(found, key=lambda check: check.group):
            print(group)
            for check in members:
                print(f"  {check.status:<8}{check.name}: {check.detail}")
                if check.mend:
                    print(f"          -> {check.mend}")
    return UNAVAILABLE if any(check.status == "broken" for check in found) else DONE


def main(argv: list[str] | None = None) -> int:
    """Entry point."""
    return cli.run_command(lambda: run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
