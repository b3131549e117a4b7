"""A user's CLIP model, opened: weights, sizes, tokenizer."""

import json
import math
from pathlib import Path

import torch
from torch import Tensor

from runtime.errors import UsageError

from .towers import DEVIATION, HEAD_WIDTH, MEAN, Clip, Facts, shaped_like
from .words import Words

WEIGHTS, CONFIG = "open_clip_model.safetensors", "open_clip_config.json"


class Reader:
    """A model with its tokenizer; frozen."""

    def __init__(self, clip: Clip, words: Words) -> None:
        self.clip, self.words = clip.requires_grad_(False).eval(), words

    @torch.no_grad()
    def read(self, text: str) -> Tensor:
        """(1, J) of length 1, on the model's device."""
        numbers = self.words.numbers(text, self.clip.length)
        return self.clip.read(torch.tensor([numbers], device=self.clip.logit_scale.device))


def open_clip(path: Path) -> Reader:
    """Open a model of OpenCLIP.

    Args:
        path: its folder, or its .safetensors file, beside which the tokenizer lies.

    Raises:
        UsageError: files are missing, damaged, or of another kind of model (a ResNet, SigLIP).
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise UsageError(
            f'no CLIP weights "{file}"; give the folder of an OpenCLIP model ({WEIGHTS}, {CONFIG}, '
            "vocab.json, merges.txt) or its .safetensors file"
        )
    try:
        tensors = {key: value.float() for key, value in load_file(file).items()}
    except (SafetensorError, OSError) as error:
        raise UsageError(f'"{file}" is no safetensors file: {error}') from None
    try:
        clip = shaped_like(tensors, _facts(file.parent / CONFIG, tensors))
        own = clip.state_dict()
        clip.load_state_dict({key: tensors[key] for key in own})
    except (KeyError, RuntimeError, IndexError, ValueError) as error:
        first = str(error).splitlines()[-1].strip()
        reason = f"it has no tensor {first}" if isinstance(error, KeyError) else first
        raise UsageError(
            f'"{file}" is no CLIP with a vision transformer, as OpenCLIP stores it: {reason}'
        ) from None
    strange = next((key for key in own if not tensors[key].isfinite().all()), None)
    if strange is not None:
        raise UsageError(f'"{file}" is damaged: "{strange}" holds numbers that are not finite')
    return Reader(clip, Words.read(file.parent, len(tensors["token_embedding.weight"])))


def _facts(path: Path, tensors: dict[str, Tensor]) -> Facts | None:
    """None without the file: shapes, and heads of the usual width, must do."""
    if not path.is_file():
        return None
    width = tensors["visual.conv1.weight"].shape[0]
    text_width = tensors["positional_embedding"].shape[1]
    try:
        told = json.loads(path.read_text("utf-8"))
        model, shown = told.get("model_cfg", told), told.get("preprocess_cfg", {})
        vision, text = model["vision_cfg"], model["text_cfg"]
        facts = Facts(
            width // int(vision.get("head_width", HEAD_WIDTH)),
            int(text.get("heads", text_width // HEAD_WIDTH)),
            bool(model.get("quick_gelu", False)),
            tuple(float(value) for value in shown.get("mean", MEAN)),
            tuple(float(value) for value in shown.get("std", DEVIATION)),
        )
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise UsageError(f'"{path}" is no configuration of OpenCLIP ({reason})') from None
    except RecursionError:
        raise UsageError(f'"{path}" is no configuration of OpenCLIP (too deep)') from None
    for name, values in (("mean", facts.mean), ("std", facts.deviation)):
        least = 0.0 if name == "std" else -math.inf
        if len(values) != 3 or not all(least < value < math.inf for value in values):
            kind = "numbers above 0" if name == "std" else "numbers"
            raise UsageError(f'"{path}": preprocess_cfg.{name} is {values}, it takes three {kind}')
    return facts
