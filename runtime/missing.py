"""What can end a command before it has begun: a library that is missing, or Ctrl-C.

`cli.run_command` says which wheel brings a missing module for what a command imports while it runs;
`explain_at_start` for what its modules import before that.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Generator
from types import FrameType, TracebackType

from .errors import INTERRUPTED, UNAVAILABLE

# Module -> what to give to `pip install`. The names are those of the package index.
WHEELS = {
    "PIL": "pillow",
    "aiortc": "aiortc",
    "av": "av",
    "c2pa": "c2pa-python",
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

# What `sys.argv[0]` ends with while a command of ours starts: `python -m`, and what `pip install`
# makes of the entry point.
STARTS = ("-m", "impasto", "impasto.exe", "impasto-script.py")

_HEARD: list[int] = []


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
    (exit code 3), or Ctrl-C (130).

    Every package of ours calls it. It does something only in the installed command, and while
    Python looks for the module that `python -m` names, when `sys.argv[0]` is "-m": a program that
    imports us keeps its own hook.
    """
    started = os.path.basename(sys.argv[0]) if sys.argv else ""
    if started in STARTS and sys.excepthook is sys.__excepthook__:
        sys.excepthook = _explain
        end_at_interrupt()


def is_command() -> bool:
    """Whether this process was started for a command of ours, which says how it ends."""
    return sys.excepthook is _explain


def end_at_interrupt() -> None:
    """Until `raising_at_interrupt`, Ctrl-C ends the process on the spot. Nothing is open yet that
    must be closed, and an exception in the middle of a library's import may come out of it as
    another one, or be printed by whoever cannot pass it on. Where interrupts are ignored, or
    somebody else hears them, that stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


@contextlib.contextmanager
def raising_at_interrupt() -> Generator[None, None, None]:
    """Meanwhile Ctrl-C is a `KeyboardInterrupt`, for what has something to close, and remembered,
    should somebody make another error of it; behind it, while Python clears up, it ends the process
    on the spot once more."""
    began = signal.getsignal(signal.SIGINT) is _end
    if began:
        signal.signal(signal.SIGINT, _raise)
    try:
        yield
    finally:
        if began:
            signal.signal(signal.SIGINT, _end)


def was_interrupted() -> bool:
    """Whether there was a Ctrl-C while it raised."""
    return bool(_HEARD)


def _raise(number: int, _frame: FrameType | None) -> None:
    _HEARD.append(number)
    raise KeyboardInterrupt


def _end(_number: int, _frame: FrameType | None) -> None:
    try:
        if not _HEARD:  # otherwise the command has said it
            os.write(2, b"interrupted\n")
    finally:
        os._exit(INTERRUPTED)


def _explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED)
    line = advice(error) if isinstance(error, ImportError) else None
    if line is None:
        sys.__excepthook__(kind, error, trace)
        return
    from .console import printable

    print(f"error: {printable(line)}", file=sys.stderr)
    raise SystemExit(UNAVAILABLE)
