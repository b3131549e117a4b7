"""The loop: steps, averaged weights, checkpoints, log, contact sheets. Knows no loss.

A run folder holds `last.safetensors` (everything a resume needs), `log.jsonl` (one object per
logged step) and `sheet_<step>.png`.
"""

import copy
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from runtime.errors import StyleError, UsageError

from .checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from .data.images import to_bytes
from .methods import Method

LOG_EVERY = 50  # steps; losses of single steps are noise, the log keeps their mean


class Engine:
    """Runs a method to the end of its recipe.

    Args:
        method: what one step does.
        output: run folder.
        quiet: no progress on stderr.
    """

    def __init__(self, method: Method, output: Path, quiet: bool = False) -> None:
        self.method, self.output, self.quiet = method, Path(output), quiet
        self.recipe = method.recipe
        self.done = 0  # steps
        self.ema = copy.deepcopy(method.networks["generator"]) if self.recipe.ema else None
        if self.ema is not None:
            self.ema.requires_grad_(False).eval()

    @property
    def checkpoint_path(self) -> Path:
        """Where the newest state is kept."""
        return self.output / "last.safetensors"

    def resume(self) -> None:
        """Continue from `last.safetensors`: weights, moments, averages, random state and count.

        Raises:
            UsageError: the checkpoint belongs to another recipe.
        """
        checkpoint = load_checkpoint(self.checkpoint_path)
        ours = _comparable(self.recipe.to_dict())
        theirs = _comparable(checkpoint.recipe)
        for key in ours:
            if ours[key] != theirs.get(key):
                raise UsageError(
                    f'cannot resume {self.checkpoint_path}: its recipe has "{key}" = '
                    f"{theirs.get(key)!r}, this run has {ours[key]!r}"
                )
        for name, network in self.method.networks.items():
            network.load_state_dict(checkpoint.group(name))
        for name, optimizer in self.method.optimizers.items():
            restore_optimizer(optimizer, checkpoint.group("optimizer." + name))
        if self.ema is not None:
            self.ema.load_state_dict(checkpoint.group("ema"))
        self._call("restore_extra", checkpoint.group("extra"))
        self.method.rng.bit_generator.state = checkpoint.state["numpy"]
        torch.set_rng_state(checkpoint.tensors["torch_rng"])
        self.done = checkpoint.step

    def run(self, stop: int | None = None) -> None:
        """Train until the recipe's last step (or `stop`), saving on the way and at the end.

        Ctrl-C saves and re-raises KeyboardInterrupt.

        Raises:
            StyleError: a loss is not finite; names the step and the term.
        """
        self.output.mkdir(parents=True, exist_ok=True)
        end = min(stop or self.recipe.steps, self.recipe.steps)
        started, first = time.perf_counter(), self.done
        window: list[dict[str, float]] = []
        if not self.done:
            self._call("begin", self.output)
        try:
            while self.done < end:
                values = self.method.step(self.done)
                self._check_finite(values)
                self.done += 1
                self._average()
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
            if self.done > first or not self.recipe.steps:
                self.save()
        self.write_sheet()

    def _call(self, name: str, *arguments: Any) -> Any:
        """What a method may have beyond its obligations; None if it has not."""
        hook = getattr(self.method, name, None)
        return hook(*arguments) if hook is not None else None

    def save(self) -> None:
        """Write `last.safetensors`."""
        generator = self.method.networks["generator"]
        tensors: dict[str, Tensor] = {"torch_rng": torch.get_rng_state()}
        for name, network in self.method.networks.items():
            tensors |= {f"{name}.{k}": t for k, t in network.state_dict().items()}
        for name, optimizer in self.method.optimizers.items():
            tensors |= optimizer_tensors(optimizer, "optimizer." + name)
        extra = self._call("extra_tensors") or {}
        tensors |= {f"extra.{key}": tensor for key, tensor in extra.items()}
        if self.ema is not None:
            tensors |= {f"ema.{k}": t for k, t in self.ema.state_dict().items()}
        network = {"name": generator.name, **generator.config}
        state = {"numpy": self.method.rng.bit_generator.state}
        save_checkpoint(
            Checkpoint(network, self.recipe.to_dict(), self.done, tensors, state),
            self.checkpoint_path,
        )

    def write_sheet(self) -> Path:
        """Contact sheet of the averaged weights (of the raw ones when there is no average)."""
        generator = self.ema if self.ema is not None else self.method.networks["generator"]
        training = generator.training
        rows = self.method.sheet(generator.eval())
        generator.train(training)
        path = self.output / f"sheet_{self.done:06d}.png"
        Image.fromarray(contact_sheet(rows)).save(path)
        return path

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
                    f'step {self.done}: the term "{name}" is {value}; the last good state is in '
                    f"{self.checkpoint_path}. Lower optimizer.lr or the weight of {name}"
                )

    def _log(self, window: list[dict[str, float]], rate: float) -> None:
        names = sorted({name for values in window for name in values})
        means = {n: float(np.mean([v[n] for v in window if n in v])) for n in names}
        line = {"step": self.done, "steps_per_s": round(rate, 3)}
        line |= {name: round(value, 6) for name, value in means.items()}
        with open(self.output / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        trouble = self._call("diagnose", means)
        if trouble:
            print(f"step {self.done}: {trouble}", file=sys.stderr, flush=True)
        if not self.quiet:
            left = (self.recipe.steps - self.done) / max(rate, 1e-9)
            shown = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
            print(
                f"{self.done}/{self.recipe.steps}  {shown}  {rate:.2f} steps/s  "
                f"{int(left // 60)}:{int(left % 60):02d} left",
                file=sys.stderr,
                flush=True,
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
    """What must be equal for a resume to make sense: all but how often things are written."""
    flat = json.loads(json.dumps(recipe))
    for key in ("sheet_every", "save_every"):
        flat.pop(key, None)
    return flat
