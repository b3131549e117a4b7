"""PYTHONPATH=. python tests/training/clip/make_tiny.py makes a CLIP that knows eight colors.

Trained on colored shapes made here ("a red circle", "blue") and on soft patches of muted colors ("a
photo"). It takes half a minute on a core; what it writes lies in tiny/.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from training.clip.towers import Clip, Facts, Sizes
from training.clip.words import END, END_OF_WORD, START, Words, byte_letters

FOLDER = Path(__file__).parent / "tiny"
COLORS = {
    "red": (220, 30, 30),
    "green": (30, 180, 50),
    "blue": (40, 60, 220),
    "yellow": (230, 220, 40),
    "purple": (140, 40, 170),
    "orange": (240, 140, 30),
    "white": (245, 245, 245),
    "black": (15, 15, 15),
}
SHAPES = ("circle", "square", "stripe")
SPEECH = ("a", "photo", *COLORS, *SHAPES)
SIDE, WIDTH, LENGTH = 32, 32, 8
FACTS = Facts(vision_heads=2, text_heads=2)


def tokenizer() -> Words:
    """Each word of SPEECH is one token, merged letter by letter."""
    merges: list[tuple[str, str]] = []
    tokens = [*byte_letters().values(), *(c + END_OF_WORD for c in byte_letters().values())]
    for word in SPEECH:
        parts = [*word[:-1], word[-1] + END_OF_WORD]
        while len(parts) > 1:
            merges += [(parts[0], parts[1])] if (parts[0], parts[1]) not in merges else []
            parts = [parts[0] + parts[1], *parts[2:]]
            tokens += [parts[0]] if parts[0] not in tokens else []
    tokens += [START, END]
    return Words({token: number for number, token in enumerate(tokens)}, merges)


def network(words: Words) -> Clip:
    """Untrained."""
    sizes = Sizes(WIDTH, 2, 4 * WIDTH)
    text = Sizes(WIDTH, 1, 4 * WIDTH)
    return Clip(sizes, text, 8, SIDE, len(words.vocabulary), LENGTH, 16, FACTS)


def picture(color: str, shape: str, rng: np.random.Generator) -> np.ndarray:
    """(SIDE, SIDE, 3) in 0..1: a shape of about this color on a pale or dark ground."""
    down, across = np.mgrid[:SIDE, :SIDE]
    y, x, size = rng.uniform(8, 24), rng.uniform(8, 24), rng.uniform(8, 16)
    inside = {
        "circle": (down - y) ** 2 + (across - x) ** 2 < size**2,
        "square": np.maximum(abs(down - y), abs(across - x)) < size,
        "stripe": abs((down - y) * rng.uniform(-1, 1) + (across - x)) < size / 2,
        "": np.ones((SIDE, SIDE), bool),
    }[shape]
    paint = np.array(COLORS[color]) / 255 + rng.normal(0, 0.06, 3)
    ground = rng.uniform(0.2, 0.8) + rng.normal(0, 0.03, 3)
    found = np.where(inside[..., None], paint, ground) + rng.normal(0, 0.04, (SIDE, SIDE, 3))
    return found.clip(0, 1)


def photo(rng: np.random.Generator) -> np.ndarray:
    """(SIDE, SIDE, 3) in 0..1: soft patches of muted colors, as a photograph's."""
    coarse = torch.from_numpy(rng.uniform(0, 1, (1, 3, 5, 5)))
    gray = coarse.mean(1, keepdim=True)
    soft = F.interpolate(gray + 0.5 * (coarse - gray), (SIDE, SIDE), mode="bicubic")[0]
    return soft.permute(1, 2, 0).numpy().clip(0, 1)


def batch(rng: np.random.Generator) -> tuple[torch.Tensor, list[str]]:
    """A photo, and something of each color."""
    pictures, captions = [photo(rng)], ["a photo"]
    for color in COLORS:
        shape = str(rng.choice(["", *SHAPES]))
        pictures.append(picture(color, shape, rng))
        captions.append(f"a {color} {shape}" if shape and rng.random() < 0.7 else color)
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float(), captions


def train(steps: int = 700) -> tuple[Clip, Words]:
    """Symmetric InfoNCE over small batches of captions that all differ."""
    torch.manual_seed(0)
    rng, words = np.random.default_rng(0), tokenizer()
    clip = network(words)
    optimizer = torch.optim.AdamW(clip.parameters(), 1e-3, weight_decay=0.05)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-3 * min(1, step / 30) * (1 - step / steps)
        loss = torch.zeros(())
        for _ in range(4):
            pictures, captions = batch(rng)
            tokens = torch.tensor([words.numbers(text, LENGTH) for text in captions])
            logits = (
                clip.logit_scale.clamp(max=3.5).exp() * clip.see(pictures) @ clip.read(tokens).T
            )
            aim = torch.arange(len(captions))
            loss = loss + (F.cross_entropy(logits, aim) + F.cross_entropy(logits.T, aim)) / 8
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return clip.eval(), words


def main() -> None:
    """Train, and write the files as OpenCLIP does."""
    clip, words = train()
    FOLDER.mkdir(exist_ok=True)
    tensors = {key: value.half().contiguous() for key, value in clip.state_dict().items()}
    save_file(tensors, FOLDER / "open_clip_model.safetensors")
    (FOLDER / "vocab.json").write_text(json.dumps(words.vocabulary, ensure_ascii=True) + "\n")
    pairs = [f"{a} {b}" for a, b in sorted(words.ranks, key=words.ranks.__getitem__)]
    (FOLDER / "merges.txt").write_text("\n".join(["#version: 0.2", *pairs]) + "\n", "utf-8")
    config = {
        "model_cfg": {
            "embed_dim": 16,
            "vision_cfg": {"head_width": WIDTH // FACTS.vision_heads},
            "text_cfg": {"heads": FACTS.text_heads},
        },
        "preprocess_cfg": {"mean": FACTS.mean, "std": FACTS.deviation},
    }
    (FOLDER / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    main()
