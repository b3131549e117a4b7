"""Shared command-line parts: sizes, weights, exit codes, progress."""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import cli
from runtime.errors import EngineUnavailable, OutputExists, StyleError, UsageError
from runtime.outputs import check_output

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.fixture
def no_debug(monkeypatch):
    """As users run it."""
    monkeypatch.delenv("IMPASTO_DEBUG")


def test_an_unexpected_error_is_one_line_and_a_report(no_debug, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail():
        raise ValueError("x\ny")

    assert cli.run_command(fail) == 1
    (line,) = capsys.readouterr().err.splitlines()
    (report,) = tmp_path.iterdir()
    assert (
        line.startswith("error: ValueError: x\\ny; that is a fault of ours") and report.name in line
    )
    assert "def fail" not in line and 'raise ValueError("x\\ny")' in report.read_text()


def test_debug_shows_the_traceback(no_debug, monkeypatch):
    monkeypatch.setenv("IMPASTO_DEBUG", "")  # so that it is put back
    cli.Parser().parse_args(["--debug"])
    with pytest.raises(ZeroDivisionError):
        cli.run_command(lambda: 1 // 0)


def test_control_characters_never_reach_the_terminal(capsys):
    cli.say("a\x1b]0;title\x07b\u202egnp.exe\x9b31m\tä\udc80")
    shown = capsys.readouterr().err
    assert shown == "a\\x1b]0;title\\x07b\\u202egnp.exe\\x9b31m\\x09ä\\udc80\n"


def test_a_name_cannot_add_a_line(capsys):
    def fail():
        raise UsageError('no file "a\nerror: b"')

    assert cli.run_command(fail) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full (Linux)")
def test_a_full_standard_output_is_said():
    script = (
        "from runtime import cli; raise SystemExit(cli.run_command(lambda: cli.print_json({})))"
    )
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert run.returncode == 1
    assert run.stderr == "error: cannot write to standard output: No space left on device\n"


def test_closed_streams_are_no_error():
    script = (
        "import sys; sys.stdout = sys.stderr = None\n"
        "from runtime import cli\n"
        "def main():\n"
        "    cli.say('x'); raise BrokenPipeError\n"
        "raise SystemExit(cli.run_command(main))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 1


def test_an_interrupt_before_the_command_has_begun_is_one_word():
    script = "import runpy, sys\nsys.argv = ['-m']\nimport runtime\nraise KeyboardInterrupt\n"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    assert run.stderr == "interrupted\n" and run.returncode == 130


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
@pytest.mark.parametrize("installed", [False, True])
@pytest.mark.parametrize("moment", ["typing", "argparse", "numpy", "cv2", "onnxruntime"])
def test_an_interrupt_while_libraries_load_is_one_word(tmp_path, installed, moment):
    """Whoever loads something at that moment may not know what to do with an exception."""
    script = tmp_path / "impasto"
    script.write_text("import sys\nfrom impasto.__main__ import main\nsys.exit(main())\n")
    command = [str(script), "image"] if installed else ["-m", "runtime.image"]
    photo = ROOT / "runtime" / "photographs" / "chelsea.jpg"
    words = [str(photo), str(tmp_path / "painted.png"), "--model", "starry"]
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", *command, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        said = []
        for line in run.stderr:
            loaded = line.startswith("import time:")
            if loaded and line.split("|")[-1].strip().removeprefix("impasto.") == moment:
                run.send_signal(signal.SIGINT)
            elif not loaded:
                said.append(line)
    # On a busy machine the signal comes after the command has said which file it takes.
    before = [line for line in said if not line.startswith("starry: ")]
    assert before == ["interrupted\n"] and said[-1] == before[-1] and run.returncode == 130


def test_an_ignored_interrupt_stays_ignored():
    script = (
        "import signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nsys.argv = ['-m']\n"
        "import runtime\nsignal.raise_signal(signal.SIGINT)\nprint('lives')"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == "lives\n"


def test_a_program_that_imports_us_keeps_its_interrupts():
    script = (
        "import signal, runtime\n"
        "raise SystemExit(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


def test_a_command_can_close_what_it_opened_when_interrupted():
    script = (
        "import sys\nsys.argv = ['-m']\nimport argparse, signal\nfrom runtime import cli\n"
        "def run(args):\n"
        "    try: signal.raise_signal(signal.SIGINT)\n"
        "    finally: print('closed', flush=True)\n"
        "raise SystemExit(cli.command_main(argparse.ArgumentParser, run)([]))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (run.stdout, run.stderr, run.returncode) == ("closed\n", "interrupted\n", 130)


@pytest.mark.parametrize("again", ["atexit.register", "(lambda work: work())"])
def test_a_second_interrupt_behind_the_first_changes_nothing(again):
    """While the command says so, and while it clears up."""
    script = (
        "import sys\nsys.argv = ['-m']\nimport argparse, atexit, signal\nfrom runtime import cli\n"
        "def interrupt(): signal.raise_signal(signal.SIGINT)\n"
        f"def say(text): print(text, file=sys.stderr); {again}(interrupt)\n"
        "cli.say = say\n"
        "raise SystemExit(cli.command_main(argparse.ArgumentParser, lambda _: interrupt())([]))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (run.stderr, run.returncode) == ("interrupted\n", 130)


def test_an_interrupt_that_a_library_makes_another_error_of_stays_one():
    script = (
        "import sys\nsys.argv = ['-m']\nimport argparse, signal\nfrom runtime import cli\n"
        "def run(args):\n"
        "    try: signal.raise_signal(signal.SIGINT)\n"
        "    except BaseException: raise ImportError('half', name='onnxruntime')\n"
        "raise SystemExit(cli.command_main(argparse.ArgumentParser, run)([]))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (run.stderr, run.returncode) == ("interrupted\n", 130)


def test_a_thread_that_does_not_come_back_does_not_keep_the_command():
    """What was printed arrives, and what is done at the end is done."""
    script = (
        "import sys\nsys.argv = ['-m']\n"
        "import argparse, atexit, threading\nfrom runtime import cli\n"
        "atexit.register(print, 'cleared')\n"
        "def run(args):\n"
        "    threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "    print('done')\n    return 4\n"
        "raise SystemExit(cli.command_main(argparse.ArgumentParser, run)([]))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (run.stdout, run.stderr, run.returncode) == ("done\ncleared\n", "", 4)


def test_an_interrupted_command_waits_for_no_thread_of_a_library():
    script = (
        "import sys\nsys.argv = ['-m']\n"
        "import argparse, signal, threading\nfrom runtime import cli\n"
        "def run(args):\n"
        "    threading.Thread(target=threading.Event().wait).start()\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "raise SystemExit(cli.command_main(argparse.ArgumentParser, run)([]))"
    )
    words = [sys.executable, "-c", script]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (run.stderr, run.returncode) == ("interrupted\n", 130)


def test_what_is_printed_has_no_control_characters(capsys):
    name = "a\x1b]0;title\x07b\u202ec\u2028d\udc80\x9b"
    cli.print_text(f"{name}\nnext")
    cli.say(name)
    cli.print_json({"name": name + "\x7f"})
    shown = "a\\x1b]0;title\\x07b\\u202ec\\u2028d\\udc80\\x9b"
    out, err = capsys.readouterr()
    lines = out.split("\n")
    assert lines[:2] == [shown, "next"] and err == shown + "\n"
    assert lines[2].isprintable() and json.loads(lines[2])["name"] == name + "\x7f"


def test_descriptors_that_were_closed_are_not_those_of_a_picture(tmp_path):
    """The first file that is opened would be standard error to every library."""
    code = "import os, sys; os.close(2); sys.stderr = None; from runtime import cli\n"
    code += "def run():\n    with open(sys.argv[1], 'wb') as f: assert f.fileno() > 2; return 0\n"
    code += "sys.exit(cli.run_command(run))"
    path = str(tmp_path / "out.png")
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 0


@pytest.mark.parametrize("text", ["0x1", "x1", "²x1", "1048577x1", "65536x65536", "9" * 400 + "x1"])
def test_sizes_that_no_picture_has_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        cli.parse_size(text)
