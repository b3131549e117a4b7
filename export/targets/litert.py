"""LiteRT models (TensorFlow Lite's successor): Android's own runtime, and that of many boards."""

from pathlib import Path
from typing import Any

from . import Options, Target, Written


class LiteRtTarget(Target):
    """See `export.targets.Target`."""

    suffix = ".tflite"
    precisions = ("fp32", "int8")
    engine = "litert"
    modules = ("torch", "litert_torch", "ai_edge_litert", "ai_edge_quantizer")
    extra = "litert"
    environment = "litert"
    runs_on = "Android, iOS and boards: CPUs (XNNPACK), GPUs; int8 also neural processors"
    default_size = (640, 480)
    options = {  # noqa: RUF012 -- as the contract declares it
        "activations": "int8: ranges measured on every frame (dynamic, the default) or of photos, "
        "bytes in and out (static)",
    }

    @staticmethod
    def write(source: Any, path: Path, options: Options) -> Written:
        """Write one model in the precision asked for, and its card."""
        from . import _litert_files

        return _litert_files.write(source, path, options)


PLUGIN = LiteRtTarget
