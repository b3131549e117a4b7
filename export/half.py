"""The fp16 file: half the size, and the precision GPUs and neural processors are fast in.

Everything is float16 but the normalizations, which stay float32 islands: their sums over a whole
picture exceed what 16 bits can count. Ports stay float32. The gate decides whether it may be
shipped; values beyond float16's range show there as infinities.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from runtime.errors import EngineUnavailable

from . import onnx_tools
from .float_graph import check_operations, trace
from .source import ExportSource, with_size
from .targets import Options, Written

# Largest finite float16; weights beyond it are cut, which the gate notices.
LARGEST = 65504.0
# Operations kept in float32.
ISLANDS = ["InstanceNormalization", "ReduceMean"]


def write(source: ExportSource, path: Path, options: Options) -> Written:
    """Write the fp16 graph of a generator.

    Raises:
        EngineUnavailable: onnxconverter-common is not installed.
        UsageError, ParityError: as in `export.float_graph.write`.
    """
    float16 = _library()
    card = with_size(source.card, options.size)
    model = trace(source.generator, card, options.opset)
    onnx_tools.tidy(model)
    check_operations(model, source.generator)
    model = float16.convert_float_to_float16(
        model,
        keep_io_types=True,
        max_finite_val=LARGEST,
        op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *ISLANDS],
    )
    card = replace(card, precision="fp16")
    onnx_tools.save(model, card, path)
    steps = [
        f"torch.onnx.export (dynamo), opset {options.opset}",
        f"float16 but {', '.join(ISLANDS)}; float32 ports",
    ]
    return Written(card, steps)


def _library() -> Any:
    try:
        from onnxconverter_common import float16
    except ImportError:
        raise EngineUnavailable(
            "--precision fp16 needs onnxconverter-common: pip install onnxconverter-common"
        ) from None
    return float16
