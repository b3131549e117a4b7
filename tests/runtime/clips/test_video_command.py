"""python -m runtime.video from outside: results, JSON, errors in one line, kill and resume."""

import hashlib
import json
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from waiting import wait_for

from runtime import video
from runtime.clips import batch, painter
from runtime.clips.options import ClipOptions
from runtime.errors import FAILED, INTERRUPTED, USAGE, UsageError
from runtime.media.journal import Journal
from runtime.sources import open_source
from runtime.sources.file import FileSource

ROOT = Path(__file__).resolve().parents[3]
CONTRACT = {
    "frames_in",
    "frames_out",
    "width",
    "height",
    "fps",
    "stages_ms",
    "engine",
    "device",
    "model",
    "model_sha256",
}


@pytest.fixture
def paint(identity_model, capsys):
    """Run the command here; (exit code, stdout as JSON or text, stderr)."""

    def run(*arguments):
        code = video.main(
            ["--model", str(identity_model), "--device", "cpu", "--stabilizer", "off"]
            + [str(argument) for argument in arguments]
        )
        out, err = capsys.readouterr()
        return code, json.loads(out) if out.startswith("{") else out, err

    return run


def command(model, *arguments):
    return [
        *(sys.executable, "-m", "runtime.video", "--model", str(model), "--device", "cpu"),
        *("--stabilizer", "off"),
        *[str(argument) for argument in arguments],
    ]


def hashes(path):
    with av.open(str(path)) as container:
        return [
            (frame.pts, hashlib.md5(frame.to_ndarray().tobytes()).hexdigest())
            for frame in container.decode(video=0)
        ]


def count(path):
    with open_source(path) as source:
        return sum(1 for _ in source)


def test_one_clip_and_the_fields_of_json(paint, make_clip, tmp_path):
    path = make_clip("in.mp4", frames=10, audio="aac")
    code, facts, _ = paint("--input", path, "--output", tmp_path / "out.mp4", "--json")
    assert code == 0
    assert facts.keys() >= CONTRACT
    assert (facts["frames_in"], facts["frames_out"], facts["width"], facts["height"]) == (
        10,
        10,
        64,
        48,
    )
    assert facts["audio"] == ["copied"]
    assert facts["fps"] > 0
    assert set(facts["stages_ms"]) == {"decode", "style", "stabilize", "encode"}
    assert {"p50", "p95"} <= set(facts["stages_ms"]["style"])
    assert len(facts["model_sha256"]) == 64
    assert count(tmp_path / "out.mp4") == 10


def test_default_output_lies_beside_the_input(paint, make_clip):
    path = make_clip("in.mp4", frames=3)
    assert paint("--input", path)[0] == 0
    assert count(path.with_name("in-identity.mp4")) == 3


def test_a_folder_with_jobs_skip_existing_and_one_bad_clip(paint, make_clip, tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a", "b", "c"):
        make_clip(f"clips/{name}.mp4", frames=6)
    (folder / "bad.mp4").write_bytes(b"no video" * 100)
    output = tmp_path / "done"
    code, facts, err = paint("--input", folder, "--output", output, "--jobs", 2, "--json")
    assert code == FAILED
    assert facts["failed"] == 1
    assert facts["frames_out"] == 18
    assert facts.keys() >= CONTRACT
    assert sorted(Path(clip["output"]).name for clip in facts["clips"]) == [
        "a.mp4",
        "b.mp4",
        "c.mp4",
    ]
    assert "bad.mp4" in err
    (folder / "bad.mp4").unlink()
    make_clip("clips/d.mp4", frames=2)
    code, facts, _ = paint("--input", folder, "--output", output, "--skip-existing", "--json")
    assert (code, facts["frames_out"]) == (0, 2)
    assert paint("--input", folder, "--output", output)[0] == USAGE


def test_folders_in_folders(paint, make_clip, tmp_path):
    for name in ("a", "b/c", "b/.hidden"):
        (tmp_path / "clips" / name).mkdir(parents=True)
    make_clip("clips/one.mp4", frames=2)
    for name in ("a", "b/c", "b/.hidden"):
        make_clip(f"clips/{name}/one.mp4", frames=2)
    assert paint("clips-that-are-not-there", "-r")[0] == USAGE
    code, facts, _ = paint(tmp_path / "clips", "-o", tmp_path / "done", "--recursive", "--json")
    assert (code, facts["frames_out"]) == (0, 6)
    found = [path.relative_to(tmp_path / "done") for path in (tmp_path / "done").rglob("*.mp4")]
    assert sorted(map(str, found)) == ["a/one.mp4", "b/c/one.mp4", "one.mp4"]
    code, _, err = paint(tmp_path / "clips" / "b", "-o", tmp_path / "no")
    assert code == USAGE
    assert "--recursive looks into the folders in it" in err


def test_several_clips_need_a_folder(paint, make_clip, tmp_path):
    a, b = make_clip("a.mp4", frames=2), make_clip("b.mp4", frames=2)
    code, _, err = paint("--input", a, b, "--output", tmp_path / "out.mp4")
    assert code == USAGE
    assert err.startswith("error: several clips need a folder")


def test_input_and_output_must_differ(paint, make_clip):
    path = make_clip("in.mp4", frames=2)
    code, _, err = paint("--input", path, "--output", path, "--overwrite")
    assert code == USAGE
    assert "input and output" in err
    assert count(path) == 2


def test_size_fits_into_the_box_and_keeps_the_meaning_of_colors(paint, make_clip, tmp_path):
    path = make_clip("in.mp4", frames=2, size=(96, 64))
    code, facts, _ = paint(
        "--input", path, "--output", tmp_path / "out.mp4", "--size", "48x48", "--json"
    )
    assert (code, facts["width"], facts["height"]) == (0, 48, 32)
    with open_source(tmp_path / "out.mp4") as source:
        assert source.clip.tagged.matrix == 6


def test_pictures_in_and_out(paint, make_clip, tmp_path):
    path = make_clip("in.mp4", frames=4)
    assert paint("--input", path, "--output", tmp_path / "p" / "%03d.png")[0] == 0
    assert len(list((tmp_path / "p").glob("*.png"))) == 4
    code, facts, _ = paint(
        "--input", tmp_path / "p", "--output", tmp_path / "back.mp4", "--json", "--rate", "25"
    )
    assert (code, facts["frames_out"]) == (0, 4)


def test_synthetic_to_nowhere(paint):
    code, facts, _ = paint("--input", "synthetic:32x32@25x5", "--output", "null", "--json")
    assert (code, facts["frames_in"], facts["frames_out"]) == (0, 5, 5)


def test_effects_are_wired(make_clip, tmp_path, invert_model, capsys):
    path = make_clip("in.mp4", frames=2)
    arguments = ["--model", str(invert_model), "--device", "cpu", "--stabilizer", "off"]
    arguments += ["--input", str(path), "--output", str(tmp_path / "out.mkv"), "--codec", "ffv1"]
    assert video.main([*arguments, "--strength", "0"]) == 0
    with open_source(path) as before, open_source(tmp_path / "out.mkv") as after:
        for a, b in zip(before, after, strict=True):
            assert (a.image == b.image).all()
    assert video.main([*arguments, "--overwrite"]) == 0
    with open_source(path) as before, open_source(tmp_path / "out.mkv") as after:
        for a, b in zip(before, after, strict=True):
            assert (a.image == 255 - b.image).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--input", "nosuch.mp4", "--output", "o.mp4"], "no input"),
        (["--output", "o.xyz"], "no sink writes"),
        (["--output", "o.webm", "--codec", "prores"], "cannot be put"),
        (["--output", "o.mp4", "--quality", "99"], "outside the scale"),
        (["--output", "o.mp4", "--stream", "5"], "no video stream 5"),
        (["--output", "o.mp4", "--encoder", "nosuch"], "does not make"),
    ],
)
def test_wishes_that_cannot_be_met_are_one_line(paint, make_clip, arguments, words, monkeypatch):
    path = make_clip("in.mp4", frames=2)
    monkeypatch.chdir(path.parent)
    given = arguments if "--input" in arguments else ["--input", path, *arguments]
    code, _, err = paint(*given)
    assert code == USAGE
    assert err.startswith("error: ")
    assert words in err
    assert err.count("\n") == 1


def test_damage_is_counted_and_refused_when_strict(paint, make_clip, tmp_path):
    clean = make_clip("in.mp4", frames=60, size=(160, 120))
    data = bytearray(clean.read_bytes())
    # Several spots: 400 zeroed bytes alone were seen to decode without a word from FFmpeg (no log,
    # no flag), and what it does not notice cannot be counted.
    for share in (0.3, 0.45, 0.6, 0.75):
        spot = int(share * len(data))
        data[spot : spot + 400] = bytes(byte ^ 0xA5 for byte in data[spot : spot + 400])
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data)
    code, facts, err = paint("--input", damaged, "--output", tmp_path / "out.mp4", "--json")
    assert code == 0
    assert sum(facts["damage"].values()) > 0
    assert facts["frames_in"] == facts["frames_out"] == count(tmp_path / "out.mp4")
    assert "the input is damaged" in err
    code, _, err = paint("--input", damaged, "--output", tmp_path / "no.mp4", "--strict")
    assert code == USAGE
    assert "damaged" in err


def test_a_decoder_that_dies_leaves_a_playable_file(paint, make_clip, tmp_path, monkeypatch):
    path, output = make_clip("in.mp4", frames=200), tmp_path / "out.mp4"
    decode = FileSource._decode

    def dying(self):
        for number, frame in enumerate(decode(self)):
            if number == 150:
                raise av.error.OSError(5, "Input/output error")
            yield frame

    monkeypatch.setattr(FileSource, "_decode", dying)
    code, _, err = paint("--input", path, "--output", output)
    assert code == FAILED
    assert err.count("error: Input/output error") == 1
    assert 120 <= count_with_av(output) <= 150
    monkeypatch.undo()
    assert Journal.folder_for(output).exists()
    code, facts, _ = paint("--input", path, "--output", output, "--resume", "--json")
    assert (code, facts["frames_out"], facts["resumed_frames"]) == (0, 200, 120)


def count_with_av(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_reading_that_fails_is_one_line_that_says_how_to_go_on(
    paint, make_clip, tmp_path, monkeypatch
):
    path, output = make_clip("in.mp4", frames=200), tmp_path / "out.mp4"
    picture = FileSource._picture

    def failing(self, frame):
        if frame.pts >= 150 * 512:
            from runtime.errors import SourceError

            raise SourceError("the decoder failed")
        return picture(self, frame)

    monkeypatch.setattr(FileSource, "_picture", failing)
    code, _, err = paint("--input", path, "--output", output)
    assert code == USAGE
    assert "which plays, and --resume goes on behind them" in err


def test_sound_that_cannot_be_written_does_not_cost_the_pictures(
    paint, make_clip, tmp_path, monkeypatch
):
    from runtime.media import streams

    path, output = make_clip("in.mp4", frames=10, audio="aac"), tmp_path / "out.mp4"
    packets = streams.Carrier.packets

    def failing(self):
        for number, item in enumerate(packets(self)):
            if number == streams.TRIED_PACKETS + 3:
                raise streams.CarryError(item[2], "no more sound")
            yield item

    monkeypatch.setattr(streams.Carrier, "packets", failing)
    code, facts, err = paint("--input", path, "--output", output, "--json")
    assert code == FAILED
    assert facts["frames_out"] == 10
    assert "no more sound" in err
    with av.open(str(output)) as container:
        assert not container.streams.audio


def test_damaged_sound_is_transcoded_around(paint, make_clip, tmp_path):
    clean = make_clip(
        "in.mkv",
        frames=50,
        audio="aac",
        time_base=Fraction(1, 1000),
        ticks=[i * 40 for i in range(50)],
    )
    data = bytearray(clean.read_bytes())
    with av.open(str(clean)) as container:
        spots = [p.pos for p in container.demux(audio=0) if p.size > 20]
    for spot in spots[10:14]:
        data[spot + 8 : spot + 40] = b"\xff" * 32
    path = tmp_path / "sound.mkv"
    path.write_bytes(data)
    code, facts, _ = paint("--input", path, "--output", tmp_path / "out.webm", "--json")
    assert code == 0
    assert facts["frames_out"] == 50
    assert facts["audio"] == ["transcoded"]


def test_resuming_something_finished_does_nothing(paint, make_clip, tmp_path):
    path, output = make_clip("in.mp4", frames=3), tmp_path / "out.mp4"
    assert paint("--input", path, "--output", output, "--resume")[0] == 0
    before = output.read_bytes()
    code, _, err = paint("--input", path, "--output", output, "--resume")
    assert code == 0
    assert "left alone" in err
    assert output.read_bytes() == before


def test_a_pipe_cannot_be_resumed(paint):
    code, _, err = paint("--input", "-", "--output", "o.mp4", "--resume")
    assert code == USAGE
    assert "pipe" in err


def test_live_sources_are_sent_elsewhere():
    with pytest.raises(UsageError, match=r"runtime\.webcam"):
        painter.paint_clip(
            batch.Job("synthetic", "null"),
            None,
            ClipOptions(source={"live": True}),
            None,  # type: ignore[arg-type]
        )


def wait_for_file(path, process):
    """Until the path exists, or the process ends."""
    wait_for(lambda: path.exists() or process.poll() is not None, 60)


LONG = 400  # frames: four segments


@pytest.fixture
def long_clip(make_clip):
    return make_clip("long.mp4", frames=LONG, size=(96, 64), audio="aac", options={"bf": "2"})


def test_killed_and_resumed_is_the_same_as_never_interrupted(
    paint, long_clip, identity_model, tmp_path
):
    whole, output = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    assert paint("--input", long_clip, "--output", whole)[0] == 0
    folder, resumed = Journal.folder_for(output), 0
    for segment in (1, 2):
        process = subprocess.Popen(
            command(identity_model, "-i", long_clip, "-o", output, "--resume", "-q"), cwd=ROOT
        )
        wait_for_file(folder / f"{segment:05}.seg", process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    code, facts, _ = paint("--input", long_clip, "--output", output, "--resume", "--json")
    resumed = facts["resumed_frames"]
    assert code == 0
    assert resumed >= 120
    assert resumed % 120 == 0
    assert hashes(output) == hashes(whole)
    assert output.read_bytes() == whole.read_bytes()
    assert not folder.exists()


def test_ctrl_c_leaves_a_playable_file_and_says_how_to_go_on(
    paint, long_clip, identity_model, tmp_path
):
    whole, output = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    assert paint("--input", long_clip, "--output", whole)[0] == 0
    process = subprocess.Popen(
        command(identity_model, "-i", long_clip, "-o", output),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_file(Journal.folder_for(output) / "00001.seg", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("the machine was faster than the signal")
    assert process.returncode == INTERRUPTED
    assert "plays up to there; the same command with --resume goes on" in err
    partial = hashes(output)
    assert 120 < len(partial) < LONG
    with av.open(str(output)) as container:
        sound = [p.pts * p.time_base for p in container.demux(audio=0) if p.size]
    assert sound[-1] <= len(partial) * Fraction(1, 25)
    code, facts, _ = paint("--input", long_clip, "--output", output, "--resume", "--json")
    assert code == 0
    assert facts["resumed_frames"] >= 120
    assert hashes(output) == hashes(whole)


def test_pipes_end_to_end(identity_model, make_clip, tmp_path):
    path = make_clip(
        "in.mkv",
        frames=6,
        audio="aac",
        time_base=Fraction(1, 1000),
        ticks=[i * 40 for i in range(6)],
    )
    result = subprocess.run(
        command(identity_model, "-i", "-", "-o", "-", "--json", "-q"),
        cwd=ROOT,
        input=path.read_bytes(),
        capture_output=True,
        check=True,
    )
    assert len(result.stdout) == 6 * 64 * 48 * 3
    assert json.loads(result.stderr)["frames_out"] == 6
    output = tmp_path / "out.mp4"
    subprocess.run(
        command(identity_model, "-i", "-", "-o", output, "-q"),
        cwd=ROOT,
        input=path.read_bytes(),
        check=True,
    )
    with av.open(str(output)) as container:
        assert len(container.streams.audio) == 1
    assert [p.name for p in tmp_path.glob("*.copy")] == []


def test_a_pipe_without_sound_keeps_the_shape_of_pixels(identity_model, make_clip, tmp_path):
    path = make_clip("in.mp4", frames=3, sample_aspect_ratio=Fraction(4, 3))
    send = command(identity_model, "-i", path, "-o", "-", "--pipe-format", "y4m", "-q")
    bare = subprocess.run(send, cwd=ROOT, capture_output=True, check=True).stdout
    output = tmp_path / "out.webm"
    receive = command(identity_model, "-i", "-", "-o", output, "-q")
    subprocess.run(receive, cwd=ROOT, input=bare, check=True)
    with open_source(output) as source:
        assert source.clip.sample_aspect_ratio == Fraction(4, 3)
        assert sum(1 for _ in source) == 3


def test_what_pictures_cannot_hold_is_said(paint, make_clip, tmp_path):
    path = make_clip("in.mp4", frames=3, audio="aac", sample_aspect_ratio=Fraction(4, 3))
    _, _, err = paint("--input", path, "--output", tmp_path / "p" / "%03d.png")
    assert "1 sound stream left out" in err
    assert "shape 4:3 become square" in err


def test_parts_of_a_picture_in_styles_of_their_own(
    invert_model, identity_model, make_clip, tmp_path
):
    """Inverted people and inverted background add up to both pictures; a second model that gives
    the picture back is as no second model."""
    path = make_clip("in.mp4", frames=3)
    person, background, both = (tmp_path / f"{name}.mkv" for name in ("one", "other", "both"))
    common = ("--device", "cpu", "--stabilizer", "off", "--quiet", "--codec", "ffv1", str(path))
    inverted = ("--model", str(invert_model))
    runs = [
        [*inverted, "--only", "person", *common, str(person)],
        [*inverted, "--only", "background", *common, str(background)],
        [
            *("--style-person", str(invert_model), "--style-background", str(identity_model)),
            *(*common, str(both)),
        ],
    ]
    assert [video.main(arguments) for arguments in runs] == [0, 0, 0]
    one, other, together = (
        np.stack([frame.image for frame in open_source(made)]).astype(int)
        for made in (person, background, both)
    )
    assert np.abs(one + other - 255).mean() < 2
    assert np.abs(one - other).mean() > 20  # neither is everywhere
    assert np.abs(together - one).mean() < 1
