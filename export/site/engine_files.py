"""ONNX Runtime for browsers: which files of which release, and where they come from.

npm fetches the package once into a folder of its own (no script of it is run); from then on no
network is needed. Every file taken has a known checksum.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from runtime.checksum import sha256
from runtime.errors import EngineUnavailable

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
# The package's files that are taken, with their SHA-256. Each engine is a module, its WebAssembly's
# loader and the WebAssembly itself.
SHA256 = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": (
        "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b"
    ),
    "ort-wasm-simd-threaded.wasm": (
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
    ),
    "ort.jspi.min.mjs": "bc57179d923fda2d88d4a395359c8df44399dde087bf9ff44fc0e40ab398e4d9",
    "ort-wasm-simd-threaded.jspi.mjs": (
        "270e2c6da9f297239d301d329782b6446641cb1e16a77967690adcfca35f3268"
    ),
    "ort-wasm-simd-threaded.jspi.wasm": (
        "a54c76f86b0f0d9572380cf1c6292a7b3903716ffcbcd6b0e5c7050bf430eb93"
    ),
    "ort.webgpu.min.mjs": "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0",
    "ort-wasm-simd-threaded.asyncify.mjs": (
        "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28"
    ),
    "ort-wasm-simd-threaded.asyncify.wasm": (
        "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da"
    ),
}
# npm alone takes seconds; a slow line has 148 MB to fetch.
PATIENCE_S = 540


@dataclass(frozen=True)
class WebEngine:
    """One way to run a model in a browser.

    Attributes:
        name: for people and for the page.
        provider: ONNX Runtime's name of it.
        needs: what the browser must have (`export/site/web/js/engines.js`, `findFeatures`).
        files: module, loader, WebAssembly.
    """

    name: str
    provider: str
    needs: tuple[str, ...]
    files: tuple[str, str, str]


# Best first. Both GPU engines paint alike; the first is 10 MB smaller and needs a newer browser.
ENGINES = (
    WebEngine(
        "WebGPU (JSPI)",
        "webgpu",
        ("gpu", "jspi"),
        ("ort.jspi.min.mjs", "ort-wasm-simd-threaded.jspi.mjs", "ort-wasm-simd-threaded.jspi.wasm"),
    ),
    WebEngine(
        "WebGPU",
        "webgpu",
        ("gpu",),
        (
            "ort.webgpu.min.mjs",
            "ort-wasm-simd-threaded.asyncify.mjs",
            "ort-wasm-simd-threaded.asyncify.wasm",
        ),
    ),
    WebEngine(
        "WebAssembly",
        "wasm",
        ("wasm",),
        ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    ),
)


def cache_folder() -> Path:
    """Where npm puts the package: $IMPASTO_CACHE/web, or the user's cache folder."""
    given = os.environ.get("IMPASTO_CACHE")
    if given:
        return Path(given) / "web"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "impasto" / "web"


def missing() -> str:
    """What to do, in one line, if the files are neither here nor npm can fetch them; else empty."""
    if shutil.which("node") is None:
        return "needs Node.js 18 or newer on the PATH (nodejs.org, or your system's packages)"
    if _installed(cache_folder()) or shutil.which("npm") is not None:
        return ""
    return f"needs npm on the PATH, once, to fetch {PACKAGE}@{VERSION}"


def dist_folder() -> Path:
    """The package's folder of built files, fetched by npm if it is not there yet.

    Raises:
        EngineUnavailable: Node.js or npm is absent, npm fails, or a file is not the known one.
    """
    reason = missing()
    if reason:
        raise EngineUnavailable(f"the web page {reason}")
    folder = cache_folder()
    if not _installed(folder):
        _install(folder)
    dist = folder / "node_modules" / PACKAGE / "dist"
    for name, digest in SHA256.items():
        file = dist / name
        if not file.is_file() or sha256(file) != digest:
            raise EngineUnavailable(
                f'"{file}" is not the file of {PACKAGE} {VERSION}; remove "{folder}" and try again'
            )
    return dist


def _installed(folder: Path) -> bool:
    """Whether the right release lies in the folder."""
    try:
        text = (folder / "node_modules" / PACKAGE / "package.json").read_text(encoding="utf-8")
        return json.loads(text).get("version") == VERSION
    except (OSError, ValueError):
        return False


def _install(folder: Path) -> None:
    command = [
        shutil.which("npm") or "npm",
        *("install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"),
        *("--prefer-offline", "--loglevel=error", f"{PACKAGE}@{VERSION}"),
    ]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        said = run.stderr or run.stdout
    except subprocess.TimeoutExpired:
        said = f"no answer in {PATIENCE_S} s"
    except OSError as error:
        said = str(error)
    if not _installed(folder):
        reason = " ".join(said.replace("npm error", "").split())[:200] or "no reason given"
        raise EngineUnavailable(
            f"npm could not fetch {PACKAGE}@{VERSION} ({reason}); needed once, with a network: "
            f'npm install --prefix "{folder}" {PACKAGE}@{VERSION}'
        )
