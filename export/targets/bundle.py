"""A folder for app developers: a style in every format, with proof, license and sample code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import Options, Target, Written


class BundleTarget(Target):
    """See `export.targets.Target`."""

    folder = True
    examined_by = "its checksums"
    runs_on = "a folder for developers of apps and pages"
    starts_from = "models"
    takes_all = True
    options = {  # noqa: RUF012 -- as the contract declares it
        "targets": "from --checkpoint: only these, as onnx,litert (default: all this machine makes)"
    }

    @staticmethod
    def write(source: Sequence[Path], path: Path, options: Options) -> Written:
        """Pack these models into the folder `path`."""
        from . import _bundle_files

        return _bundle_files.write(source, path, options)

    @staticmethod
    def check(source: Any, path: Path, options: Options) -> list[str]:
        """Compare all files with their checksums."""
        from . import _bundle_files

        return _bundle_files.check(path)


PLUGIN = BundleTarget
