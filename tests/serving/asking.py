"""How a test asks: arrays in, arrays out, over HTTP or gRPC."""

from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]

NUMPY = {
    np.dtype(np.uint8): "UINT8",
    np.dtype(np.float32): "FP32",
    np.dtype(object): "BYTES",
    np.dtype(bool): "BOOL",
}


def tensors(client, arrays):
    """Inputs of this client's kind."""
    module = __import__(type(client).__module__.rpartition(".")[0], fromlist=["InferInput"])
    made = []
    for name, array in arrays.items():
        tensor = module.InferInput(name, list(array.shape), NUMPY[array.dtype])
        tensor.set_data_from_numpy(array)
        made.append(tensor)
    return made


def ask(client, model, output, **arrays):
    """One output of one request."""
    return client.infer(model, tensors(client, arrays)).as_numpy(output)


def words(*texts):
    """A tensor of strings with a batch axis."""
    return np.array([[text.encode() for text in texts]], dtype=object)


def number(value):
    """A tensor of one number with a batch axis."""
    return np.array([[value]], np.float32)
