"""Train style-transfer generators. Imports `runtime` (for the card) and nothing to its right."""

from runtime import _siblings

_siblings.check("runtime", "training")
