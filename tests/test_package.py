"""What is installed, held by reading; tests/check_install.py builds it and uses it."""

import re
import tomllib
from pathlib import Path

from impasto.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_every_package_of_the_runtime_is_installed_and_no_other():
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "runtime").rglob("__init__.py")}
    wanted = {"impasto", "impasto.models"} | {f"impasto.{'.'.join(f.parts)}" for f in folders}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == wanted


def test_every_command_is_a_module_of_the_runtime():
    assert all(
        (ROOT / "runtime" / f"{module.replace('.', '/')}.py").is_file()
        for module, _ in COMMANDS.values()
    )
    assert PROJECT["project"]["scripts"] == {"impasto": "impasto.__main__:main"}


def test_the_lean_environment_is_pinned_by_hashes_and_names_no_host():
    text = (ROOT / "requirements-runtime.txt").read_text("utf-8")
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", text, re.MULTILINE))
    for requirement in PROJECT["project"]["dependencies"]:
        assert re.match(r"[\w-]+", requirement)[0] in pinned, "make lock"
    for block in re.split(r"\n(?=\w)", text):
        assert block.startswith("#") or "--hash=sha256:" in block
    assert "://" not in text and "index" not in text
    constraints = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text("utf-8").split()
        if "==" in line
    )
    for name in pinned.keys() & constraints.keys():
        assert pinned[name] == constraints[name], f"{name}: make lock"
