"""The one place that imports torchvision.

The registry's Linux wheel of torchvision is built against CUDA; beside a CPU build of torch its
compiled part does not load, and the import fails while it registers a fake kernel for `nms`.
Declaring the two schemas first is enough for models and transforms; the compiled operators still
refuse with torchvision's own message.
"""

import importlib
import sys
from types import ModuleType

import torch

from runtime.errors import EngineUnavailable

_declared: list[torch.library.Library] = []  # a Library that is collected takes its schemas along


def import_torchvision(module: str = "torchvision") -> ModuleType:
    """Import torchvision, or one of its modules, on any build of torch.

    Raises:
        EngineUnavailable: torchvision is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise EngineUnavailable("torchvision is not installed: pip install -e '.[train]'") from None
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for op in ("nms", "qnms"):
        library.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
    return importlib.import_module(module)
