"""The loop: steps, averaged weights, checkpoints, log, contact sheets. Knows no loss.

A run folder holds `last.safetensors` (everything a resume needs), `previous.safetensors` (the one
before it, should a disk have spoiled the last), `log.jsonl` (one object per logged step),
`sheet_<step>.png` and `index.html`, which shows them. With several processes all take every step
and the main one writes.
"""

import copy
import json
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from runtime.cli import say
from runtime.errors import StyleError, UsageError

from . import distributed, out_of_memory
from .checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from .config import recipe_from_dict
from .data.images import to_bytes
from .interruption import Interruption, only_run_in
from .methods import Method
from .page import Page

LOG_EVERY = 50  # steps; losses of single steps are noise, the log keeps their mean


class Watcher(Protocol):
    """Someone who wants to know how a run goes."""

    def log(self, step: int, means: dict[str, float]) -> None:
        """The means of the steps since the last call."""
        ...

    def sheet(self, step: int, path: Path) -> None:
        """A contact sheet was written."""
        ...


class Engine:
    """Runs a method to the end of its recipe.

    Args:
        method: what one step does.
        output: run folder.
        quiet: no progress on stderr.
        watchers: told of every log line and contact sheet, besides the page of the run.
    """

    def __init__(
        self, method: Method, output: Path, quiet: bool = False, watchers: Sequence[Watcher] = ()
    ) -> None:
        self.method, self.output = method, Path(output)
        self.main = distributed.is_main()
        self.quiet = quiet or not self.main
        self.recipe = method.recipe
        self.watchers = [Page(self.output, self.recipe.name, self.recipe.steps), *watchers]
        for network in method.networks.values():
            distributed.share_weights(network)
        self._constrain()
        self.done = 0  # steps
        self.ema = copy.deepcopy(method.networks["generator"]) if self.recipe.ema else None
        if self.ema is not None:
            self.ema.requires_grad_(False).eval()

    @property
    def checkpoint_path(self) -> Path:
        """Where the newest state is kept."""
        return self.output / "last.safetensors"

    @property
    def previous_path(self) -> Path:
        """Where the state before the newest one is kept."""
        return self.output / "previous.safetensors"

    def resume(self) -> None:
        """Continue from `last.safetensors`: weights, moments, averages, random state and count.

        Raises:
            UsageError: the checkpoint belongs to another recipe.
        """
        checkpoint = distributed.from_main(lambda: load_checkpoint(self.checkpoint_path))
        ours = _comparable(self.recipe.to_dict())
        # Through a recipe, so that keys younger than the checkpoint have their defaults.
        theirs = _comparable(recipe_from_dict(checkpoint.recipe).to_dict())
        for key in ours:
            if ours[key] != theirs.get(key):
                raise UsageError(
                    f'cannot resume {self.checkpoint_path}: its recipe has "{key}" = '
                    f"{theirs.get(key)!r}, this run has {ours[key]!r}"
                )
        for name, network in self.method.networks.items():
            try:
                network.load_state_dict(checkpoint.group(name))
            except RuntimeError as error:
                first = str(error).splitlines()[-1].strip()
                raise UsageError(
                    f"cannot resume {self.checkpoint_path}: it holds another network ({first})"
                ) from None
        try:
            self._restore(checkpoint)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            # Libraries say each in its own way that a state is not one of theirs.
            raise UsageError(
                f"cannot resume {self.checkpoint_path}: the state of its optimizers or of its "
                f"random numbers is damaged; {self.previous_path.name} is the one before"
            ) from None

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Everything but the weights."""
        for name, optimizer in self.method.optimizers.items():
            restore_optimizer(optimizer, checkpoint.group("optimizer." + name))
        if self.ema is not None:
            self.ema.load_state_dict(checkpoint.group("ema"))
        self.method.restore_extra(checkpoint.group("extra"))
        self.method.rng.bit_generator.state = checkpoint.state["numpy"]
        torch.set_rng_state(checkpoint.tensors["torch_rng"])
        if "scaler" in checkpoint.state and self._scaler() is not None:
            self._scaler().load_state_dict(checkpoint.state["scaler"])
        self.done = checkpoint.step

    def run(self, stop: int | None = None) -> None:
        """Train until the recipe's last step (or `stop`), saving on the way and at the end.

        Ctrl-C and SIGTERM are obeyed between two steps: the state is saved and KeyboardInterrupt
        raised. Whatever else ends the run, what is saved is a state between two steps.

        Raises:
            StyleError: a loss is not finite (names the step and the term), memory ran out (names
                what to lower), or another run trains in this folder.
        """
        self.output.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            if self.main:
                stack.enter_context(only_run_in(self.output))
            self._run(stack.enter_context(Interruption()), stop)

    def _run(self, interruption: Interruption, stop: int | None) -> None:
        end = min(stop or self.recipe.steps, self.recipe.steps)
        started, first = time.perf_counter(), self.done
        window: list[dict[str, float]] = []
        if not self.done and self.main:
            self.method.begin(self.output)
        distributed.wait()
        whole = True  # whether weights, moments and random numbers are of one moment
        try:
            while self.done < end:
                interruption.obey()
                start = self._random_state()
                made, whole = self._updates_made(), False
                try:
                    values = self._step()
                except BaseException:
                    # Before the first update of a step, the state is still that before the step.
                    whole = self._updates_made() == made
                    self._set_random_state(start)
                    raise
                self.done += 1
                if self.done == 1 and self.main:
                    # Of the run that this one replaces, now that it has something to show.
                    (self.output / "log.jsonl").unlink(missing_ok=True)
                self._constrain()
                self._average()
                whole = True
                window.append(values)
                if self.done % LOG_EVERY == 0 or self.done == end:
                    rate = (self.done - first) / (time.perf_counter() - started)
                    self._log(window, rate)
                    window = []
                if self.done % self.recipe.save_every == 0:
                    self.save()
                if self.done % self.recipe.sheet_every == 0:
                    self.write_sheet()
        finally:
            # Also on Ctrl-C: nothing that was computed is lost. A method without steps still has
            # weights to hand over.
            if whole and (self.done > first or not self.recipe.steps):
                self.save()
        self.write_sheet()

    def _step(self) -> dict[str, float]:
        with out_of_memory.advice(f"at step {self.done}", self._remedy()):
            try:
                values = self.method.step(self.done)
            except StyleError as error:
                raise type(error)(f"step {self.done}: {error}") from None
        self._check_finite(values)
        return values

    def _constrain(self) -> None:
        """Hold weights to what the configuration of their network asks of them, if it does."""
        for network in self.method.networks.values():
            if constrain := getattr(network, "constrain", None):
                constrain()

    def _updates_made(self) -> int:
        return self.method.updates.made

    def _random_state(self) -> tuple[Any, Tensor]:
        return self.method.rng.bit_generator.state, torch.get_rng_state()

    def _set_random_state(self, state: tuple[Any, Tensor]) -> None:
        numpy_state, torch_state = state
        self.method.rng.bit_generator.state = numpy_state
        torch.set_rng_state(torch_state)

    def _remedy(self) -> str:
        recipe = self.recipe
        return (
            f"lower data.crop ({recipe.data.crop}) or batch ({recipe.batch}), raise "
            f"compute.accumulate ({recipe.compute.accumulate}) or set compute.recompute=true"
        )

    def _scaler(self) -> Any:
        """The loss scale of float16, which an exact resume needs; None in other precisions."""
        scaler = self.method.updates.scaler
        return scaler if scaler is not None and scaler.is_enabled() else None

    def save(self) -> None:
        """Write `last.safetensors`."""
        if not self.main:
            return
        generator = self.method.networks["generator"]
        tensors: dict[str, Tensor] = {"torch_rng": torch.get_rng_state()}
        for name, network in self.method.networks.items():
            tensors |= {f"{name}.{k}": t for k, t in network.state_dict().items()}
        for name, optimizer in self.method.optimizers.items():
            tensors |= optimizer_tensors(optimizer, "optimizer." + name)
        extra = self.method.extra_tensors()
        tensors |= {f"extra.{key}": tensor for key, tensor in extra.items()}
        if self.ema is not None:
            tensors |= {f"ema.{k}": t for k, t in self.ema.state_dict().items()}
        network = {"name": generator.name, **generator.config}
        state = {"numpy": self.method.rng.bit_generator.state}
        if self._scaler() is not None:
            state["scaler"] = self._scaler().state_dict()
        save_checkpoint(
            Checkpoint(network, self.recipe.to_dict(), self.done, tensors, state),
            self.checkpoint_path,
            keep=self.previous_path,
        )

    def write_sheet(self) -> None:
        """Contact sheet of the averaged weights (of the raw ones when there is no average)."""
        if not self.main:
            return
        generator = self.ema if self.ema is not None else self.method.networks["generator"]
        training = generator.training
        rows = self.method.sheet(generator.eval())
        generator.train(training)
        path = self.output / f"sheet_{self.done:06d}.png"
        temporary = path.with_name("." + path.name)
        Image.fromarray(contact_sheet(rows)).save(temporary)
        temporary.replace(path)
        for watcher in self.watchers:
            watcher.sheet(self.done, path)

    @torch.no_grad()
    def _average(self) -> None:
        if self.ema is None:
            return
        # Young averages forget faster: the start of a run is not worth keeping.
        decay = min(self.recipe.ema, (1 + self.done) / (10 + self.done))
        generator = self.method.networks["generator"]
        averages, values = self.ema.state_dict(), generator.state_dict()
        for key, average in averages.items():
            if average.dtype.is_floating_point:
                average.lerp_(values[key], 1 - decay)
            else:
                average.copy_(values[key])

    def _check_finite(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise StyleError(
                    f'step {self.done}: the term "{name}" is {value}. Lower optimizer.lr or the '
                    f"weight of {name}"
                )

    def _log(self, window: list[dict[str, float]], rate: float) -> None:
        if not self.main:
            return
        names = sorted({name for values in window for name in values})
        means = {n: float(np.mean([v[n] for v in window if n in v])) for n in names}
        line = {"step": self.done, "steps_per_s": round(rate, 3)}
        line |= {name: round(value, 6) for name, value in means.items()}
        with open(self.output / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for watcher in self.watchers:
            watcher.log(self.done, means)
        trouble = self.method.diagnose(means)
        if trouble:
            say(f"step {self.done}: {trouble}")
        if not self.quiet:
            left = (self.recipe.steps - self.done) / max(rate, 1e-9)
            shown = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
            say(
                f"{self.done}/{self.recipe.steps}  {shown}  {rate:.2f} steps/s  "
                f"{int(left // 60)}:{int(left % 60):02d} left"
            )


def contact_sheet(rows: list[list[Tensor]], gap: int = 8) -> np.ndarray:
    """Lay out rows of pictures (1, 3, H, W) on white -> (H, W, 3) uint8."""
    images = [[to_bytes(image) for image in row] for row in rows]
    width = max(sum(i.shape[1] + gap for i in row) for row in images) + gap
    height = sum(max(i.shape[0] for i in row) + gap for row in images) + gap
    sheet = np.full((height, width, 3), 255, np.uint8)
    top = gap
    for row in images:
        left = gap
        for image in row:
            sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
            left += image.shape[1] + gap
        top += max(i.shape[0] for i in row) + gap
    return sheet


def _comparable(recipe: dict) -> dict:
    """What must be equal for a resume to make sense: all but how long it goes on, how often things
    are written, what the painting is called, and how the work is done."""
    flat = json.loads(json.dumps(recipe))
    for key in ("steps", "sheet_every", "save_every", "compute", "delivery"):
        flat.pop(key, None)
    for key in ("title", "artist", "license", "source"):
        flat.get("style", {}).pop(key, None)
    return flat
