"""Which device a training command runs on."""

import torch

from runtime.errors import EngineUnavailable, UsageError


def pick_device(wanted: str) -> str:
    """Answer with "cuda" or "cpu"; "auto" takes a GPU when there is one.

    Raises:
        EngineUnavailable: "cuda" was asked for and this torch sees no GPU.
        UsageError: anything else.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise EngineUnavailable(
            f"--device cuda: torch {torch.__version__} sees no CUDA device; "
            "install a CUDA build of torch and a driver, or use --device cpu"
        )
    if wanted not in ("cpu", "cuda"):
        raise UsageError(f'--device is "{wanted}", allowed are auto, cpu, cuda')
    return wanted
