"""A page for browsers: a folder of static files that paints the camera, pictures and clips on the
visitor's own device."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import Options, Target, Written


class WebTarget(Target):
    """See `export.targets.Target`. Several models become several styles to switch between."""

    folder = True
    precisions = ("fp32",)
    examined_by = "its engine in Node.js"
    modules = ("skimage", "PIL")
    runs_on = "browsers: WebGPU, else WebAssembly; desktops and phones"
    starts_from = "models"

    @classmethod
    def available(cls) -> str:
        """Node.js and npm are needed, too."""
        from ..site.engine_files import missing

        return super().available() or missing()

    @staticmethod
    def write(source: Any, path: Path, options: Options) -> Written:
        """Write the page of these models (paths) into the folder `path`."""
        from ..site import engine_files, proof

        return proof.write(source, path, engine_files.dist_folder())

    @staticmethod
    def check(source: Sequence[Path], path: Path, options: Options) -> Any:
        """Run each packed model with the packed engine, beside ONNX Runtime for Python."""
        from ..site import proof

        return proof.check(source, path)


PLUGIN = WebTarget
