"""Several processes on one batch (`torchrun`): who we are, and sums over all of them.

    torchrun --nproc-per-node 2 -m training.train --recipe starry ...

Every process draws the whole batch with the same random numbers and works on its own rows, so
weights, moments and random state stay equal everywhere and a run does not depend on how many
processes it has. A single process passes through all functions here unchanged.
"""

import os

import torch
from torch import Tensor, distributed, nn


def join(device: str) -> None:
    """Meet the other processes that `torchrun` started: over NCCL on GPUs, over gloo on CPUs."""
    if int(os.environ.get("WORLD_SIZE", 1)) < 2 or distributed.is_initialized():
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")


def leave() -> None:
    """Undo `join`."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def world() -> int:
    """How many processes work together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Our number among them, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_main() -> bool:
    """Whether we are the one that writes and speaks."""
    return rank() == 0


def wait() -> None:
    """Return when all processes have come here."""
    if world() > 1:
        distributed.barrier()


def agree(number: int, device: str) -> int:
    """The main process' number, everywhere."""
    if world() == 1:
        return number
    shared = torch.tensor(number, device=device)
    distributed.broadcast(shared, 0)
    return int(shared)


def share_weights(network: nn.Module) -> None:
    """Give all processes the main one's weights: GPUs of two kinds may start a bit apart."""
    if world() > 1:
        for tensor in network.state_dict().values():
            distributed.broadcast(tensor, 0)


def add_up(tensors: list[Tensor]) -> None:
    """Replace each tensor by its sum over all processes, in one exchange."""
    if world() == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    for tensor, total in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(total.view(tensor.shape))
