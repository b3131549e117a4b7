"""Which wheel brings a missing module: the last line of a `ModuleNotFoundError`, made useful."""

# Module -> what to give to `pip install`. The names are those of the package index.
WHEELS = {
    "PIL": "pillow",
    "av": "av",
    "cv2": "opencv-python-headless",
    "huggingface_hub": "huggingface_hub",
    "jsonschema": "jsonschema",
    "matplotlib": "matplotlib",
    "ncnn": "ncnn",
    "numpy": "numpy",
    "onnx": "onnx",
    "onnx_ir": "onnxscript",
    "onnxruntime": "onnxruntime",
    "onnxscript": "onnxscript",
    "openvino": "openvino",
    "pnnx": "pnnx",
    "pyvirtualcam": "pyvirtualcam",
    "rich": "rich",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "skimage": "scikit-image",
    "tensorboard": "tensorboard",
    "torch": "torch torchvision",
    "torch_pruning": "torch-pruning",
    "torchao": "torchao",
    "torchvision": "torchvision",
    "tqdm": "tqdm",
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
