"""Clips painted one after the other, or several at once, each with a stylizer of its own."""

import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count, takewhile
from pathlib import Path
from queue import SimpleQueue

from ..cli import say
from ..errors import DONE, FAILED, INTERRUPTED, StyleError
from ..meter import Meter
from ..model.stylizer import Stylizer
from .batch import Job, is_finished, numbered
from .excerpt import Span, open_excerpt
from .options import ClipOptions
from .painter import Outcome, paint_clip
from .pipeline import Watcher
from .progress import BatchProgress, ClipProgress

STAGES = ("decode", "style", "stabilize", "encode")


# What became of a job: None for one that the end of the run came before.
Ending = Outcome | StyleError | None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of all clips.

    Attributes:
        endings: what became of each job, in their order; several of one that was split.
        seconds: wall time.
        meter: the stage times of all clips.
    """

    endings: list[Ending]
    seconds: float
    meter: Meter

    @property
    def outcomes(self) -> list[Outcome]:
        """Of the clips that were painted, wholly or in part."""
        return [ending for ending in self.endings if isinstance(ending, Outcome)]

    @property
    def failures(self) -> int:
        """Clips that could not be painted, and those that lack a stream they should have."""
        failed = sum(isinstance(ending, StyleError) for ending in self.endings)
        return failed + sum(outcome.failed for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """Of a command that did this."""
        stopped = any(outcome.interrupted for outcome in self.outcomes)
        if stopped or None in self.endings:
            return INTERRUPTED
        return FAILED if self.failures else DONE

    def summary(self, stylizer: Stylizer, skipped: int) -> dict[str, object]:
        """The object of `--json`: one clip's facts, or totals with a list of clips.

        Args:
            stylizer: what the clips were painted with.
            skipped: jobs that were left out.
        """
        facts = [outcome.facts for outcome in self.outcomes]
        common: dict[str, object] = {
            "stages_ms": self._stages(),
            "engine": stylizer.engine,
            "device": stylizer.device,
            "model": stylizer.label,
            "model_sha256": stylizer.digest,
        }
        if len(self.endings) == 1 and facts:
            return {**facts[0], **common}
        frames = sum(clip["frames_out"] - clip["resumed_frames"] for clip in facts)
        return {
            "frames_in": sum(clip["frames_in"] for clip in facts),
            "frames_out": sum(clip["frames_out"] for clip in facts),
            "width": facts[0]["width"] if facts else 0,
            "height": facts[0]["height"] if facts else 0,
            "fps": round(frames / self.seconds, 3) if self.seconds else 0.0,
            **common,
            "failed": self.failures,
            "skipped": skipped,
            "clips": facts,
        }

    def _stages(self) -> dict[str, object]:
        """Stage times with all four stages present, as the contract of `--json` says."""
        stages = self.meter.summary()["stages_ms"]
        empty: dict[str, float] = {"p50": 0.0, "p95": 0.0, "p99": 0.0, "count": 0}
        return {name: stages.get(name, empty) for name in STAGES}


def paint_clips(
    jobs: Sequence[Job],
    stylizers: Sequence[Stylizer],
    options: ClipOptions,
    *,
    stop: threading.Event | None = None,
    quiet: bool = True,
    progress: str = "auto",
) -> Result:
    """Paint all clips, as many at once as there are stylizers.

    A clip has its stylizer for itself from its first frame to its last, because models remember the
    scene they paint: so the results are the same however many there are.

    Args:
        jobs: from where to where.
        stylizers: at least one, all alike (`open_stylizer` of the same options).
        options: what to do with every clip.
        stop: set it to end early with playable outputs.
        quiet: errors only on stderr.
        progress: how it is shown, one of `console.MODES`.

    Raises:
        StyleError: the only clip failed. One of several is reported, and the others go on.
    """
    mode = "none" if quiet else progress
    run = _Run(stylizers, options, stop or threading.Event(), len(jobs) > 1, quiet, mode)
    start = time.perf_counter()
    if len(stylizers) == 1:
        endings = [ending for job in jobs for ending in run.paint(job)]
    else:
        endings = list[Ending]()
        with (
            BatchProgress(len(jobs), mode) as watcher,
            ThreadPoolExecutor(len(stylizers), "clip") as pool,
        ):
            run.watcher = watcher
            for several in pool.map(run.paint, jobs):
                endings += several
                watcher.finished()
    return Result(endings, time.perf_counter() - start, run.meter)


class _Run:
    """What the clips of one run have in common."""

    def __init__(
        self,
        stylizers: Sequence[Stylizer],
        options: ClipOptions,
        stop: threading.Event,
        several: bool,
        quiet: bool,
        mode: str,
    ) -> None:
        # Of all clips at once; None to watch each by itself.
        self.watcher: Watcher | None = None
        self.meter = Meter()
        self._options, self._stop, self._several, self._quiet = options, stop, several, quiet
        self._mode = mode
        self._free: SimpleQueue[Stylizer] = SimpleQueue()
        for stylizer in stylizers:
            self._free.put(stylizer)

    def paint(self, job: Job) -> list[Ending]:
        """Paint one clip: into one output, or one for each size of its pictures."""
        endings, span = list[Ending](), self._options.span
        for number in count(1):
            part = job if number == 1 else replace(job, output=numbered(job.output, number))
            if self._is_left_alone(part):
                frames, rest = self._look_through(job, span)
            else:
                ending = self._paint_one(part, replace(self._options, span=span))
                endings.append(ending)
                if not isinstance(ending, Outcome) or ending.interrupted:
                    break
                frames, rest = ending.facts["frames_out"], ending.rest
            left = None if span.frames is None else span.frames - frames
            if rest is None or left == 0 or self._stop.is_set():
                break
            span = Span(rest, span.end, left)
        return endings

    def _is_left_alone(self, part: Job) -> bool:
        """Whether a part of a clip that is split was finished by the run that is resumed."""
        options = self._options
        splits = options.source.get("on_size_change") == "split"
        return splits and options.resume and not options.overwrite and is_finished(part.output)

    def _look_through(self, job: Job, span: Span) -> tuple[int, Fraction | None]:
        """Frames of a part that is painted already, and where the next one begins."""
        with open_excerpt(job.input, span, **self._options.source) as source:
            frames = sum(1 for _ in takewhile(lambda _: not self._stop.is_set(), source))
            return frames, source.rest

    def _paint_one(self, job: Job, options: ClipOptions) -> Ending:
        """Paint into one output; report what went wrong if it is one of several."""
        if self._stop.is_set():
            return None
        stylizer = self._free.get()
        try:
            outcome = self._paint(job, stylizer, options)
        except StyleError as error:
            if not self._several:
                raise
            say(f"error: {job.input}: {error}")
            return error
        except BaseException:
            self._stop.set()  # clips beside this one end playable, then it is raised
            raise
        finally:
            self._free.put(stylizer)
        self._tell(outcome)
        return outcome

    def _paint(self, job: Job, stylizer: Stylizer, options: ClipOptions) -> Outcome:
        with contextlib.ExitStack() as stack:

            def begin(total: int | None) -> Watcher:
                if self.watcher is not None:
                    return self.watcher
                return stack.enter_context(ClipProgress(total, self._mode))

            return paint_clip(job, stylizer, options, self.meter, stop=self._stop, begin=begin)

    def _tell(self, outcome: Outcome) -> None:
        facts = outcome.facts
        prefix = f"{Path(outcome.job.input).name}: " if self._several else ""
        for note in outcome.notes:
            say(f"{prefix}{note}", quiet=self._quiet)
        if outcome.interrupted:
            say(
                f'{prefix}stopped after {facts["frames_out"]} frames; "{outcome.job.output}" plays '
                "up to there; the same command with --resume goes on"
                if facts["frames_out"]
                else f"{prefix}stopped before the first frame was finished"
            )
            return
        say(
            f"{outcome.job.output}  {facts['frames_out']} frames  "
            f"{facts['width']}x{facts['height']}  {facts['fps']:.1f} frames/s",
            quiet=self._quiet,
        )
