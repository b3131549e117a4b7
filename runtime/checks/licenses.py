"""What is installed with the runtime, and under which licenses: for those who pass it on.

The facts come from the wheels themselves (core metadata, https://packaging.python.org) and from the
FFmpeg that PyAV carries. The list can be had as a software bill of materials in CycloneDX 1.6
(https://cyclonedx.org/docs/1.6/json/).
"""

from __future__ import annotations

import importlib.metadata
import re
import textwrap
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..card import JsonObject
from ..invocation import VERSION
from .machine import RIVALS

# The wheels of a lean install; of ONNX Runtime and OpenCV, whichever flavor is there.
BASE = ("numpy", "pillow", "av", *RIVALS["onnxruntime"], *RIVALS["cv2"])
OURS = "Apache-2.0"
# Older wheels spell their license out; the identifiers are those of SPDX.
SPDX = {
    "MIT License": "MIT",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "LGPL version 2.1 or later": "LGPL-2.1-or-later",
    "LGPL version 3 or later": "LGPL-3.0-or-later",
    "GPL version 2 or later": "GPL-2.0-or-later",
    "GPL version 3 or later": "GPL-3.0-or-later",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
}
GPL_ENCODERS = ("libx264", "libx265")
GPL = "GPL-2.0-or-later"
MEANING = (
    "Using these files imposes nothing on you, nor on the pictures and clips you make. Passing "
    "them on does: {what}, with which the FFmpeg inside this PyAV is linked, are under the GNU "
    "GPL, version 2 or later, whatever FFmpeg's own terms are. Who distributes a program together "
    "with them distributes a whole under the GPL (version 3 or later, with which the Apache "
    "license of Impasto is compatible) and has to offer its source. To distribute without: build "
    "FFmpeg without libx264 and libx265, then pip install --no-binary av av; clips are written "
    "with --codec av1 or vp9 then. This is a description, not legal advice."
)
WIDTH = 98  # of lines for people


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that is installed: name, version, license ("" if it names none), and the wheel that
    carries it, "" for a wheel of its own."""

    name: str
    version: str
    license: str
    inside: str = ""


def components() -> list[Component]:
    """Impasto, the wheels it needs, what those need, and FFmpeg with its GPL encoders."""
    found: dict[str, Component] = {}
    waiting = list(BASE)
    while waiting:
        name = waiting.pop(0)
        if name in found:
            continue
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # another flavor is installed, or a condition does not hold here
        found[name] = Component(name, metadata["Version"], _license(metadata))
        for needed in importlib.metadata.requires(name) or ():
            if "extra ==" not in needed and (start := re.match(r"[\w.-]+", needed)):
                waiting.append(re.sub(r"[-_.]+", "-", start[0]).lower())
    ours = Component("impasto", VERSION, OURS)
    return [ours, *sorted(found.values(), key=lambda part: part.name), *_ffmpeg()]


def _license(metadata: Any) -> str:
    """The SPDX expression, or what stands in its place."""
    expression = metadata.get("License-Expression") or ""
    words = expression or (metadata.get("License") or "").strip().split("\n")[0]
    if not words:
        marks = metadata.get_all("Classifier") or []
        words = next((m.rsplit(" :: ", 1)[1] for m in marks if m.startswith("License")), "")
    return SPDX.get(words, words)


def _ffmpeg() -> list[Component]:
    """What PyAV carries, as it says itself; empty without PyAV."""
    try:
        import av
        from av._core import library_meta
    except ImportError:
        return []
    terms = str(library_meta["libavcodec"]["license"])
    there = [name for name in GPL_ENCODERS if name in av.codecs_available]
    codecs = [Component(name.removeprefix("lib"), "", GPL, "av") for name in there]
    version = str(getattr(av, "ffmpeg_version_info", ""))
    return [Component("ffmpeg", version, SPDX.get(terms, terms), "av"), *codecs]


def text(parts: list[Component]) -> str:
    """For people: the list, and what the GPL in it means."""
    lines = []
    for part in parts:
        name = f"  in {part.inside}: {part.name}" if part.inside else part.name
        lines.append(f"{name:<26} {part.version:<12} {part.license or 'names none'}")
    strict = [part.name for part in parts if part.license == GPL]
    if strict:
        what = f"{', '.join(strict[:-1])} and {strict[-1]}" if len(strict) > 1 else strict[0]
        lines += ["", textwrap.fill(MEANING.format(what=what), WIDTH)]
    return "\n".join(lines)


def sbom(parts: list[Component]) -> JsonObject:
    """A CycloneDX 1.6 document; the first component is what it is about."""
    ours, *others = parts
    entries = []
    for part in others:
        if part.inside:
            continue
        carried = [_entry(other) for other in others if other.inside == part.name]
        entries.append({**_entry(part), **({"components": carried} if carried else {})})
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "component": {**_entry(ours), "type": "application"},
        },
        "components": entries,
    }


def _entry(part: Component) -> JsonObject:
    entry: JsonObject = {"type": "library", "name": part.name}
    if part.version:
        entry["version"] = part.version
    if not part.inside:
        entry["purl"] = f"pkg:pypi/{part.name}@{part.version}"
        entry["bom-ref"] = entry["purl"]
    if part.license:
        entry["licenses"] = _licenses(part.license)
    return entry


def _licenses(words: str) -> list[JsonObject]:
    """CycloneDX wants an SPDX expression, or a free name."""
    expression = re.fullmatch(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*", words)
    return [{"expression": words}] if expression else [{"license": {"name": words}}]
