"""What a docstring, a comment or a page points at exists.

Files, folders, modules and the names in them, commands, sections of README. Papers are cited; notes
that the repository does not hold are not.
"""

import ast
import functools
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("impasto", "runtime", "training", "export", "benchmarks")
FOLDERS = (*PACKAGES, "tests", "docs", "models", "examples")
CODE = sorted(p for f in (*PACKAGES, "tests", "examples") for p in (ROOT / f).rglob("*.py"))
# Environments (.venv, .venv-litert, ...) and what is built are no pages of ours.
OTHERS = re.compile(r"\.|build$|runs$|node_modules$")
PAGES = [
    page
    for page in ROOT.rglob("*.md")
    if not any(OTHERS.match(part) for part in page.relative_to(ROOT).parts)
]
SETTINGS = [*sorted((ROOT / "training" / "recipes").glob("*.toml")), ROOT / "pyproject.toml"]

# A path begins with a folder of ours and is not the tail of a longer one or of an address.
PATH = re.compile(rf"(?<![\w./@-])(?:{'|'.join(FOLDERS)})/[\w*./-]*[\w*/]")
NAME = re.compile(rf"(?<![\w./\"'-])(?:{'|'.join(PACKAGES)})(?:\.[A-Za-z_]\w*)+(?![\w/])")
COMMAND = re.compile(r"python3? -m ((?:" + "|".join(PACKAGES) + r")(?:\.\w+)*)")
SECTION = re.compile(r"README,? (?:section )?\"([^\"]+)\"")
RESEARCH = re.compile(r"\bresearch(?:[/:]|\.md)|shared/(?!data)|\b\w+\.md, section", re.IGNORECASE)
# Written by people or commands when they work, and places of plugins that are still to be written.
MADE_LATER = re.compile(r"NAME|\bmine\b|brightness")
ELSEWHERE = ("models/networks.py",)  # in junyanz/pytorch-CycleGAN-and-pix2pix
KEYS = ("impasto.card", "impasto.benchmark")  # in model files and results, not modules


def words_of(path: Path) -> str:
    """Docstrings and comments of a Python file, one after the other."""
    source = path.read_text("utf-8")
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [
        ast.get_docstring(node, clean=False) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, kinds)
    ]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found += [token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT]
    return "\n".join(found)


def text_of(path: Path) -> str:
    return words_of(path) if path.suffix == ".py" else path.read_text("utf-8")


@functools.cache
def top_level(module: Path) -> frozenset[str]:
    """Names that a module defines, or that stand as attributes in its classes."""
    names = set(re.findall(r"^\s*(?:class|def|async def)\s+(\w+)", module.read_text("utf-8"), re.M))
    return frozenset(
        names | set(re.findall(r"^\s*(\w+)\s*(?::[^=\n]+)?=", module.read_text("utf-8"), re.M))
    )


def is_path(text: str, base: Path = ROOT) -> bool:
    """Whether a path, perhaps with a star or without its suffix, exists."""
    text = text.rstrip("/.")
    if "*" in text:
        return any(base.glob(text))
    found = base / text
    return found.exists() or any(found.parent.glob(f"{found.name}.*"))


def is_name(text: str) -> bool:
    """Whether a dotted name is a module of ours, or a name in one."""
    parts = text.split(".")
    if text in KEYS or (parts[0] == "impasto" and (ROOT / parts[1]).is_dir()):
        return text in KEYS or len(parts) == 2 or is_name(".".join(parts[1:]))
    for length in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:length])
        module = (
            place.with_suffix(".py")
            if place.with_suffix(".py").is_file()
            else place / "__init__.py"
        )
        if module.is_file():
            rest = parts[length:]
            return not rest or rest[0] in top_level(module)
    return False


def broken(text: str, folder: Path = ROOT) -> list[str]:
    """What a text points at that is not there; links of a page begin at its folder."""
    paths = set(PATH.findall(text)) - set(ELSEWHERE)
    lost = [
        p
        for p in sorted(paths)
        if not MADE_LATER.search(p) and not (is_path(p) or is_path(p, folder))
    ]
    names = {found for found in NAME.findall(text) if not found.endswith((".py", ".md", ".toml"))}
    lost += [name for name in sorted(names) if not is_name(name) and not MADE_LATER.search(name)]
    for command in sorted(set(COMMAND.findall(text))):
        place = ROOT.joinpath(*command.split("."))
        known = place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()
        if not known and not MADE_LATER.search(command):
            lost.append(f"python -m {command}")
    headings = re.findall(r"^#+ (.+)$", (ROOT / "README.md").read_text("utf-8"), re.M)
    lost += [f'README, "{title}"' for title in SECTION.findall(text) if title not in headings]
    return lost + RESEARCH.findall(text)


@pytest.mark.parametrize("path", [*CODE, *PAGES, *SETTINGS], ids=lambda p: str(p.relative_to(ROOT)))
def test_what_is_pointed_at_exists(path):
    assert not broken(text_of(path), path.parent)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    """`mkdocs build --strict` checks those inside docs/, with their anchors."""
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    "text",
    [
        "see `training/losses/gram.py`",
        "as in runtime.live.pacing.nothing",
        'the table (README, "Large pictures")',
        "8-px cells (research: small strokes)",
        "half of its steps (students.md, section 5)",
        "python -m benchmarks.nothing",
    ],
)
def test_a_dangling_reference_is_found(text):
    assert broken(text)


def test_what_exists_is_not_complained_about():
    assert not broken("training/losses/style.py, runtime.model.session.open_session, export/int8/")
