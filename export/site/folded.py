"""Networks of bytes that are folded for each scene (`runtime.model.folding`), as a page runs them:
a graph that takes the folded vectors as inputs, because a browser's engine cannot replace constants
of an open model; the graph that measures a scene; and the layers' figures, by which `js/scene.js`
makes the one's inputs of the other's answer."""

from runtime.card import JsonObject
from runtime.model.folding import GRAPH_KEY, KEY, Folding

# What a page asks of a layer: its weight scale and its bias.
VECTORS = ("weight_scale", "bias")


def taking_vectors(model: bytes, folding: Folding) -> bytes:
    """The file with every layer's vectors as inputs `<layer>.weight_scale`, `<layer>.bias`, and
    without what only folding needs."""
    import onnx

    proto = onnx.load_from_string(folding.with_vectors(model))
    graph = proto.graph
    names = {f"{layer.name}.{vector}" for layer in folding.layers for vector in VECTORS}
    taken = [tensor for tensor in graph.initializer if tensor.name in names]
    for tensor in taken:
        graph.initializer.remove(tensor)
        graph.input.append(
            onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        )
    for entry in [one for one in proto.metadata_props if one.key in (KEY, GRAPH_KEY)]:
        proto.metadata_props.remove(entry)
    return proto.SerializeToString()


def figures(folding: Folding) -> list[JsonObject]:
    """Of each layer, in the order of the measuring graph's answers."""
    return [
        {
            "name": layer.name,
            "input_scale": layer.input_scale,
            "epsilon": layer.epsilon,
            **{key: getattr(layer, key).tolist() for key in ("weight_scale", "gamma", "beta")},
        }
        for layer in folding.layers
    ]
