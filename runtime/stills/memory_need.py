"""How much memory a graph needs per pixel."""

import numpy as np

from ..model.session import StyleSession
from ..onnxfile import OnnxFile

# Share of the free memory that one run may take without being asked.
SHARE = 0.6


def bytes_per_pixel(session: StyleSession, model: OnnxFile, feeds: dict[str, np.ndarray]) -> float:
    """Peak memory of the graph's tensors per pixel of the picture.

    Every tensor of the graph is asked for once on a small picture; a tensor counts from the node
    that makes it to the last one that reads it.

    Args:
        session: whose engine is used.
        model: the parsed graph (as stored, not cut).
        feeds: its inputs for a small picture.
    """
    names = list(dict.fromkeys(name for node in model.nodes for name in node.outputs if name))
    engine = session.open_part(model.serialize(names))
    try:
        results = engine.run(feeds, names)
    finally:
        engine.close()
    size = {name: int(getattr(array, "nbytes", 0)) for name, array in results.items()}
    size.update({name: array.nbytes for name, array in feeds.items()})
    last = {name: at for at, node in enumerate(model.nodes) for name in node.inputs}
    alive, peak = set(feeds), 0
    for at, node in enumerate(model.nodes):
        alive.update(name for name in node.outputs if name)
        peak = max(peak, sum(size.get(name, 0) for name in alive))
        alive = {name for name in alive if last.get(name, -1) > at or name in model.outputs}
    image = next(iter(feeds.values()))
    pixels = image.size // 3 // image.shape[0]
    return peak / pixels
