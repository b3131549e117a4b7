"""`runtime.batch` where Ray is not installed; the rest is in tests/batch (make test-batch)."""

import pytest

from runtime.batch import __main__ as command
from runtime.errors import UNAVAILABLE, USAGE
from runtime.plugins import installed


@pytest.mark.skipif(installed("ray"), reason="Ray is installed")
def test_without_ray_one_line_says_what_to_install(capsys):
    words = ["--input", "clips", "--output", "painted", "--model", "starry"]
    assert command.main(words) == UNAVAILABLE
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "error: ray is not installed: pip install 'impasto[ray]'"


@pytest.mark.parametrize("words", [["--jobs", "0"], ["--gpus-per-job", "-1"], ["--piece", "x"]])
def test_wrong_numbers_are_usage_errors(words, capsys):
    with pytest.raises(SystemExit) as end:
        command.main(["--input", "a", "--output", "b", "--model", "starry", *words])
    assert end.value.code == USAGE
    assert "is not a" in capsys.readouterr().err
