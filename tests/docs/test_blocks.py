"""What the pages tell a reader to type works.

Every fenced block of shell or Python is run, as printed and in the order printed, in a folder with
a clip, photos and a painting. A block that cannot be run here says why in a comment above it:
<!-- not run: needs a camera -->.
"""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(ROOT / folder / "README.md" for folder in ("models", "examples")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(
    r"^(?:<!-- not run: (?P<why>.+?) -->\n)?^```(?P<language>\S*)[^\n]*\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SHELL, PYTHON = ("sh", "bash", "shell"), ("python", "py")


def blocks(page: Path):
    """(language, body, why it is not run or None) of every fenced block."""
    found = FENCE.finditer(page.read_text("utf-8"))
    return [(block["language"], block["body"], block["why"]) for block in found]


def to_run(page: Path):
    return [
        (language, body)
        for language, body, why in blocks(page)
        if why is None and language in (*SHELL, *PYTHON)
    ]


@pytest.mark.parametrize(
    "page", [p for p in PAGES if to_run(p)], ids=lambda p: str(p.relative_to(ROOT))
)
def test_what_is_printed_works(page, checkout):
    before = ""
    for language, body in to_run(page):
        if language in SHELL:
            checkout("bash", "-euo", "pipefail", "-c", body)
        else:
            before += body  # later blocks of a page go on with the names of earlier ones
            checkout(sys.executable, "-c", before)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_fence_names_its_language(page):
    """A block without one would not be run and nobody would notice."""
    text = page.read_text("utf-8")
    assert len(re.findall(r"^```", text, re.MULTILINE)) == 2 * len(blocks(page))
    assert all(language for language, _, _ in blocks(page)), "write ```text for output"
