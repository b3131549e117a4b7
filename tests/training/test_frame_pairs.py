"""Losses on video: pairs of frames read from clips, their motion, and the two terms, by hand."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from benchmarks.metrics._pictures import luminance as benchmark_luminance
from runtime.errors import UsageError
from training.config import load_recipe
from training.data.frame_pairs import Clips
from training.losses import Film, LossInputs
from training.losses.frame_difference import frame_difference_loss
from training.losses.luminance import luminance, luminance_loss
from training.losses.motion import warp
from training.methods import Assets
from training.methods.perceptual import Perceptual

STEP = (2, 3)  # rows, columns that the camera moves per frame


def write_clip(path, frames):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def clips(photo, tmp_path_factory):
    """A folder with a pan over a photo of known motion, a text file and a broken clip."""
    folder = tmp_path_factory.mktemp("clips")
    windows = [(i * STEP[0], i * STEP[1]) for i in range(5)]
    write_clip(folder / "pan.mkv", [photo[y : y + 160, x : x + 200] for y, x in windows])
    (folder / "notes.txt").write_text("no clip")
    (folder / "broken.mkv").write_bytes(b"\x1a\x45\xdf\xa3 broken")
    return folder


def still(images, change=0.0):
    """A film of a camera that rests."""
    theta = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]).expand(len(images), 2, 3)
    grid = torch.nn.functional.affine_grid(theta, list(images.shape), align_corners=False)
    mask = torch.ones_like(images[:, :1])
    return Film(images, images + change, images, images + change, grid, mask)


def test_frames_are_read_and_what_is_none_is_passed_over(clips):
    found = Clips(clips, 160)
    assert len(found.frames) == 4
    assert found.frames[0][0].shape == (160, 200, 3)
    assert [path.name for path in found.skipped] == ["broken.mkv", "notes.txt"]
    assert Clips(clips, 80).frames[0][0].shape == (80, 100, 3)
    assert len(Clips(clips, 160, per_clip=2).frames) == 2


def test_the_pan_is_found(clips):
    """Warped back along the estimated motion, the earlier frame is the later one."""
    pairs = Clips(clips, 160).batch(4, 128, np.random.default_rng(0))
    difference = (warp(pairs.earlier, pairs.grid) - pairs.later).abs() * pairs.mask
    inner = difference[..., 16:-16, 16:-16]
    assert float(inner.mean()) < 0.01
    assert float((pairs.earlier - pairs.later).abs().mean()) > 3 * float(inner.mean())
    assert float(pairs.mask[..., 16:-16, 16:-16].mean()) > 0.95
    places = (pairs.grid[0] + 1) * 64 - 0.5
    shift = places[64, 64] - torch.tensor([64.0, 64.0])
    assert abs(abs(float(shift[0])) - STEP[1]) < 0.3  # either sign: pairs are mirrored at random
    assert abs(float(shift[1]) - STEP[0]) < 0.3


def test_what_enters_the_picture_was_not_seen(clips):
    pairs = Clips(clips, 160).batch(4, 128, np.random.default_rng(0))
    assert float(pairs.mask[:, :, -1].mean()) < 0.1  # two rows come in below


def test_rows_and_same_seed(clips):
    found = Clips(clips, 160)
    one, two = (found.batch(3, 64, np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(one.later, two.later) and torch.equal(one.grid, two.grid)
    assert torch.equal(one[1:].mask, two.mask[1:])


def test_bad_folders(clips, tmp_path):
    with pytest.raises(UsageError, match="no folder of clips"):
        Clips(tmp_path / "none", 160)
    with pytest.raises(UsageError, match="no clip of two frames"):
        Clips(tmp_path, 160)
    with pytest.raises(UsageError, match=r"192 px .*3 files passed over"):
        Clips(clips, 160, 192)


def test_luminance_is_the_one_of_the_benchmarks():
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    theirs = benchmark_luminance(np.ascontiguousarray(image[0].permute(1, 2, 0).numpy()))
    np.testing.assert_allclose(luminance(image)[0, 0].numpy(), theirs, rtol=1e-5)


def test_paint_may_follow_the_light():
    """Light that grows by 0.1 lets paint grow by 0.1; paint that stays costs 0.01."""
    images = torch.full((2, 3, 16, 16), 0.4)
    film = still(images, 0.1)
    assert float(luminance_loss(film)) == pytest.approx(0, abs=1e-9)
    assert float(frame_difference_loss(film)) == pytest.approx(0, abs=1e-9)
    lazy = Film(film.earlier, film.later, images, images, film.grid, film.mask)
    assert float(luminance_loss(lazy)) == pytest.approx(0.01, rel=1e-4)
    assert float(frame_difference_loss(lazy)) == pytest.approx(0.01, rel=1e-4)
    hidden = Film(film.earlier, film.later, images, images, film.grid, film.mask * 0)
    assert float(luminance_loss(hidden)) == 0


def test_terms_without_a_film_are_zero():
    from runtime.plugins import load
    from training import losses

    for name in ("luminance", "frame_difference"):
        term = load(losses, name)(None)
        assert float(term(LossInputs(torch.rand(1, 3, 8, 8)))) == 0


def perceptual(clips, photo_folder, painting, weights, *more):
    settings = ["network={name='lean', width=8, blocks=1}", "batch=2", "data.crop=64"]
    settings += ["data.short_side=96", "style.size=48", "precision='fp32'", "steps=20"]
    settings += ["backbone.style_layers=['relu1_1']", "backbone.content_layers=['relu2_1']"]
    settings += ["options.ramp_start=0.0", "options.ramp_end=0.01", *more]
    recipe = load_recipe("starry", settings)
    return Perceptual(recipe, Assets(painting, photo_folder, weights))


def test_training_takes_turns_between_photos_and_clips(
    clips, photo_folder, painting, random_weights
):
    more = ["objective.luminance=10.0", "objective.frame_difference=1.0"]
    more += [f"options.clips={str(clips)!r}"]
    method = perceptual(clips, photo_folder, painting, random_weights, *more)
    values = [method.step(step) for step in range(1, 9)]  # at step 0 the ramp is at nothing
    filmed = [step for step, v in enumerate(values, 1) if "luminance" in v]
    moved = [step for step, v in enumerate(values, 1) if "motion" in v]
    assert filmed == [4, 8] and moved == [2, 6]
    assert all(np.isfinite(v["total"]) for v in values)


def test_terms_about_video_need_video(photo_folder, painting, random_weights, clips):
    with pytest.raises(UsageError, match=r"options\.clips=FOLDER"):
        perceptual(clips, photo_folder, painting, random_weights, "objective.luminance=1.0")
