"""The page on reliability names tests that exist and figures that were counted."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
COUNTS = json.loads((ROOT / "tests" / "hostile" / "counts.json").read_text(encoding="utf-8"))
FOLDERS = ("runtime", "impasto", "training", "export", "benchmarks")
# What prints on its own: the filter itself, what may be said before it is loaded, lines that hold
# no name, and answers of processes to their parents.
PRINTING = {
    "runtime/cli.py",
    "runtime/missing.py",
    "runtime/engines/_provider_choice.py",
    "impasto/__main__.py",
    "benchmarks/measuring/_first_frame.py",
    "benchmarks/measuring/_first_live.py",
    "benchmarks/targets/_worker.py",
}


def test_every_promise_names_a_test():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 20
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"


def test_the_figures_are_those_that_were_counted():
    for kind, found in COUNTS["kinds"].items():
        row = f"| {kind} | {sum(found.values())} | {found['line']} | {found['done']} | 0 |"
        assert set(found) == {"line", "done"} and row in PAGE
    assert f"| all | {COUNTS['cases']} |" in PAGE
    for name, run in COUNTS["fuzzing"].items():
        assert f"| {name} | {run['seconds']} | {run['runs']} |" in PAGE


def test_scripts_of_pages_make_text_of_no_markup():
    """Names of styles, ports and cameras become text nodes: nothing that reads markup is called."""
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|DOMParser"
    sinks += r"|createContextualFragment|setHTML|\beval\(|new Function"
    folders = [ROOT / name for name in ("runtime/live/web", "export/site/web", "benchmarks/vote")]
    pages = [path for folder in folders for path in folder.rglob("*")]
    pages = [path for path in pages if path.suffix in (".js", ".html")]
    assert len(pages) > 15
    assert not [path.name for path in pages if re.search(sinks, path.read_text(encoding="utf-8"))]


def test_nothing_prints_around_the_filter():
    """Names go to the terminal by `cli.say`, `print_text` and `print_json`."""
    paths = [path for name in FOLDERS for path in (ROOT / name).rglob("*.py")]
    printing = re.compile(r"^\s*print\(", re.MULTILINE)
    found = {path for path in paths if printing.search(path.read_text(encoding="utf-8"))}
    assert {path.relative_to(ROOT).as_posix() for path in found} == PRINTING


def test_temporary_files_have_names_that_nobody_can_guess():
    """A link that lies under a known name would be followed: they are made by `outputs`."""
    known = re.compile(
        r"""\.with_(name|suffix)\(f?["']\.?[^"']*\.(tmp|part)["']\)|/ f["']\.[^"']*\.part["']"""
    )
    paths = [path for name in FOLDERS for path in (ROOT / name).rglob("*.py")]
    assert [p.name for p in paths if known.search(p.read_text(encoding="utf-8"))] == []
