"""How the loss of a batch becomes an optimizer step: in parts, on several processes, in any
precision, compiled or not. Methods say what the loss is, nothing here knows.

A loss that is a mean over the pictures of a batch has the same gradient however the batch is
divided:

    grad L(batch) = sum over parts of (pictures in the part / pictures in the batch) grad L(part)
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.checkpoint import checkpoint

from runtime.cli import say
from runtime.errors import StyleError, UsageError

from . import distributed
from .config import Recipe
from .losses import ENERGY
from .out_of_memory import is_out_of_memory

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}
BACKEND = "inductor"  # torch.compile's own default

Values = Mapping[str, Tensor | float]


class Updates:
    """Optimizer steps as `recipe.compute` and `recipe.precision` want them.

    Args:
        recipe: of the run.
        device: "cpu" or "cuda".

    Raises:
        UsageError: an unknown precision, or a batch smaller than what it is divided into.
    """

    def __init__(self, recipe: Recipe, device: str) -> None:
        if recipe.precision not in PRECISIONS:
            allowed = ", ".join(PRECISIONS)
            raise UsageError(f'precision is "{recipe.precision}", allowed are {allowed}')
        self.compute, self.device, self.clip = recipe.compute, device, recipe.optimizer.clip
        self.dtype = PRECISIONS[recipe.precision]
        # float16 ends at 6e-8, where many gradients live: the loss is enlarged by as much as does
        # not overflow (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2).
        self.scaler = torch.amp.GradScaler(device, enabled=self.dtype is torch.float16)
        # Pictures that are worked on at once, at least.
        self.smallest_part = recipe.batch // (max(1, self.compute.accumulate) * distributed.world())
        self.made = 0  # optimizer steps taken: whether a failed training step changed weights
        self._compiled: dict[nn.Module, Callable[..., Any]] = {}
        if recipe.steps:
            self.parts(recipe.batch)

    def check_whole(self, networks: Mapping[str, nn.Module]) -> None:
        """Refuse to divide batches that a network normalizes over: it would learn something else.

        Raises:
            UsageError: one has batch normalization, and batches are divided.
        """
        parts, processes = self.compute.accumulate, distributed.world()
        for name, network in networks.items():
            norms = (layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
            if parts * processes > 1 and any(norms):
                raise UsageError(
                    f"the {name} normalizes over its whole batch: compute.accumulate is {parts} on "
                    f"{processes} processes, allowed is 1 on one"
                )

    def autocast(self) -> torch.autocast:
        """The precision of forward passes."""
        return torch.autocast(self.device, self.dtype, self.dtype is not None)

    def parts(self, count: int) -> list[slice]:
        """Rows of a batch of `count` pictures that this process works on, one part after another.

        Raises:
            UsageError: fewer pictures than parts.
        """
        each, processes = max(1, self.compute.accumulate), distributed.world()
        total = each * processes
        if count < total:
            raise UsageError(
                f"a batch of {count} cannot be divided into {total} parts ({processes} processes, "
                f"compute.accumulate {each}): raise batch"
            )
        edges = [count * index // total for index in range(total + 1)]
        first = each * distributed.rank()
        return [slice(edges[i], edges[i + 1]) for i in range(first, first + each)]

    def own(self, count: int) -> slice:
        """Rows of a batch of `count` pictures that this process works on."""
        parts = self.parts(count)
        return slice(parts[0].start, parts[-1].stop)

    def minimize(
        self, count: int, loss: Callable[[slice], Values], optimizer: Optimizer, *others: Optimizer
    ) -> dict[str, float]:
        """One step of the optimizers on a batch of `count` pictures.

        Args:
            loss: rows of the batch -> named scalars, means over these rows; "total" is minimized.
                Called under `autocast`.
            optimizer: the norm of its weights' gradient is clipped.
            others: step as well, not clipped.

        Returns:
            The scalars of the whole batch.

        Raises:
            StyleError: a scalar or a gradient is not finite; no weight has changed.
        """
        sums: dict[str, Tensor] = {}
        for rows in self.parts(count):
            share = (rows.stop - rows.start) / count
            with self.autocast():
                values = loss(rows)
            self.scaler.scale(share * torch.as_tensor(values["total"])).backward()
            for name, value in values.items():
                kept = torch.as_tensor(value).detach()
                sums[name] = share * kept + sums.get(name, 0.0)
        optimizers = (optimizer, *others)
        distributed.add_up([p.grad for o in optimizers for p in _weights(o) if p.grad is not None])
        numbers = torch.tensor([float(value) for value in sums.values()], dtype=torch.float64)
        if distributed.world() > 1:
            numbers = numbers.to(self.device)
            distributed.add_up([numbers])
        totals = dict(zip(sums, numbers.tolist(), strict=True))
        self._refuse_not_finite(totals, optimizers)
        if self.clip:
            self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(_weights(optimizer), self.clip)
        self.made += 1
        for each in optimizers:
            self.scaler.step(each)
            each.zero_grad(set_to_none=True)
        self.scaler.update()
        return totals

    def _refuse_not_finite(
        self, totals: dict[str, float], optimizers: tuple[Optimizer, ...]
    ) -> None:
        """Look before weights change: a step made from NaN spoils everything after it."""
        bad = next((name for name, value in totals.items() if not math.isfinite(value)), None)
        if bad is None and not self.scaler.is_enabled():  # which skips steps that overflow
            grads = [p.grad for o in optimizers for p in _weights(o) if p.grad is not None]
            norm = float(nn.utils.get_total_norm(grads)) if grads else 0.0
            bad = None if math.isfinite(norm) else "the gradient"
        if bad is None:
            return
        for each in optimizers:
            each.zero_grad(set_to_none=True)
        told = f'the term "{bad}" is {totals[bad]}' if bad in totals else f"{bad} is not finite"
        raise StyleError(f"{told}. Lower optimizer.lr or the weight of that term")

    def energies(
        self, count: int, features: Callable[[slice], Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Mean squares of the whole batch, under `ENERGY` and the layer's name, for the parts of a
        batch; nothing where it is computed in one piece, which knows its own.

        Args:
            features: rows of the batch -> layer -> features. Called under `autocast`.
        """
        parts = self.parts(count)
        if len(parts) * distributed.world() == 1:
            return {}
        sums: dict[str, Tensor] = {}
        for rows in parts:
            with torch.no_grad(), self.autocast():
                for layer, found in features(rows).items():
                    share = (rows.stop - rows.start) / count
                    square = share * found.float().square().mean()
                    sums[ENERGY + layer] = square + sums.get(ENERGY + layer, 0.0)
        distributed.add_up(list(sums.values()))
        return sums

    def gather(self, pieces: list[Tensor], count: int) -> Tensor:
        """The whole batch from the parts that all processes made, detached."""
        own = torch.cat([piece.detach() for piece in pieces])
        if distributed.world() == 1:
            return own
        whole = own.new_zeros(count, *own.shape[1:])
        first = self.parts(count)[0].start
        whole[first : first + len(own)] = own
        distributed.add_up([whole])
        return whole

    def call(self, network: nn.Module, *inputs: Tensor) -> Any:
        """`network(*inputs)`, compiled or computed twice where the recipe asks for it."""
        run = self._compile(network) if self.compute.compile else network
        if self.compute.recompute and torch.is_grad_enabled():
            return checkpoint(run, *inputs, use_reentrant=False)
        return run(*inputs)

    def _compile(self, network: nn.Module) -> Callable[..., Any]:
        if network not in self._compiled:
            compiled = torch.compile(network, backend=BACKEND)

            def run(*inputs: Tensor) -> Any:
                try:
                    return compiled(*inputs)
                except Exception as error:  # whatever a compiler may raise, the network itself runs
                    if is_out_of_memory(error):
                        raise
                    say(
                        "torch.compile failed, training goes on without it: "
                        f"{(str(error).strip() or type(error).__name__).splitlines()[0]}"
                    )
                    self._compiled[network] = network
                    return network(*inputs)

            self._compiled[network] = run
        return self._compiled[network]


def _weights(optimizer: Optimizer) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]
