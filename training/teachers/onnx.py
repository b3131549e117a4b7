"""An ONNX file as a teacher, opened by the runtime as any model is: `mosaic.onnx`.

What a model takes besides the picture stands behind a question mark, as in an address:
`multistyle26.onnx?style=7`, `transform.onnx?style=painting.jpg&style_encoder=predict.onnx`, or
`cartoon.onnx?range=-1..1&layout=NHWC` (the flags of `python -m runtime.image` of these names).
"""

import urllib.parse

from runtime.card import JsonObject
from runtime.errors import StyleError, UsageError
from runtime.frame import Image
from runtime.model.flags import parse_styles
from runtime.model.options import StylizeOptions, open_stylizer
from runtime.plugins import suggest

from . import TeacherFailed, digest_of

FACTS = ("layout", "range", "input_range", "output_range", "output", "colors")
WORDS = ("style", "style_encoder", "strength", *FACTS)


class OnnxTeacher:
    """See the module's docstring; obligations in `training.teachers.Teacher`."""

    form = "FILE.onnx[?style=...]"
    # A session paints one picture at a time, on all cores.
    parallel = False
    runs_code = False

    @staticmethod
    def accepts(text: str) -> bool:
        """Whether it names an ONNX file."""
        return text.partition("?")[0].lower().endswith(".onnx")

    def __init__(self, text: str) -> None:
        self.label = text
        file, _, query = text.partition("?")
        self._stylizer = open_stylizer(_options(file, query))
        self.digest = digest_of(self._stylizer.digest, query)

    def __call__(self, picture: Image) -> Image:
        """Paint it, as a scene of its own."""
        for session, _ in self._stylizer.sessions:
            session.reset()
        try:
            return self._stylizer.stylize(picture)
        except StyleError as error:
            raise TeacherFailed(str(error)) from None

    def close(self) -> None:
        """Close the file."""
        self._stylizer.close()


def _options(file: str, query: str) -> StylizeOptions:
    """What stands behind the question mark.

    Raises:
        UsageError: another word.
    """
    words: dict[str, str] = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    for word in words:
        if word not in WORDS:
            raise UsageError(f'teacher "{file}": no "{word}".{suggest(word, [*WORDS])}')
    strength = words.get("strength", "1")
    try:
        value = float(strength)
    except ValueError:
        raise UsageError(f'teacher "{file}": strength "{strength}" is no number 0..1') from None
    facts: JsonObject = {key: words[key] for key in FACTS if key in words}
    return StylizeOptions(
        models=[(file, 1.0)],
        strength=value,
        styles=parse_styles(words["style"]) if words.get("style") else [],
        style_encoder=words.get("style_encoder"),
        facts=facts,  # type: ignore[arg-type]
    )


PLUGIN = OnnxTeacher
