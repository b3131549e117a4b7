"""impasto COMMAND [flags]

Paint pictures, clips and cameras in the style of a painting. `impasto COMMAND --help` says more.
"""

import sys
from collections.abc import Callable
from importlib import import_module

# Command -> (module of the runtime, what it does).
COMMANDS = {
    "image": ("image", "paint pictures"),
    "video": ("video", "paint clips, with their sound"),
    "webcam": ("webcam", "paint a camera live"),
    "batch": ("batch.__main__", "paint archives on many machines"),
    "demo": ("demo", "paint a short clip that comes with Impasto and say how fast that was"),
    "models": ("models", "list the styles there are, or fetch more"),
    "doctor": ("doctor", "say what works on this machine and how to mend the rest"),
    "serve": ("serve_site", "show an exported web page"),
}


def usage() -> str:
    """What `impasto --help` prints."""
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items())
    return (
        "usage: impasto COMMAND [flags]\n\n"
        f"{listed}\n\n"
        "impasto COMMAND --help says more, impasto --version which version this is.\n"
        "Try: impasto image photo.jpg painted.png --model starry"
    )


def main(argv: list[str] | None = None) -> int:
    """Hand over to a command; returns the exit code."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("--version", "-V"):
        from .runtime.invocation import VERSION

        print(f"impasto {VERSION}")
        return 0
    from .runtime.cli import run_command

    if name in ("--help", "-h", "help"):
        return run_command(lambda: print(usage(), flush=True) or 0)
    return run_command(lambda: _command(name)(rest))


def _command(name: str) -> Callable[[list[str]], int]:
    """The `main` of a command.

    Raises:
        UsageError: there is no such command.
    """
    if name not in COMMANDS:
        from .runtime.errors import UsageError
        from .runtime.plugins import suggest

        raise UsageError(f'no command "{name}".{suggest(name, list(COMMANDS))}')
    return import_module(f".runtime.{COMMANDS[name][0]}", __package__).main


if __name__ == "__main__":
    raise SystemExit(main())
