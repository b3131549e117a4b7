"""What was measured, on what: the block every result file carries.

A number without its machine cannot be repeated. `describe` needs the runtime only and asks
the operating system nothing that needs rights; what it cannot find out is None, never a guess.
"""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from runtime.card import JsonObject

# Instruction sets that decide which kernels an inference engine picks, as /proc/cpuinfo names them.
ISA = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl"),
    *("avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
# Distributions whose version can change a number; only the installed ones are listed.
PACKAGES = (
    *("numpy", "opencv-python", "opencv-python-headless", "av", "pillow", "onnx", "torch"),
    *("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "openvino", "tensorrt", "ncnn"),
)
HOME = Path(__file__).resolve().parents[2]

# Whatever JSON holds, by name.
Facts = JsonObject


def describe() -> Facts:
    """The machine and its software, ready for JSON.

    Returns:
        `system`, `cpu`, `memory_mib`, `gpus`, `python`, `packages`, `providers`, `git`, `load` (of
        the last minute, in runnable processes: on a quiet machine it is near zero).
    """
    return {
        "system": {
            "name": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "board": board(),
        },
        "cpu": cpu(),
        "memory_mib": memory_mib(),
        "gpus": gpus(),
        "python": platform.python_version(),
        "packages": packages(),
        "providers": providers(),
        "git": git(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _ask(*command: str) -> str | None:
    """First answer of a command, or None when it is absent or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _read(path: str) -> str | None:
    """Text of a small system file, or None."""
    try:
        return Path(path).read_text(errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def parse_cpuinfo(text: str) -> Facts:
    """Facts of the first core in the text of /proc/cpuinfo (x86 and ARM spell them differently)."""
    facts: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            facts.setdefault(key.strip().lower(), value.strip())
    flags = set((facts.get("flags") or facts.get("features") or "").split())
    numbers = [facts.get(key) for key in ("cpu family", "model", "stepping")]
    part = [facts.get(key) for key in ("cpu implementer", "cpu part")]
    return {
        "model": facts.get("model name") or facts.get("hardware"),
        # AMD hides the product name from virtual machines; family and model still tell Zen 5.
        "family_model_stepping": "/".join(n or "?" for n in numbers) if any(numbers) else None,
        "arm_part": "/".join(n or "?" for n in part) if any(part) else None,
        "isa": [name for name in ISA if name in flags],
        "virtual": "hypervisor" in flags if flags else None,
    }


def cpu() -> Facts:
    """Model, instruction sets, cores, caches, governor and the cores this process may use."""
    facts = parse_cpuinfo(_read("/proc/cpuinfo") or "")
    if platform.system() == "Darwin":
        facts["model"] = _ask("sysctl", "-n", "machdep.cpu.brand_string")
        facts["isa"] = [
            name
            for name, key in (("asimddp", "FEAT_DotProd"), ("i8mm", "FEAT_I8MM"))
            if _ask("sysctl", "-n", f"hw.optional.arm.{key}") == "1"
        ]
    affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    governors = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    index = "/sys/devices/system/cpu/cpu0/cache/index{}/size"
    return {
        **facts,
        "model": facts["model"] or platform.processor() or None,
        "cores": os.cpu_count(),
        "affinity": affinity,
        "governor": _read(governors),
        "l2": _read(index.format(2)),
        "l3": _read(index.format(3)),
        "smt": {"1": True, "0": False}.get(_read("/sys/devices/system/cpu/smt/active") or ""),
    }


def board() -> str | None:
    """Name of a single-board computer or a phone's chip, where the system knows it."""
    return _read("/proc/device-tree/model") or _ask("getprop", "ro.soc.model")


def memory_mib() -> int | None:
    """Physical memory."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (AttributeError, ValueError, OSError):
        return None


def gpus() -> list[dict[str, str]]:
    """NVIDIA devices as `nvidia-smi` reports them: name, driver, memory. Empty without one."""
    fields = ("name", "driver_version", "memory.total")
    answer = _ask("nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader")
    rows = [line.split(", ") for line in (answer or "").splitlines()]
    return [
        dict(zip(("name", "driver", "memory"), row, strict=True)) for row in rows if len(row) == 3
    ]


def packages() -> dict[str, str]:
    """Installed versions of the distributions in `PACKAGES`; imports none of them."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def providers() -> list[str]:
    """Execution providers this ONNX Runtime offers; the one in use is in each row."""
    try:
        import onnxruntime
    except ImportError:
        return []
    return list(onnxruntime.get_available_providers())


def commit_of(folder: Path) -> str | None:
    """Commit of a checkout; None outside of one."""
    return _ask("git", "-C", str(folder), "rev-parse", "HEAD")


def git() -> Facts:
    """Commit of the code and whether tracked files were changed; None outside a checkout."""
    commit = commit_of(HOME)
    if commit is None:
        return {"commit": None, "dirty": None}
    # Results being rewritten are no change of the code that measured them.
    paths = ("runtime", "training", "export", "benchmarks/*.py")
    changed = _ask("git", "-C", str(HOME), "status", "--porcelain", "-uno", "--", *paths)
    return {"commit": commit, "dirty": changed is not None}
