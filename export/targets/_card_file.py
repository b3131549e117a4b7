"""Cards of formats that have no room for one: a file beside the model, which the runtime reads."""

import json
from pathlib import Path

from runtime.card import ModelCard, beside


def write_card(card: ModelCard, model: Path) -> Path:
    """Write `<model>.card.json`; returns its path."""
    path = beside(model)
    text = json.dumps(json.loads(card.to_json()), indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    return path
