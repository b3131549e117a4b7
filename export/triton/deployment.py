"""What starts a server on a repository: image, compose file, KServe service, a page, and a text
that says what there is."""

from __future__ import annotations

import html
import re
from pathlib import Path

from runtime.console import printable
from runtime.invocation import VERSION

from .config import ModelConfig, messages
from .repository import Made
from .settings import Settings

TEMPLATES = Path(__file__).resolve().parent / "deploy"
# NVIDIA's own image. Not older than 24.11: those have a Python that is older than ours.
IMAGE = "nvcr.io/nvidia/tritonserver:25.12-py3"
PLACE = re.compile(r"@([A-Z]+)@")
# Template -> place.
FILES = {
    "Dockerfile.txt": "Dockerfile",
    "compose.yaml.txt": "compose.yaml",
    "inference_service.yaml.txt": "inference_service.yaml",
    "requirements.txt.txt": "requirements.txt",
    "README.md.txt": "README.md",
    "web/index.html.txt": "page/index.html",
    "web/paint.mjs.txt": "page/paint.mjs",
    "web/nginx.conf.txt": "page/nginx.conf",
}


def write(folder: Path, made: Made, settings: Settings) -> list[str]:
    """Write the files of `FILES`.

    Args:
        folder: beside whose `models` they go.
        made: what is in there.
        settings: see there.

    Returns:
        their names.
    """
    values = _values(made, settings)
    for template, place in FILES.items():
        target = folder / place
        target.parent.mkdir(exist_ok=True)
        text = _read(template)
        target.write_text(PLACE.sub(lambda found: values[found[1]], text), encoding="utf-8")
    return list(FILES.values())


def _values(made: Made, settings: Settings) -> dict[str, str]:
    """What is put into the templates. The page shows the first model that takes files."""
    gpu = settings.device == "gpu"
    pages = [each for each in made.models.values() if each.platform == "ensemble"]
    streams = [name for name, each in made.models.items() if each.HasField("sequence_batching")]
    page = pages[0] if pages else None
    return {
        "IMAGE": IMAGE,
        "VERSION": VERSION,
        "ATONCE": str(settings.at_once),
        "GPU": _read("gpu.txt") if gpu else "",
        "GPULIMIT": ', nvidia.com/gpu: "1"' if gpu else "",
        "MODEL": page.name if page else "",
        "TITLE": html.escape(printable(_title(page))) if page else "",
        "STREAM": streams[0] if streams else "",
        "TABLE": "\n".join(_row(each) for each in made.models.values()),
        "NOTES": "".join(f"- {note}\n" for note in made.notes),
    }


def _read(template: str) -> str:
    return (TEMPLATES / template).read_text(encoding="utf-8")


def _title(model: ModelConfig) -> str:
    """Of the painting, or the model's own name."""
    return model.parameters["title"].string_value if "title" in model.parameters else model.name


def _row(model: ModelConfig) -> str:
    """A line of the README's table."""
    given = ", ".join(_told(each, each.optional) for each in model.input)
    made = ", ".join(_told(each, False) for each in model.output)
    return f"| `{model.name}` | {given} | {made} | {model.backend or model.platform} |"


def _told(tensor: ModelConfig, optional: bool) -> str:
    kind = messages().DataType.Name(tensor.data_type).removeprefix("TYPE_")
    sizes = "x".join("?" if axis == -1 else str(axis) for axis in tensor.dims)
    name = printable(tensor.name).replace("|", "\\|")
    return f"{name} {kind} {sizes}{' (optional)' if optional else ''}"
