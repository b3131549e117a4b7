"""Errors meant for a person: one line saying what, the value, what is allowed and what to do.

Every command prints `error: <message>` and exits with the class's `exit_code`; anything that is not
a `StyleError` is a bug of ours: one line as well, and its traceback in a file (`cli.run_command`).
"""

# One table of exit codes for all commands (docs/reference/commands.md).
DONE = 0
FAILED = 1
USAGE = 2
UNAVAILABLE = 3
GATE_REFUSED = 4
INTERRUPTED = 130


class StyleError(Exception):
    """Base of every error a user can act on."""

    exit_code = FAILED


class UsageError(StyleError):
    """The request is wrong: a value, a path, a combination of flags."""

    exit_code = USAGE


class ModelNotFound(UsageError):
    """No model file answers to this name."""


class CardMismatch(UsageError):
    """A model file is not what its card, or a command, says it must be."""


class SourceError(UsageError):
    """An input picture, clip or camera cannot be read."""


class SinkError(StyleError):
    """An output cannot be written (disk full, encoder refused, not writable)."""


class OutputExists(UsageError):
    """The output is already there and `--overwrite` was not given."""


class EngineUnavailable(StyleError):
    """A needed device or library is absent."""

    exit_code = UNAVAILABLE


class ParityError(StyleError):
    """A quality or parity gate refused an artifact."""

    exit_code = GATE_REFUSED
