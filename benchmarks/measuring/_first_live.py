"""A fresh process that runs `runtime.webcam` and says when its first frame was shown; started by
`benchmarks.measuring.cold`. Prints monotonic nanoseconds."""

import sys
import time

from runtime.card import JsonObject


def main() -> None:
    """Run the command as typed, with the flags in `sys.argv`."""
    from runtime import cli, webcam

    args = webcam.build_parser().parse_args([*sys.argv[1:], "--json"])
    found: list[JsonObject] = []
    cli.print_json = found.append
    began = time.monotonic_ns()
    webcam.run(args)
    print(began + round(found[0]["first_frame_s"] * 1e9))
