"""Files as Torch7 (Lua) writes them, for tests."""

import struct

import torch


def torch7(value, out=None, seen=None):
    """A value as Torch7 writes it; modules are (class, fields), tensors PyTorch's."""
    out, seen = ([], [0]) if out is None else (out, seen)

    def text(word):
        out.append(struct.pack("<i", len(word)) + word.encode())

    def begin(kind):
        seen[0] += 1
        out.append(struct.pack("<ii", kind, seen[0]))

    if isinstance(value, torch.Tensor):
        begin(4)
        text("V 1")
        text("torch.FloatTensor")
        out.append(struct.pack("<i", value.dim()))
        out.append(struct.pack(f"<{2 * value.dim()}q", *value.shape, *value.stride()))
        out.append(struct.pack("<q", 1))
        begin(4)
        text("V 1")
        text("torch.FloatStorage")
        out.append(struct.pack("<q", value.numel()) + value.numpy().tobytes())
    elif isinstance(value, tuple):
        begin(4)
        text("V 1")
        text(value[0])
        torch7(value[1], out, seen)
    elif isinstance(value, dict):
        begin(3)
        out.append(struct.pack("<i", len(value)))
        for key, item in value.items():
            torch7(key, out, seen)
            torch7(item, out, seen)
    elif isinstance(value, str):
        out.append(struct.pack("<i", 2))
        text(value)
    elif isinstance(value, bool):
        out.append(struct.pack("<ii", 5, value))
    elif value is None:
        out.append(struct.pack("<i", 0))
    else:
        out.append(struct.pack("<id", 1, value))
    return b"".join(out)
