"""docs/guide/what-is-kept.md holds the table that the code itself gives."""

from pathlib import Path

from runtime.media import encoders, muxing, streams
from runtime.media.encoders import CODECS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "what-is-kept.md"
HEAD = "| file | video | sound as it is | other sound | text subtitles | covers | attachments |"


def table() -> str:
    """One row for each kind of file that is written."""
    rows = [HEAD, "|" + "---|" * HEAD.count(" | ") + "---|"]
    for suffix, muxer in muxing.MUXERS.items():
        if suffix in encoders.ANIMATIONS:
            rows.append(
                f"| `{suffix}` | {muxer} | none | left out | left out | left out | left out |"
            )
            continue
        video = ", ".join(name for name, codec in CODECS.items() if suffix in codec.containers)
        sound = sorted({name.partition("_")[0] for name in streams.PLAYED[muxer]})
        text = {"matroska": "kept, or srt"}.get(muxer, streams.TEXT[muxer])
        cover = {"matroska": "as attachment", "webm": "left out", "mov": "left out"}
        rows.append(
            f"| `{suffix}` | {video} | {', '.join(sound)} | to {streams.AUDIO[muxer]} | {text} | "
            f"{cover.get(muxer, 'kept')} | {'kept' if muxer == 'matroska' else 'left out'} |"
        )
    return "\n".join(rows)


def test_the_page_holds_the_table():
    assert table() in PAGE.read_text("utf-8"), f"write this table into {PAGE.name}:\n{table()}"
