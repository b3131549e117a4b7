"""What a TensorRT engine file was built for, and whether that is here.

The file itself stays as the library wrote it. Beside `starry.engine` lie `starry.engine.json`, the
facts below, and `starry.engine.onnx`, the graph it was built from: engines fit one version of one
library and one kind of GPU, and are built anew for another.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...errors import CardMismatch
from ...outputs import replacing
from .._cuda import Gpu
from .library import Library

FORMAT = 1
SUFFIX = ".engine"
# An environment variable, so that every command can be asked to rebuild.
REBUILD = "IMPASTO_REBUILD"

# Smallest, preferred and largest shape of one input.
Shapes = dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]


@dataclass(frozen=True)
class PlanFacts:
    """What an engine file was built for.

    Attributes:
        library: "TensorRT" or "TensorRT-RTX".
        version: of the library.
        cuda: generation of CUDA the library is for, "" if unknown.
        gpu: name of the GPU it was tuned on, "" if built without one.
        compute_capability: those of the GPUs it runs on.
        precision: "fp32", "fp16", "int8".
        shapes: of inputs with free axes: smallest, preferred and largest.
        model_sha256: of the ONNX graph it was built from.
        plan_sha256: of the engine file.
        seconds: the build took.
    """

    library: str
    version: str
    cuda: str
    gpu: str
    compute_capability: tuple[str, ...]
    precision: str
    shapes: Shapes = field(default_factory=dict)
    model_sha256: str = ""
    plan_sha256: str = ""
    seconds: float = 0.0
    format: int = FORMAT

    def describe(self) -> str:
        """`NVIDIA RTX A6000 (compute capability 8.6), TensorRT 10.13.3.9, CUDA 13`."""
        kinds = ", ".join(self.compute_capability) or "unknown"
        gpu = self.gpu or "GPUs"
        cuda = f", CUDA {self.cuda}" if self.cuda else ""
        return f"{gpu} (compute capability {kinds}), {self.library} {self.version}{cuda}"

    def sizes(self) -> str:
        """`64x64 to 1920x1920`, "" if there is one size only."""
        for smallest, _, largest in self.shapes.values():
            return f"{_size(smallest)} to {_size(largest)}"
        return ""


def facts_path(plan: Path) -> Path:
    """`starry.engine` -> `starry.engine.json`."""
    return plan.with_name(plan.name + ".json")


def graph_path(plan: Path) -> Path:
    """`starry.engine` -> `starry.engine.onnx`."""
    return plan.with_name(plan.name + ".onnx")


def write_facts(facts: PlanFacts, plan: Path) -> Path:
    """Write them beside the engine file, atomically."""
    path = facts_path(plan)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(asdict(facts), indent=2) + "\n", encoding="utf-8")
    return path


def read_facts(plan: Path) -> PlanFacts:
    """The facts beside an engine file.

    Raises:
        CardMismatch: absent, damaged, or of a newer format.
    """
    path = facts_path(plan)
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if data.get("format") != FORMAT:
            raise CardMismatch(
                f'"{path}" has format {data.get("format")}, this version reads {FORMAT}; '
                "export the model again"
            )
        data["compute_capability"] = tuple(data["compute_capability"])
        data["shapes"] = {
            name: tuple(tuple(shape) for shape in three) for name, three in data["shapes"].items()
        }
        return PlanFacts(**data)
    except OSError:
        raise CardMismatch(
            f'"{plan}" needs "{path.name}" beside it; copy or export both again'
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CardMismatch(f'"{path}" is damaged ({error}); export the model again') from None


def mismatch(facts: PlanFacts, library: Library, gpu: Gpu) -> str:
    """Why an engine built for `facts` does not run here, in one sentence; "" if it does.

    An engine is tied to its library's exact version and to the compute capabilities it was built
    for. Another GPU of the same capability runs it.
    """
    same = (facts.library, facts.version) == (library.label, library.version)
    if same and gpu.capability in facts.compute_capability:
        return ""
    cuda = f", CUDA {library.cuda}" if library.cuda else ""
    here = (
        f"{gpu.name} (compute capability {gpu.capability}), {library.label} {library.version}{cuda}"
    )
    return f"it was built for {facts.describe()}; this is {here}"


def _size(shape: tuple[int, ...]) -> str:
    """Width and height of a shape, whichever its layout."""
    height, width = shape[2:4] if shape[1] in (1, 3) else shape[1:3]
    return f"{width}x{height}"
