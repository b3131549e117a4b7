"""Any program as a teacher: a command with `{input}` and `{output}`, paths of PNG files that it is
to read and to write.

    convert {input} -posterize 4 {output}
    ffmpeg -loglevel error -i {input} -vf curves=vintage -frames:v 1 -y {output}

No shell is asked: words are divided as a shell divides them, and nothing else of it is understood.
"""

import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import cv2

from runtime.errors import EngineUnavailable, StyleError, UsageError
from runtime.frame import Image
from runtime.pictures.reading import read_rgb

from . import TeacherFailed, digest_of

PLACES = ("{input}", "{output}")
# A program that hangs would hold up the run for ever; diffusion on a CPU takes minutes a picture.
LONGEST_SECONDS = 1800


class CommandTeacher:
    """See the module's docstring; obligations in `training.teachers.Teacher`."""

    form = '"COMMAND {input} {output}"'
    parallel = True
    runs_code = True

    @staticmethod
    def accepts(text: str) -> bool:
        """Whether it has a place for a path, or is several words and no file's name."""
        several = len(text.split()) > 1 and not Path(text.partition("?")[0]).is_file()
        return several or any(place in text for place in PLACES)

    def __init__(self, text: str) -> None:
        self.label = text
        for place in PLACES:
            if place not in text:
                raise UsageError(
                    f'teacher "{text}": a command says where {" and ".join(PLACES)} go, {place} is '
                    "missing"
                )
        try:
            self._words = shlex.split(text)
        except ValueError as error:
            raise UsageError(f'teacher "{text}": {error}') from None
        if shutil.which(self._words[0]) is None:
            raise EngineUnavailable(
                f'teacher "{text}": no program "{self._words[0]}" here; install it, or give its '
                "path"
            )
        self.digest = digest_of(text)

    def __call__(self, picture: Image) -> Image:
        """Run it on a file of the picture."""
        with tempfile.TemporaryDirectory(prefix="impasto-") as folder:
            paths = {place: Path(folder) / f"{place[1:-1]}.png" for place in PLACES}
            cv2.imwrite(str(paths["{input}"]), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            self._run([_filled(word, paths) for word in self._words])
            try:
                return read_rgb(paths["{output}"])
            except StyleError as error:
                raise TeacherFailed(f"{self._words[0]} left no picture: {error}") from None

    def close(self) -> None:
        """Nothing to free."""

    def _run(self, words: list[str]) -> None:
        try:
            ended = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=LONGEST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TeacherFailed(
                f"{words[0]} did not end within {LONGEST_SECONDS // 60} minutes"
            ) from None
        except OSError as error:
            raise TeacherFailed(f"{words[0]}: {error.strerror}") from None
        if ended.returncode:
            said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
            last = f": {said[-1]}" if said else ""
            raise TeacherFailed(f"{words[0]} ended with code {ended.returncode}{last}")


def _filled(word: str, paths: dict[str, Path]) -> str:
    for place, path in paths.items():
        word = word.replace(place, str(path))
    return word


PLUGIN = CommandTeacher
