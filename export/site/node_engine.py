"""onnxruntime-web behind the runtime's engine contract: the very files a browser gets, run by
Node.js, so that a page's models are proven with what will run them."""

import json
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runtime.card import JsonObject, ModelCard
from runtime.checksum import sha256
from runtime.engines import TensorInfo
from runtime.errors import EngineUnavailable, StyleError
from runtime.model.session import StyleSession

SCRIPT = Path(__file__).with_name("node") / "run.mjs"
NAME = "onnxruntime-web"
DTYPES = ("float32", "uint8")


class NodeEngine:
    """One model in one Node.js process; see `runtime.engines.Engine`.

    Attributes:
        ms: what the graph itself took at the last run.
    """

    device = "cpu"

    def __init__(self, model: Path, card: ModelCard, dist: Path) -> None:
        node = shutil.which("node")
        if node is None:
            raise EngineUnavailable("Node.js is not on the PATH")
        self.metadata: dict[str, str] = {}
        self.note, self.ms = "", 0.0
        self.inputs = tuple(TensorInfo(p.name, p.shape, p.dtype) for p in card.inputs)
        self.outputs = tuple(TensorInfo(p.name, p.shape, p.dtype) for p in card.outputs)
        self._process: subprocess.Popen | None = subprocess.Popen(
            [node, str(SCRIPT), str(dist), str(model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._receive()
        except BaseException:
            self.close()
            raise

    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """All outputs (or those named). Raises StyleError if the graph fails."""
        arrays = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
        tensors = [
            {"name": name, "dtype": str(a.dtype), "dims": list(a.shape), "bytes": a.nbytes}
            for name, a in arrays.items()
        ]
        strange = [entry["dtype"] for entry in tensors if entry["dtype"] not in DTYPES]
        if strange:
            raise StyleError(f"a browser page feeds {' or '.join(DTYPES)}, not {strange[0]}")
        head = json.dumps({"tensors": tensors}).encode()
        process = self._alive()
        try:
            process.stdin.write(struct.pack("<I", len(head)) + head)
            for array in arrays.values():
                process.stdin.write(array.tobytes())
            process.stdin.flush()
        except OSError:
            raise StyleError("onnxruntime-web died in Node.js") from None
        answer = self._receive()
        self.ms = float(answer["ms"])
        results = {}
        for entry in answer["tensors"]:
            data = np.frombuffer(self._read(entry["bytes"]), entry["dtype"])
            results[entry["name"]] = data.reshape(entry["dims"])
        return {name: results[name] for name in outputs} if outputs else results

    def close(self) -> None:
        """End the process; may be called twice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._process = None

    def _alive(self) -> Any:
        if self._process is None:
            raise ValueError("this engine was closed")
        return self._process

    def _receive(self) -> JsonObject:
        (length,) = struct.unpack("<I", self._read(4))
        answer = json.loads(self._read(length))
        if "error" in answer:
            raise StyleError(f"onnxruntime-web: {' '.join(answer['error'].split())[:300]}")
        return answer

    def _read(self, length: int) -> bytes:
        data = self._alive().stdout.read(length)
        if len(data) < length:
            raise StyleError("onnxruntime-web died in Node.js (out of memory?)")
        return data


def web_session(model: Path, card: ModelCard, dist: Path) -> StyleSession:
    """A model file as browsers without a GPU run it."""
    return StyleSession(NodeEngine(model, card, dist), card, model, NAME, sha256(model))
