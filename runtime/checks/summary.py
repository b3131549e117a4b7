"""What of Impasto works on this machine, in a few lines made from all findings."""

from collections.abc import Iterable
from dataclasses import dataclass

from .machine import Check


@dataclass(frozen=True, slots=True)
class Ability:
    """Something a person may want to do.

    Attributes:
        name: "pictures", "clips", "window", "camera", "GPU", "models".
        works: whether it does.
        detail: with what, or why not.
        mend: what to do about it, "" if nothing.
    """

    name: str
    works: bool
    detail: str = ""
    mend: str = ""


# What each ability needs: (group, name) of checks; all of them must be ok.
NEEDS = {
    "pictures": (
        ("packages", "numpy"),
        ("packages", "OpenCV"),
        ("packages", "Pillow"),
        ("engine", "CPU"),
    ),
    "clips": (("packages", "PyAV"), ("encoders", "h264"), ("engine", "CPU")),
    "window": (("screen", "window"),),
}
NAMES = ("pictures", "clips", "window", "camera", "GPU", "models")


def abilities(checks: Iterable[Check]) -> list[Ability]:
    """One line for each of `NAMES`."""
    checks = list(checks)
    found = {(check.group, check.name): check for check in checks}
    lines = [_all_of(name, needed, found) for name, needed in NEEDS.items()]
    lines.append(_any_of("camera", [check for check in checks if check.group == "cameras"]))
    gpus = ("CUDA", "Core ML", "TensorRT")
    lines.append(_any_of("GPU", [c for c in checks if c.group == "engine" and c.name in gpus]))
    lines.append(_models([check for check in checks if check.group == "models"]))
    return lines


def _all_of(
    name: str, needed: Iterable[tuple[str, str]], found: dict[tuple[str, str], Check]
) -> Ability:
    for key in needed:
        check = found.get(key)
        if check is None:
            return Ability(name, False, f"{key[1]} could not be tried")
        if check.status != "ok":
            what = "" if check.name == name else f"{check.name}: "
            return Ability(name, False, what + check.detail, check.mend)
    return Ability(name, True)


def _any_of(name: str, checks: list[Check]) -> Ability:
    working = [check for check in checks if check.status == "ok"]
    if working:
        return Ability(name, True, ", ".join(check.name for check in working))
    if not checks:
        return Ability(name, False, "could not be tried")
    return Ability(name, False, checks[0].detail, checks[0].mend)


def _models(checks: list[Check]) -> Ability:
    files = [check for check in checks if check.status == "ok"]
    if not files:
        return Ability("models", False, *((checks[0].detail, checks[0].mend) if checks else ()))
    return Ability("models", True, f"{len(files)} files")
