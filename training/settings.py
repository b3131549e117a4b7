"""What settings of recipes, networks and methods may be; `runtime.fields.fill` checks them."""

from typing import Annotated, Literal

from runtime.fields import Between

Share = Annotated[float, Between(0, 1)]
Weight = Annotated[float, Between(0, 1e9)]
# A decay of 1 would never take anything in.
Decay = Annotated[float, Between(0, 0.999999)]
Count = Annotated[int, Between(0, 10**9)]
Positive = Annotated[int, Between(1, 10**9)]
# Pictures at once, or parts of such a batch: more than any device holds.
BatchSize = Annotated[int, Between(1, 4096)]
# What both NumPy and PyTorch take.
Seed = Annotated[int, Between(0, 2**63 - 1)]
# px; backbones halve a square three or four times and reflect at its border.
Side = Annotated[int, Between(16, 16384)]
# Of convolutions; a layer of more has gigabytes of weights.
Channels = Annotated[int, Between(1, 4096)]
Layers = Annotated[int, Between(0, 64)]
# Space-to-depth factor, and px around a picture.
Scale = Annotated[int, Between(1, 32)]
Margin = Annotated[int, Between(0, 1024)]
# Factor between the sides of squares that are cut and squares that are used.
Enlargement = Annotated[float, Between(1, 64)]
Normalization = Literal["instance", "none"]
Padding = Literal["zeros", "replicate", "reflect", "circular"]  # PyTorch's
