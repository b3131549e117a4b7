"""Several processes on one batch (`torchrun`): who we are, and sums over all of them.

    torchrun --nproc-per-node 2 -m training.train --recipe starry ...

Every process draws the whole batch with the same random numbers and works on its own rows, so
weights, moments and random state stay equal everywhere and a run does not depend on how many
processes it has. A single process passes through all functions here unchanged.

The processes may be on several machines, with one folder or with a folder each: the main one
writes, and what it reads when a run is resumed is given to the others. Where a process dies,
`torchrun --max-restarts` starts all of them anew, and they go on behind the last checkpoint.
"""

import json
import os
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

# Seconds between two looks at who has come.
LOOK_S = 0.05


def join(device: str) -> None:
    """Meet the other processes that `torchrun` started: over NCCL on GPUs, over gloo on CPUs."""
    if int(os.environ.get("WORLD_SIZE", 1)) < 2 or distributed.is_initialized():
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    store, rank, world = next(distributed.rendezvous("env://"))
    distributed.init_process_group(
        "nccl" if device == "cuda" else "gloo",
        store=distributed.PrefixStore(_meet(store, rank, world), store),
        rank=rank,
        world_size=world,
    )


def _meet(store: distributed.Store, rank: int, world: int) -> str:
    """A name that the processes of this start, and no others, agree on.

    The agents of `torchrun` keep one store for all starts (PyTorch's issue 135712), so a process
    that is started anew finds addresses of dead ones there, and waits for them. Nothing that the
    processes are told tells one start from another: each agent counts its own restarts. So the
    main process makes up a name, the others answer under it with a name of their own, and a name
    counts for whoever reads that its answer has arrived.

    Args:
        store: that all processes reach, with what earlier starts left in it.
        rank: our number, from 0.
        world: how many processes there are.
    """
    own = uuid.uuid4().hex
    if rank == 0:
        store.set("start", own)
        answers = [store.get(f"{own}/{other}").decode() for other in range(1, world)]
        store.set(f"{own}/all", json.dumps(answers))
        return own
    while True:
        name = store.get("start").decode()
        store.set(f"{name}/{rank}", own)
        if store.check([f"{name}/all"]) and own in json.loads(store.get(f"{name}/all")):
            return name
        time.sleep(LOOK_S)


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


def agree_on_most(number: int, device: str) -> int:
    """The largest number of all processes, everywhere."""
    if world() == 1:
        return number
    shared = torch.tensor(number, device=device)
    distributed.all_reduce(shared, distributed.ReduceOp.MAX)
    return int(shared)


T = TypeVar("T")


def from_main(read: Callable[[], T]) -> T:
    """What `read` returns in the main process, everywhere; it is called there alone."""
    if world() == 1:
        return read()
    shared: list[T | None] = [read() if is_main() else None]
    distributed.broadcast_object_list(shared)
    value = shared[0]
    assert value is not None
    return value


def restarts() -> int:
    """How often `torchrun` has started this process anew."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


def run_id() -> str:
    """What `torchrun --rdzv-id` was told, or made up; "" without it."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return "" if name == "none" else name  # its default where nothing is given


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
