"""What TensorRT-RTX compiles when an engine is opened, kept for the next time.

TensorRT compiles everything when an engine is built and has nothing to keep.
"""

import hashlib
from typing import Any

from .._cache import cache_folder, write_file


class KernelCache:
    """The compiled kernels of one engine file, in the user's cache folder.

    Args:
        engine: deserialized.
        plan: the engine file, whose checksum names the cache.
        module: the library.
        graphs: let the library launch CUDA graphs where it can do so by itself.

    Attributes:
        own_graphs: whether it does. TensorRT-RTX goes on compiling while it paints, and so decides
            itself what to record.
    """

    def __init__(self, engine: Any, plan: bytes, module: Any, graphs: bool) -> None:
        self._engine: Any = engine
        self._cache: Any = None
        self._config: Any = None
        self._stored = b""
        self._path = cache_folder() / f"kernels-{hashlib.sha256(plan).hexdigest()[:16]}.bin"
        strategies = getattr(module, "CudaGraphStrategy", None)
        self.own_graphs = False
        if not hasattr(engine, "create_runtime_config"):
            return
        config = engine.create_runtime_config()
        if not hasattr(config, "create_runtime_cache"):
            return
        self._config = config
        self._cache = config.create_runtime_cache()
        if self._path.is_file():
            self._stored = self._path.read_bytes()
            self._cache.deserialize(self._stored)
        config.set_runtime_cache(self._cache)
        if graphs and strategies is not None:
            config.cuda_graph_strategy = strategies.WHOLE_GRAPH_CAPTURE
            self.own_graphs = True

    def create_context(self) -> Any:
        """A new execution context of the engine, with the cache if the library has such a thing."""
        if self._config is None:
            return self._engine.create_execution_context()
        return self._engine.create_execution_context(self._config)

    def store(self) -> None:
        """Write what was compiled since. A cache that cannot be written costs time only."""
        if self._cache is None:
            return
        found = bytes(self._cache.serialize())
        if found != self._stored:
            try:
                write_file(self._path, found)
            except OSError:
                return
            self._stored = found
