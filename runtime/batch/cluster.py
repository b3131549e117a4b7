"""Ray does the work: which machine paints what, and what is done again where one fails.

Clips are planned by tasks. Then the pieces of all clips, and the pictures, are the rows of a
dataset: Ray Data maps a pool of actors over it, each with its models open, gives the next row to
whoever is free, starts actors anew that died, and repeats their row. Clips whose pieces are all
there are joined by tasks meanwhile.
"""

import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from ..card import JsonObject
from ..errors import StyleError
from . import work
from .items import Item
from .work import Settings

Row = JsonObject


@dataclass(frozen=True, slots=True)
class Resources:
    """What of a cluster is used.

    Attributes:
        address: of a running cluster ("auto", "10.0.0.1:6379"); None starts Ray on this machine.
        jobs: painters at once; None takes as many as fit.
        cpus: of each painter.
        gpus: of each painter, 0.25 for four on one GPU.
        quiet: nothing of Ray's own on stderr.
    """

    address: str | None = None
    jobs: int | None = None
    cpus: int = 1
    gpus: float = 0.0
    quiet: bool = True


class PaintActor:
    """A painter as Ray Data wants it: called with a row, answers with one."""

    def __init__(self, settings: Settings) -> None:
        self._painter = work.Painter(settings)

    def __call__(self, row: Row) -> Row:
        """Paint the piece that the row names; what became of it."""
        item, number = Item.from_json(json.loads(row["item"])), int(row["number"])
        start = time.monotonic()
        notes, error = work.attempt(item, f"{number:05}", lambda: self._painter.paint(item, number))
        return {
            "output": item.output,
            "number": number,
            "seconds": time.monotonic() - start,
            "notes": json.dumps(notes or []),
            "error": error,
        }


@dataclass(slots=True)
class Progress:
    """What is left of an item, and what was spent on it."""

    item: Item
    left: set[int]
    seconds: float = 0.0
    error: str = ""
    notes: list[str] = field(default_factory=list[str])


# What is told about each item as soon as it is finished or given up.
Report = Callable[[Progress], None]


def paint(
    items: list[Item],
    settings: Settings,
    resources: Resources,
    report: Report,
    step: Callable[[int, int], None],
) -> None:
    """Paint all items.

    Args:
        items: what to paint.
        settings: how.
        resources: with what.
        report: called for each item, whole or failed.
        step: called with pieces painted and pieces in all.
    """
    with _ray(resources) as ray:
        states = _planned(ray, items, settings, report)
        joins = _Joins(ray, settings, report)
        for state in [state for state in states.values() if not state.left]:
            # An earlier run had painted all of it.
            joins.begin(states.pop(state.item.output))
        total = sum(len(state.left) for state in states.values())
        for count, row in enumerate(_painted(ray, states, settings, resources), 1):
            step(count, total)
            state = states[row["output"]]
            state.left.discard(row["number"])
            state.seconds += row["seconds"]
            state.notes += json.loads(row["notes"])
            state.error = state.error or row["error"]
            if not state.left:
                _settle(states.pop(row["output"]), joins, report)
            joins.collect(wait=False)
        for state in states.values():
            state.error = state.error or work.DIED
            report(state)
        joins.collect(wait=True)


def _settle(state: Progress, joins: "_Joins", report: Report) -> None:
    """All pieces were tried."""
    if state.item.clip and not state.error:
        joins.begin(state)
    else:
        report(state)


def plan_item(item: Item, settings: Settings) -> Row:
    """The task that plans an item: numbers of its pieces that are not painted."""
    numbers, error = work.attempt(item, "plan", lambda: work.plan(item, settings))
    return {"numbers": numbers or [], "error": error}


def join_item(item: Item, settings: Settings) -> Row:
    """The task that joins a clip."""
    _, error = work.attempt(item, "join", lambda: work.join(item, settings))
    return {"error": error}


def _planned(
    ray: ModuleType, items: list[Item], settings: Settings, report: Report
) -> dict[str, Progress]:
    """Items by output, with the pieces to paint; those that cannot be read are reported."""
    states = {item.output: Progress(item, set()) for item in items}
    task = ray.remote(num_cpus=1, max_retries=work.ATTEMPTS)(plan_item)
    shared = ray.put(settings)
    waiting = {task.remote(item, shared): states[item.output] for item in items}
    while waiting:
        for future in ray.wait(list(waiting))[0]:
            state, row = waiting.pop(future), _row(ray, future)
            state.left, state.error = set(row.get("numbers", ())), row["error"]
            if state.error:
                report(states.pop(state.item.output))
    return states


class _Joins:
    """Clips that are being joined."""

    def __init__(self, ray: ModuleType, settings: Settings, report: Report) -> None:
        self._ray, self._report = ray, report
        # No share of a processor: the painters hold them all, and copying needs little of one.
        self._task = ray.remote(num_cpus=0, max_retries=work.ATTEMPTS)(join_item)
        self._settings = ray.put(settings)
        self._waiting: dict[object, Progress] = {}

    def begin(self, state: Progress) -> None:
        """Join a clip whose pieces are painted."""
        self._waiting[self._task.remote(state.item, self._settings)] = state

    def collect(self, *, wait: bool) -> None:
        """Report those that are ready, or all."""
        while self._waiting:
            ready, _ = self._ray.wait(list(self._waiting), timeout=None if wait else 0)
            for future in ready:
                state = self._waiting.pop(future)
                state.error = _row(self._ray, future)["error"]
                self._report(state)
            if not ready:
                return


def _row(ray: ModuleType, future: object) -> Row:
    """What a task answered; an error if its processes died again and again."""
    try:
        return ray.get(future)
    except ray.exceptions.RayError as error:
        return {"error": f"{work.DIED} ({type(error).__name__})"}


def _painted(
    ray: ModuleType, states: dict[str, Progress], settings: Settings, resources: Resources
) -> Iterator[Row]:
    """Rows of all pieces as they are done."""
    rows = [
        {"item": json.dumps(state.item.to_json()), "number": number}
        for state in states.values()
        for number in sorted(state.left)
    ]
    if not rows:
        return
    data = ray.data
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # what is lost nevertheless costs its item, not the run
    jobs = min(len(rows), resources.jobs or _fitting(ray, resources))
    dataset = data.from_items(rows, override_num_blocks=len(rows)).map(
        PaintActor,
        fn_constructor_args=(settings,),
        compute=data.ActorPoolStrategy(size=jobs, max_tasks_in_flight_per_actor=2),
        num_cpus=resources.cpus,
        num_gpus=resources.gpus or None,
    )
    try:
        yield from dataset.iter_rows()
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        words = str(cause).strip().splitlines()[-1]
        raise StyleError(f"painting ended early: {words}") from error


def _fitting(ray: ModuleType, resources: Resources) -> int:
    """Painters for which the cluster has room."""
    there = ray.cluster_resources()
    fitting = there.get("CPU", 1) / resources.cpus
    if resources.gpus:
        fitting = min(fitting, there.get("GPU", 0) / resources.gpus)
    return max(1, int(fitting))


@contextlib.contextmanager
def _ray(resources: Resources) -> Iterator[ModuleType]:
    """Ray, connected; SIGTERM ends the run as Ctrl-C does."""
    # Nothing goes to anybody unasked.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if resources.quiet:
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    import ray.data

    level = logging.ERROR if resources.quiet else logging.INFO
    logging.getLogger("ray.data").setLevel(level)
    own = {}
    if resources.address is None:
        own["num_cpus"] = max(os.cpu_count() or 1, (resources.jobs or 1) * resources.cpus)
        own["include_dashboard"] = False
    # Ray says on stdout what befalls its nodes, at the latest when it is shut down; others read
    # there what --json says.
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere if resources.quiet else sys.stderr),
    ):
        try:
            ray.init(
                # Without an address, Ray would look for a cluster that was begun on this machine.
                address=resources.address or "local",
                logging_level=level,
                log_to_driver=not resources.quiet,
                **own,
            )
        except ConnectionError as error:
            raise StyleError(
                f'no cluster of Ray answers at "{resources.address}" ({error}); if it asks for a '
                "token, set RAY_AUTH_MODE=token, which shows it that of this user"
            ) from None
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            yield ray
        finally:
            signal.signal(signal.SIGTERM, before)
            ray.shutdown()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
