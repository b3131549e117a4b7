"""Generators. Each file declares a frozen `Config` dataclass and a `Generator(config)` module and
ends in `PLUGIN = (Config, Generator)`. A generator maps images (N, 3, H, W) RGB in [0, 1] to the
same shape (not clamped: the export clamps), and says what the runtime must know in two attributes:
`multiple_of` (height and width must be multiples of it) and `normalization` ("instance"/"none").
"""

import dataclasses
import sys
from typing import Any

from torch import nn

from runtime.errors import UsageError
from runtime.plugins import load, suggest


def build(name: str, **config: Any) -> nn.Module:
    """Build the generator `name`; its resolved settings are kept as `.name` and `.config`.

    Raises:
        UsageError: unknown network, unknown setting (the nearest is suggested) or a bad value.
    """
    config_class, generator_class = load(sys.modules[__name__], name)
    known = [field.name for field in dataclasses.fields(config_class)]
    for key in config:
        if key not in known:
            raise UsageError(f'network "{name}" has no setting "{key}".{suggest(key, known)}')
    try:
        settings = config_class(**config)
    except ValueError as error:
        raise UsageError(f'network "{name}": {error}') from None
    network = generator_class(settings)
    network.name = name
    network.config = dataclasses.asdict(settings)
    return network
