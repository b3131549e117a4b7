"""See README."""

from runtime import _siblings

_siblings.check("runtime", "training", "export")
