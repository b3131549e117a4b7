"""A model repository for NVIDIA Triton, and what starts a server on it.

`models/` holds, of each model: pictures and streams in our runtime (scenes are folded there),
picture files, and the float32 graph in Triton's own ONNX Runtime; of a TensorRT plan, the plan.
Beside it lie image, compose file, KServe service, a page and a text. See docs/guide/serving.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import runtime
from runtime.pictures.reading import read_rgb

from ..triton import batch_axis, deployment, repository, settings
from . import Options, Target, Written

MODELS = "models"
# (width, height) of the warm-up, a camera's.
USUAL = (640, 480)
# What a batch is put together from where it is compared with its pictures: those of the demo.
PHOTOGRAPHS = Path(runtime.__file__).resolve().parent / "photographs"


class TritonTarget(Target):
    """See `export.targets.Target`."""

    folder = True
    examined_by = "its configurations, and each graph's batches; `make test-serving` has the server"
    modules = ("tritonclient", "grpc", "onnx")
    extra = "train,export,triton-client"
    runs_on = "NVIDIA Triton Inference Server, KServe"
    starts_from = "models"
    options = {  # noqa: RUF012 -- as the contract declares it
        "device": "cpu (the default) or gpu: where the models run",
        "instances": "of each model (default: 1)",
        "at_once": "pictures painted at the same time on the whole server (default: instances)",
        "batch": "pictures in one request, or put together for the float graph (default: 8)",
        "delay_ms": "that a picture of the float graph waits for others (default: 2)",
        "queue": "requests of a model that may wait; more are refused (default: 256)",
        "streams": "streams of one instance at the same time (default: 8)",
        "idle_s": "seconds after which a silent stream is ended (default: 60)",
        "threads": "of each instance; 0 is all cores (default: 0)",
        "max_pixels": "of one picture (default: 16777216)",
        "quality": "of JPEG answers, 1 to 100 (default: 95)",
        "graph": "onnxruntime (the default) or python: what runs the float graph",
        "environment": "path on the server of a packed Python environment (default: its own)",
    }

    @staticmethod
    def write(models: Sequence[Path], folder: Path, options: Options) -> Written:
        """Write the repository into `folder`.

        Raises:
            UsageError: an option, two models of one name, or a file that no server of ours takes.
        """
        wanted = settings.read(options.extra)
        (folder / MODELS).mkdir(parents=True)
        made = repository.write(models, folder / MODELS, wanted, options.size or USUAL)
        others = deployment.write(folder, made, wanted)
        steps = [f"models: {', '.join(made.models)}", *made.notes, f"beside: {', '.join(others)}"]
        return Written(None, steps, {"models": sorted(made.models)})

    @staticmethod
    def check(models: Sequence[Path], folder: Path, options: Options) -> list[str]:
        """Read every configuration back, look for the files it means, and compare batches of each
        graph with their pictures.

        Raises:
            ParityError: something does not fit.
        """
        found = repository.read(folder / MODELS)
        sentences = [f"{len(found)} configurations as Triton's own messages, with their files"]
        places = {name: folder / MODELS / name / "1" / repository.GRAPH for name in found}
        graphs = [name for name, place in places.items() if place.is_file()]
        photos = [read_rgb(path) for path in sorted(PHOTOGRAPHS.glob("*.jpg"))] if graphs else []
        for name in graphs:
            path = places[name]
            step = int(found[name].parameters["multiple_of"].string_value)
            repository.check_graph(path, found[name])
            sentences.append(f"{name}: {batch_axis.check(path, photos, step)}")
        return sentences


PLUGIN = TritonTarget
