"""Shared command-line parts: sizes, weights, exit codes, progress."""

import argparse
import io
import json

import pytest

from runtime import cli
from runtime.errors import EngineUnavailable, OutputExists, StyleError, UsageError
from runtime.outputs import check_output


def test_sizes():
    assert cli.parse_size("1280x720") == (1280, 720)
    for text in ("1280", "0x5", "axb", "1280x720x3"):
        with pytest.raises(argparse.ArgumentTypeError, match="1280x720"):
            cli.parse_size(text)


def test_models_and_weights():
    assert cli.parse_models("a.onnx") == ("a.onnx", 1.0)
    assert cli.parse_models("a.onnx:0.6") == ("a.onnx", 0.6)
    assert cli.parse_models(r"C:\models\a.onnx") == (r"C:\models\a.onnx", 1.0)
    assert cli.parse_models(r"C:\models\a.onnx:.5") == (r"C:\models\a.onnx", 0.5)
    for text in ("a.onnx:0", "a.onnx:-1", ":0.5", "a.onnx:inf", "a.onnx:nan"):
        with pytest.raises(UsageError, match="weight"):
            cli.parse_models(text)


def test_fractions():
    assert cli.parse_fraction("0.25") == 0.25
    for text in ("1.5", "-1", "x", "nan"):
        with pytest.raises(argparse.ArgumentTypeError, match="0 to 1"):
            cli.parse_fraction(text)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StyleError("boom"), 1),
        (UsageError("boom"), 2),
        (OutputExists("boom"), 2),
        (EngineUnavailable("boom"), 3),
        (KeyboardInterrupt(), 130),
        (MemoryError(), 1),
    ],
)
def test_exit_codes(error, code, capsys):
    def main() -> int:
        raise error

    assert cli.run_command(main) == code
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    if isinstance(error, StyleError):
        assert captured.err == "error: boom\n"


def test_bugs_keep_their_traceback():
    def main() -> int:
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError):
        cli.run_command(main)


def test_json_is_one_line(capsys):
    cli.print_json({"a": 1, "b": [2]})
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and json.loads(out) == {"a": 1, "b": [2]}


def clocked(monkeypatch, times):
    values = iter(times)
    monkeypatch.setattr(cli.time, "monotonic", lambda: next(values))


def test_progress_is_silent_at_first_then_speaks_every_few_seconds(monkeypatch):
    stream = io.StringIO()
    clocked(monkeypatch, [0.0, 1.0, 1.9, 6.0, 7.0, 11.5])
    progress = cli.Progress(10, stream=stream)
    for _ in range(5):
        progress.update()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("3/10 frames  30 %") and "ETA" in lines[0]


def test_progress_paints_a_bar_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    clocked(monkeypatch, [0.0, 3.0, 3.05, 4.0])
    progress = cli.Progress(4, "tiles", stream=stream)
    for _ in range(3):
        progress.update()
    progress.close()
    progress.close()
    shown = stream.getvalue()
    assert shown.count("\r") == 4 and "[###############.....] 3/4 tiles" in shown


def test_quiet_progress_says_nothing(monkeypatch):
    stream = io.StringIO()
    clocked(monkeypatch, [0.0, 100.0])
    cli.Progress(None, quiet=True, stream=stream).update()
    assert stream.getvalue() == ""


def test_clock():
    assert [cli.clock(s) for s in (0, 65, 3661)] == ["0:00", "1:05", "1:01:01"]


def test_outputs_are_protected(tmp_path):
    there = tmp_path / "there.png"
    there.touch()
    with pytest.raises(OutputExists, match="--overwrite"):
        check_output(there, overwrite=False)
    assert check_output(there, overwrite=True) == there
    with pytest.raises(UsageError, match="folder"):
        check_output(tmp_path, overwrite=True)
    with pytest.raises(UsageError, match="cannot make"):
        check_output(there / "sub" / "a.png", overwrite=False)
    assert check_output(tmp_path / "new" / "a.png", overwrite=False).parent.is_dir()
