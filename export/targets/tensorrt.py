"""TensorRT and TensorRT-RTX engines: tuned for one kind of NVIDIA GPU, fastest there."""

from pathlib import Path
from typing import Any

from runtime import plugins

from . import Options, Target, Written

# Module of each library, in the order they are taken; as in `runtime.engines.tensorrt.library`.
LIBRARIES = ("tensorrt", "tensorrt_rtx")


class TensorrtTarget(Target):
    """See `export.targets.Target`.

    It has no engine in the sense of the contract: TensorRT-RTX builds on machines that cannot run
    what they build. `check` runs the engine where there is a GPU for it, and everywhere the graph
    that the engine was built from.
    """

    suffix = ".engine"
    beside = (".engine.json", ".engine.onnx")
    precisions = ("fp16", "fp32", "int8")
    examined_by = "the graph it is built from; on a GPU itself"
    modules = ("torch", "onnx", "onnxscript")
    extra = "train,export,tensorrt-rtx"
    runs_on = "NVIDIA GPUs of the kind and library version it was built for"
    options = {  # noqa: RUF012 -- as the contract declares it
        "sizes": "smallest, preferred and largest WxH, as 64x64,1280x720,1920x1920 (the default)",
        "gpu": "compute capability to build for without that GPU, as 8.9 (TensorRT-RTX)",
        "library": "tensorrt or tensorrt-rtx, if both are installed",
    }

    @classmethod
    def available(cls) -> str:
        """As the contract says; either library will do."""
        missing = super().available()
        if missing or any(plugins.installed(name) for name in LIBRARIES):
            return missing
        return (
            "needs TensorRT: pip install 'impasto[tensorrt-rtx]' (builds on any machine) or "
            "'impasto[tensorrt]' (on an NVIDIA GPU)"
        )

    @staticmethod
    def write(source: Any, path: Path, options: Options) -> Written:
        """Write the engine, its facts, its card, and the graph it was built from."""
        from . import _plan_file

        return _plan_file.write(source, path, options)

    @staticmethod
    def check(source: Any, path: Path, options: Options) -> list[str]:
        """Compare the graph with PyTorch, and the engine too where it runs."""
        from . import _plan_file

        return _plan_file.check(source, path, options)


PLUGIN = TensorrtTarget
