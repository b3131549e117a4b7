"""Which wheel brings a missing module: the last line of a `ModuleNotFoundError`, made useful.

`cli.run_command` says it for what a command imports while it runs; `explain_at_start` for what its
modules import before that.
"""

import sys
from types import TracebackType

from .errors import UNAVAILABLE

# Module -> what to give to `pip install`. The names are those of the package index.
WHEELS = {
    "PIL": "pillow",
    "aiortc": "aiortc",
    "av": "av",
    "cv2": "opencv-python-headless",
    "cyndilib": "cyndilib",
    "huggingface_hub": "huggingface_hub",
    "jsonschema": "jsonschema",
    "matplotlib": "matplotlib",
    "mido": "mido",
    "ncnn": "ncnn",
    "numpy": "numpy",
    "onnx": "onnx",
    "onnx_ir": "onnxscript",
    "onnxruntime": "onnxruntime",
    "onnxscript": "onnxscript",
    "openvino": "openvino",
    "pnnx": "pnnx",
    "pyarrow": "'ray[data]'",
    "pythonosc": "python-osc",
    "pyvirtualcam": "pyvirtualcam",
    "ray": "'ray[data]'",
    "rich": "rich",
    "rtmidi": "python-rtmidi",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "skimage": "scikit-image",
    "tensorboard": "tensorboard",
    "tflite": "tflite",
    "torch": "torch torchvision",
    "torch_pruning": "torch-pruning",
    "torchao": "torchao",
    "torchvision": "torchvision",
    "tqdm": "tqdm",
    "tritonclient": "'tritonclient[grpc]'",
}


def advice(error: ImportError) -> str | None:
    """One line for a person about a library that cannot be imported; None if it is not one that
    we know, which makes it a fault of ours."""
    module = (error.name or "").partition(".")[0]
    if module not in WHEELS:
        return None
    if isinstance(error, ModuleNotFoundError):
        return f"{module} is not installed: pip install {WHEELS[module]}"
    reason = " ".join(str(error).split())
    return (
        f"{module} is installed but cannot be loaded ({reason[:160]}): "
        f"pip install --force-reinstall {WHEELS[module]}"
    )


def explain_at_start() -> None:
    """Say in one line what ends a command before it has begun: a library that its imports lack
    (exit code 3), or Ctrl-C.

    Every package of ours calls it. It does something only while Python looks for the module that
    `python -m` names, when `sys.argv[0]` is "-m": a program that imports us keeps its own hook.
    """
    if sys.argv[:1] == ["-m"] and sys.excepthook is sys.__excepthook__:
        sys.excepthook = _explain


def _explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return  # Python ends with the exit code of an interrupt
    line = advice(error) if isinstance(error, ImportError) else None
    if line is None:
        sys.__excepthook__(kind, error, trace)
        return
    print(f"error: {line}", file=sys.stderr)
    raise SystemExit(UNAVAILABLE)
