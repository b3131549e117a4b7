"""A Core ML program, computed by PyTorch: proof of a .mlpackage on machines without Core ML.

The package is read back from disk as Core ML would read it, and its operations are carried out one
by one in float32, each result rounded to the type the program gives it. So weights, layouts, sizes
and the effect of float16 are checked; how Apple's chips order their sums is not.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from runtime.card import JsonObject
from runtime.engines import TensorInfo
from runtime.errors import CardMismatch, StyleError

# Of an operation's arguments: name -> tensor, number, list or word.
Arguments = JsonObject


class CoreMlProgram:
    """The program of a package behind the runtime's engine contract: byte pictures in and out."""

    device = "cpu"
    note = "interpreted in PyTorch"

    def __init__(self, package: Path) -> None:
        """Read a package.

        Raises:
            CardMismatch: it is damaged, or takes or gives something else than one picture.
            StyleError: it has operations that are not known here.
        """
        self.metadata: dict[str, str] = {}
        self._program, description = _load(package)
        (self._input, width, height), (self._output, _, _) = picture_ends(description)
        self.inputs = (TensorInfo(self._input, (1, height, width, 3), "uint8"),)
        self.outputs = (TensorInfo(self._output, (1, height, width, 3), "uint8"),)
        self._operations = self._program.functions["main"].operations
        unknown = {op.op_type for op in self._operations} - set(OPERATIONS) - {"const"}
        if unknown:
            raise StyleError(f"{package.name} has operations unknown here: {', '.join(unknown)}")

    @torch.inference_mode()
    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """The styled picture of a byte picture (1, H, W, 3) of any size the program accepts."""
        picture = torch.from_numpy(feeds[self._input].astype(np.float32)).permute(0, 3, 1, 2)
        values: dict[str, Any] = {self._input: picture}
        for op in self._operations:
            arguments = {name: _value(var, values) for name, var in op.inputs.items()}
            (result,) = op.outputs
            if op.op_type == "const":
                continue
            values[result.name] = _rounded(OPERATIONS[op.op_type](arguments), result)
        styled = values[self._output].clamp(0, 255).round().to(torch.uint8)
        return {self._output: styled.permute(0, 2, 3, 1).contiguous().numpy()}

    def close(self) -> None:
        """Nothing to free."""


def picture_ends(description: Any) -> list[tuple[str, int, int]]:
    """Name, width and height (the default ones) of the input and the output picture.

    Raises:
        CardMismatch: not one RGB picture in and one out.
    """
    found = []
    for side in (description.input, description.output):
        kinds = [feature.type.WhichOneof("Type") for feature in side]
        if kinds != ["imageType"]:
            raise CardMismatch(f"the model takes or gives {kinds}, not one picture")
        image = side[0].type.imageType
        found.append((side[0].name, image.width, image.height))
    return found


def _load(package: Path) -> tuple[Any, Any]:
    from coremltools.converters.mil.frontend.milproto.load import load
    from coremltools.models.utils import load_spec

    try:
        spec = load_spec(str(package))
        weights = package / "Data" / "com.apple.CoreML" / "weights"
        return load(spec, spec.specificationVersion, str(weights)), spec.description
    except Exception as error:  # protobuf, file and converter errors have no common base
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise CardMismatch(f'"{package}" is not a readable Core ML package: {reason}') from None


def _value(var: Any, values: dict[str, Any]) -> Any:
    """A variable's value: computed before, or stored in the program."""
    if isinstance(var, list | tuple):
        return [_value(each, values) for each in var]
    if var.name in values:
        return values[var.name]
    stored = var.val
    if isinstance(stored, np.ndarray) and stored.dtype.kind == "f":
        return torch.from_numpy(stored.astype(np.float32))
    if isinstance(stored, np.ndarray) and stored.dtype.kind in "iu" and stored.ndim > 1:
        return torch.from_numpy(stored.astype(np.float32))
    return stored.tolist() if isinstance(stored, np.ndarray | np.generic) else stored


def _rounded(result: Tensor, var: Any) -> Tensor:
    """Rounded to float16 where the program says so; computation goes on in float32."""
    return result.half().float() if "16" in var.dtype.__name__ else result


def _conv(a: Arguments) -> Tensor:
    x, weight = a["x"], a["weight"]
    if a["pad_type"] == "custom":
        top, bottom, left, right = a["pad"]
        x = F.pad(x, (left, right, top, bottom))
    elif a["pad_type"] != "valid":
        raise StyleError(f"padding {a['pad_type']} of a convolution is not known here")
    return F.conv2d(
        x, weight, a.get("bias"), tuple(a["strides"]), 0, tuple(a["dilations"]), a["groups"]
    )


def _pad(a: Arguments) -> Tensor:
    """Pads as MIL lists them: (before, after) of each of the last axes, first axis first."""
    pairs = [tuple(a["pad"][at : at + 2]) for at in range(0, len(a["pad"]), 2)]
    while len(pairs) > 2 and pairs[0] == (0, 0):
        pairs = pairs[1:]
    flat = [side for pair in reversed(pairs) for side in pair]
    mode = a["mode"]
    if mode == "constant":
        return F.pad(a["x"], flat, value=float(a["constant_val"]))
    return F.pad(a["x"], flat, mode=mode)


def _slice(a: Arguments) -> Tensor:
    """`x[begin:end]` per axis; masks say which ends are open."""
    rank = a["x"].ndim
    open_begin = a.get("begin_mask") or [False] * rank
    open_end = a.get("end_mask") or [False] * rank
    steps = a.get("stride") or [1] * rank
    if any(a.get("squeeze_mask") or []):
        raise StyleError("slices that drop an axis are not known here")
    return a["x"][
        tuple(
            slice(None if no_begin else begin, None if no_end else end, step)
            for begin, end, no_begin, no_end, step in zip(
                a["begin"], a["end"], open_begin, open_end, steps, strict=True
            )
        )
    ]


def _upsample(a: Arguments) -> Tensor:
    factors = (float(a["scale_factor_height"]), float(a["scale_factor_width"]))
    return F.interpolate(a["x"], scale_factor=factors, mode="nearest")


def _dequantize(a: Arguments) -> Tensor:
    """Scale * (q - zero), both per slice of `axis`, or one for all."""
    data, axis = a["quantized_data"], int(a["axis"])
    shape = [-1 if at == axis else 1 for at in range(data.ndim)]
    scale, zero = (
        torch.as_tensor(a[key], dtype=torch.float32).reshape(shape)
        for key in ("scale", "zero_point")
    )
    return scale * (data - zero)


# Those that our networks become.
OPERATIONS: dict[str, Callable[[Arguments], Tensor]] = {
    "add": lambda a: a["x"] + a["y"],
    "cast": lambda a: a["x"],
    "clip": lambda a: a["x"].clamp(float(a["alpha"]), float(a["beta"])),
    "constexpr_affine_dequantize": _dequantize,
    "conv": _conv,
    "identity": lambda a: a["x"],
    "instance_norm": lambda a: F.instance_norm(
        a["x"], weight=a["gamma"], bias=a["beta"], eps=float(a["epsilon"])
    ),
    "mul": lambda a: a["x"] * a["y"],
    "pad": _pad,
    "pixel_shuffle": lambda a: F.pixel_shuffle(a["x"], int(a["upscale_factor"])),
    "pixel_unshuffle": lambda a: F.pixel_unshuffle(a["x"], int(a["downscale_factor"])),
    "relu": lambda a: a["x"].relu(),
    "round": lambda a: a["x"].round(),
    "sigmoid": lambda a: a["x"].sigmoid(),
    "slice_by_index": _slice,
    "sub": lambda a: a["x"] - a["y"],
    "tanh": lambda a: a["x"].tanh(),
    "upsample_nearest_neighbor": _upsample,
}
