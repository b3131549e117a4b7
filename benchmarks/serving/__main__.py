"""python -m benchmarks.serving --model starry-fast --clients 1,2,4,8

What a Triton server costs: several clients paint pictures at the same time, each with a session of
its own, or each through the server by gRPC, on one machine. Both ways and all numbers of clients
take turns, round by round; every network runs on one thread. Needs the server, which
`python -m export.environments triton` puts into .venv-triton: run it with the Python of that.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runtime import plugins
from runtime.cli import Progress, command_main, command_parser, parse_size
from runtime.errors import DONE, EngineUnavailable

from ..measuring.command import add_result_flags, check_result_file, deliver, listed, positive
from ..measuring.results import Row

if TYPE_CHECKING:
    from runtime.frame import Image
    from runtime.model.session import StyleSession

    from .server import Server

DIRECT, SERVED = "sessions", "server"
WAYS = (DIRECT, SERVED)
# Of the bundled photographs, the one whose size is asked for.
PHOTO = "chelsea.jpg"


@dataclass(slots=True)
class Case:
    """One way with a number of clients, and of each round: pictures per second, processor
    milliseconds of a picture on both sides, and the milliseconds of each picture."""

    way: str
    clients: int
    rates: list[float] = field(default_factory=list)
    processor_ms: list[float] = field(default_factory=list)
    latencies: list[list[float]] = field(default_factory=list)


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--model", default="starry", metavar="FILE", help="default: starry")
    add("--size", type=parse_size, default=(640, 480), metavar="WxH", help="default: 640x480")
    add(
        "--clients",
        type=listed(positive),
        default=[1, 2, 4, 8],
        metavar="A,B",
        help="at the same time",
    )
    add("--instances", type=positive, default=2, metavar="N", help="of the server (default: 2)")
    add("--pictures", type=positive, default=8, metavar="N", help="of each client and round")
    add("--rounds", type=positive, default=5, metavar="N")
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Start a server, and measure in turns."""
    from runtime.model import arrays, store
    from runtime.model.session import open_remote, open_session
    from runtime.pictures.reading import read_rgb

    from ..measuring import opening, results, rounds
    from ..measuring.calibration import Calibration, peaks

    path = check_result_file(args)
    if not plugins.installed("pytriton"):
        raise EngineUnavailable(
            "the server is not installed here: python -m export.environments triton, then "
            ".venv-triton/bin/python -m benchmarks.serving"
        )
    model = store.resolve(args.model)
    photo = arrays.resize(read_rgb(_photograph()), args.size[1], args.size[0])
    cases = [Case(way, clients) for clients in args.clients for way in WAYS]
    heat = Calibration()
    readings = [heat()]
    with ExitStack() as stack:
        server = stack.enter_context(_server(model, args, stack))
        address = f"grpc://127.0.0.1:{server.grpc_port}"
        most = max(args.clients)
        sessions: dict[str, list[StyleSession]] = {
            DIRECT: [
                stack.enter_context(open_session(model, device="cpu", threads=1))
                for _ in range(most)
            ],
            SERVED: [stack.enter_context(open_remote(address, model.stem)) for _ in range(most)],
        }
        for way in WAYS:
            _paint(sessions[way], photo, 1)
        with Progress(args.rounds, "rounds", quiet=args.quiet) as progress:
            for number in range(args.rounds):
                for case in cases if number % 2 == 0 else reversed(cases):
                    _measure(case, sessions[case.way], server, photo, args.pictures)
                readings.append(heat())
                progress.update()
    heat.close()
    kept = rounds.clean_rounds(readings, args.rounds)
    rows = [_row(case, cases, model.stem, args, kept) for case in cases]
    block = {
        "peak": {"t1": peaks(readings)},
        "readings": readings,
        "marked_rounds": sorted(rounds.marked_rounds(readings, args.rounds)),
    }
    settings = {
        "rounds": args.rounds,
        "pictures": args.pictures,
        "instances": args.instances,
        "server": "Triton 2.51 (nvidia-pytriton), gRPC on the loopback device",
        "sha256": opening.checksums([model]),
    }
    deliver(args, path, results.document("serving", rows, settings, block))
    return DONE


def _server(model: Path, args: argparse.Namespace, stack: ExitStack) -> "Server":
    """A server with this model alone; a network on one thread in each instance."""
    from export.triton import repository
    from export.triton.settings import Settings

    from .server import Server

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    (folder / "models").mkdir()
    settings = Settings(instances=args.instances, at_once=args.instances, threads=1, delay_ms=0)
    repository.write([model], folder / "models", settings, args.size)
    return Server(folder / "models", [model.stem], folder)


def _photograph() -> Path:
    import runtime

    return Path(runtime.__file__).resolve().parent / "photographs" / PHOTO


def _measure(
    case: Case, sessions: "Sequence[StyleSession]", server: "Server", photo: "Image", count: int
) -> None:
    """One round of one case."""

    def processor() -> float:
        return time.process_time() + server.processor_seconds()

    before, started = processor(), time.perf_counter()
    latencies = _paint(sessions[: case.clients], photo, count)
    case.rates.append(len(latencies) / (time.perf_counter() - started))
    case.processor_ms.append((processor() - before) * 1000 / len(latencies))
    case.latencies.append(latencies)


def _paint(sessions: "Sequence[StyleSession]", photo: "Image", count: int) -> list[float]:
    """Each session paints `count` pictures in a thread of its own, each picture for itself; the
    milliseconds of all pictures.

    Raises:
        StyleError: whatever one of them raised.
    """
    times: list[float] = []
    errors: list[BaseException] = []

    def work(session: "StyleSession") -> None:
        try:
            for _ in range(count):
                start = time.perf_counter()
                session.reset()
                session.stylize(photo)
                times.append((time.perf_counter() - start) * 1000)
        except BaseException as error:
            errors.append(error)

    _together([lambda session=session: work(session) for session in sessions])
    if errors:
        raise errors[0]
    return times


def _together(jobs: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _row(
    case: Case, cases: Sequence[Case], model: str, args: argparse.Namespace, kept: Sequence[int]
) -> Row:
    from ..measuring import results, statistics

    times = [value for index in kept for value in case.latencies[index]]
    (direct,) = (c for c in cases if (c.way, c.clients) == (DIRECT, case.clients))
    # Of each round's own: a busy moment slows both sides.
    rates = [case.rates[index] / direct.rates[index] for index in kept]
    processor = [case.processor_ms[index] / direct.processor_ms[index] for index in kept]
    width, height = args.size
    labels = {"model": model, "size": f"{width}x{height}", "way": case.way, "clients": case.clients}
    metrics = {
        "latency_p50_ms": round(statistics.median(times), 1),
        "latency_p95_ms": round(statistics.percentile(times, 95), 1),
        "rate_fps": round(statistics.median([case.rates[index] for index in kept]), 1),
        "rate_x_sessions": round(statistics.median(rates), 2),
        "processor_ms": round(statistics.median([case.processor_ms[i] for i in kept]), 1),
        "processor_x_sessions": round(statistics.median(processor), 2),
        "samples": len(times),
    }
    return results.row(labels, metrics)


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
