"""python tests/hostile/fuzz.py PARSER SECONDS CORPUS

Looks for inputs that break a parser, by coverage. Needs atheris: pip install it into an environment
of its own, and put this repository's packages on PYTHONPATH. CORPUS is a folder; it is begun from
the good files of `seeds` and keeps what reached new code. What breaks the parser is left in it as
crash-*.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import atheris

with atheris.instrument_imports(
    include=["runtime", "export.foreign"], enable_loader_override=False
):
    import export.foreign._torch7_file  # noqa: F401 parsers imports it late: it needs PyTorch
    from tests.hostile import parsers, seeds

# Longest input; parsers that take more only repeat what they do.
LONGEST = 65536


def main(name: str, seconds: str, folder: str) -> None:
    corpus = Path(folder)
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        scratch = corpus.parent / f"{corpus.name}-seeds"
        scratch.mkdir(exist_ok=True)
        for index, data in enumerate(parsers.examples(seeds.make(scratch))[name]):
            (corpus / f"seed-{index}").write_bytes(data[:LONGEST])
    words = [sys.argv[0], f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=20"]
    words += [f"-artifact_prefix={corpus}/", "-rss_limit_mb=3000", str(corpus)]
    parse = parsers.PARSERS[name]

    def once(data: bytes) -> None:
        parse(data)

    atheris.Setup(words, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
