"""Words into numbers: byte-pair encoding with a vocabulary and merges from files.

As CLIP's tokenizer: lower case, words end in "</w>", bytes stand as printable characters.
Deviation: text is taken as it is, without `ftfy`'s repairs of broken encodings.
"""

import json
import re
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from runtime.errors import UsageError

END_OF_WORD = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"
# Contractions, runs of letters, single digits, runs of what is neither.
PIECES = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+|_+", re.IGNORECASE)


@lru_cache(maxsize=1)
def byte_letters() -> dict[int, str]:
    """A printable character for each byte, as GPT-2's tokenizer chose them: printable bytes are
    themselves, the others follow from U+0100 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(256 + n) for n, byte in enumerate(others)}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise UsageError(
            f'the tokenizer of CLIP is missing: "{path}" ({error.strerror}); put vocab.json and '
            "merges.txt of the same model beside its weights"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f'"{path}" is no text in UTF-8, as the tokenizer of CLIP is') from None


class Words:
    """A tokenizer.

    Args:
        vocabulary: token -> number.
        merges: pairs of tokens, the most usual first.
    """

    def __init__(self, vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> None:
        self.vocabulary = vocabulary
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}

    @staticmethod
    def read(folder: Path, most: int) -> "Words":
        """From `vocab.json` and `merges.txt`.

        Args:
            folder: where they lie.
            most: how many tokens the model knows.

        Raises:
            UsageError: one is missing, damaged, or of another model.
        """
        path = folder / "vocab.json"
        try:
            vocabulary = json.loads(_text(path))
        except (ValueError, RecursionError):
            raise UsageError(f'"{path}" is not JSON') from None
        lines = _text(folder / "merges.txt").splitlines()
        pairs = [tuple(line.split()) for line in lines if line and not line.startswith("#version")]
        for mark in (START, END):
            if not isinstance(vocabulary, dict) or mark not in vocabulary:
                raise UsageError(f'"{path}" is no vocabulary of CLIP: no {mark}')
        for token, number in vocabulary.items():
            if type(number) is not int or not 0 <= number < most:
                raise UsageError(
                    f'"{path}" is no vocabulary of this CLIP, which numbers its tokens 0 to '
                    f'{most - 1}: "{token}" is {number!s:.40}'
                )
        if vocabulary[END] != max(vocabulary.values()):  # `Clip.read` finds a text's end by it
            raise UsageError(f'"{path}" is no vocabulary of CLIP: {END} is not its last token')
        return Words(vocabulary, [pair for pair in pairs if len(pair) == 2])

    def numbers(self, text: str, length: int) -> list[int]:
        """Start, the text's tokens, end, and zeros: `length` numbers.

        Raises:
            UsageError: a token that the vocabulary does not have, no text, or too long a one.
        """
        pieces = PIECES.findall(" ".join(text.lower().split()))
        tokens = [token for piece in pieces for token in self._merged(piece)]
        if not tokens:
            raise UsageError(f'the text "{text}" has no words')
        unknown = [token for token in tokens if token not in self.vocabulary]
        if unknown:
            raise UsageError(f'the text "{text}" holds "{unknown[0]}", which this CLIP cannot read')
        most = length - 2
        if len(tokens) > most:
            raise UsageError(
                f'the text "{text:.40}..." has {len(tokens)} tokens, this CLIP reads {most}; '
                "shorten it"
            )
        found = [self.vocabulary[token] for token in [START, *tokens, END]]
        return found + [0] * (length - len(found))

    def _merged(self, piece: str) -> list[str]:
        letters = byte_letters()
        parts = [letters[byte] for byte in piece.encode()]
        parts[-1] += END_OF_WORD
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            best = min(pairs, key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            merged: list[str] = []
            at = 0
            while at < len(parts):
                if at + 1 < len(parts) and (parts[at], parts[at + 1]) == best:
                    merged.append(parts[at] + parts[at + 1])
                    at += 2
                else:
                    merged.append(parts[at])
                    at += 1
            parts = merged
        return parts
