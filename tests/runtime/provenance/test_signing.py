"""Signatures: C2PA's own reader finds who signed what, and sees when pixels were changed since."""

import importlib.util
import json
import subprocess
import sys

import av
import numpy as np
import pytest
from certificates import certificates, read
from PIL import Image

from runtime import image, video, webcam
from runtime.errors import UNAVAILABLE, USAGE
from runtime.live.snapshots import Snapshots
from runtime.pictures.reading import read_rgb
from runtime.provenance import SOURCE_TYPE
from runtime.provenance.signing import Signer

signs = pytest.mark.skipif(
    importlib.util.find_spec("c2pa") is None, reason="needs c2pa-python (pip install -e .[c2pa])"
)


def paint(command, model, source, target, chain, key, *flags):
    words = ["--model", str(model), "--device", "cpu", "--quiet", str(source), str(target)]
    return command.main([*words, "--sign", str(chain), "--sign-key", str(key), *flags])


def noise(path, side=16):
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@signs
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".avif"])
def test_pictures_are_signed_and_keep_their_pixels(tmp_path, invert_model, suffix):
    source, pem = noise(tmp_path / "photo.png"), certificates(tmp_path)
    target, plain = tmp_path / f"signed{suffix}", tmp_path / f"plain{suffix}"
    assert paint(image, invert_model, source, target, *pem) == 0
    words = ["--model", str(invert_model), "--device", "cpu", "--quiet", str(source), str(plain)]
    assert image.main(words) == 0
    state, manifest = read(target)
    assert state == "Valid"
    assert manifest["signature_info"]["common_name"] == "leaf"
    (actions,) = (a for a in manifest["assertions"] if a["label"] == "c2pa.actions.v2")
    (action,) = actions["data"]["actions"]
    assert action["digitalSourceType"] == SOURCE_TYPE
    assert action["softwareAgent"]["name"] == f"Impasto ({invert_model.name})"
    assert np.array_equal(*(np.asarray(Image.open(p).convert("RGB")) for p in (target, plain)))
    assert [p.name for p in tmp_path.glob("*.signed")] == []


@signs
@pytest.mark.parametrize("algorithm", ["p384", "rsa", "ed25519"])
def test_keys_of_every_kind(tmp_path, invert_model, algorithm):
    pem = certificates(tmp_path, algorithm)
    target = tmp_path / "signed.png"
    assert paint(image, invert_model, noise(tmp_path / "photo.png"), target, *pem) == 0
    assert read(target)[0] == "Valid"


@signs
def test_one_file_may_hold_certificate_and_key(tmp_path, invert_model):
    chain, key = certificates(tmp_path)
    both, target = tmp_path / "both.pem", tmp_path / "signed.png"
    both.write_bytes(chain.read_bytes() + key.read_bytes())
    source = noise(tmp_path / "photo.png")
    words = ["--model", str(invert_model), "--device", "cpu", "-q", str(source), str(target)]
    assert image.main([*words, "--sign", str(both)]) == 0
    assert read(target)[0] == "Valid"


@signs
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".gif", ".webp"])
def test_clips_are_signed_and_play(tmp_path, make_clip, identity_model, suffix):
    source, pem = make_clip(tmp_path / "clip.mp4"), certificates(tmp_path)
    target = tmp_path / f"signed{suffix}"
    assert paint(video, identity_model, source, target, *pem, "--stabilizer", "off") == 0
    assert read(target)[0] == "Valid"
    if suffix in (".mp4", ".mov"):
        with av.open(str(target)) as signed, av.open(str(source)) as clip:
            assert sum(1 for _ in signed.decode(video=0)) == sum(1 for _ in clip.decode(video=0))


@signs
def test_a_changed_picture_is_no_longer_valid(tmp_path, invert_model):
    target = tmp_path / "signed.tif"
    source = noise(tmp_path / "photo.png")
    assert paint(image, invert_model, source, target, *certificates(tmp_path)) == 0
    with Image.open(target) as picture:
        at = picture.tag_v2[273][0]  # StripOffsets: where the pixels begin
    data = bytearray(target.read_bytes())
    data[at] ^= 255
    target.write_bytes(data)
    assert read(target)[0] == "Invalid"


@signs
@pytest.mark.parametrize(
    "name, flags, words",
    [
        ("out.bmp", (), '"out.bmp" cannot hold a signature'),
        ("out.png", ("--no-provenance",), "--sign signs what --no-provenance leaves out"),
        ("out.png", ("--strength", "0"), "--strength 0 paints nothing to say"),
    ],
)
def test_what_cannot_be_signed(tmp_path, invert_model, monkeypatch, capsys, name, flags, words):
    monkeypatch.chdir(tmp_path)
    source, pem = noise(tmp_path / "photo.png"), certificates(tmp_path)
    assert paint(image, invert_model, source, name, *pem, *flags) == USAGE
    assert words in capsys.readouterr().err
    assert not (tmp_path / name).exists()


@signs
@pytest.mark.parametrize("name", ["-", "out.mkv", "frames/%06d.png"])
def test_pipes_and_sequences_cannot_be_signed(tmp_path, make_clip, identity_model, capsys, name):
    source, pem = make_clip(tmp_path / "clip.mp4"), certificates(tmp_path)
    assert paint(video, identity_model, source, "o.mp4", *pem, "--strength", "0") == USAGE
    assert "paints nothing to say" in capsys.readouterr().err
    assert paint(video, identity_model, source, name, *pem) == USAGE
    assert "cannot hold a signature" in capsys.readouterr().err


def show(model, folder, chain, key, *flags):
    """The webcam command without camera and window, for ten frames."""
    words = ["--model", str(model), "--device", "cpu", "--quiet", "--headless", "--threads", "1"]
    words += ["--source", "synthetic:64x48@50", "--frames", "10", "--snapshots", str(folder)]
    return webcam.main([*words, "--sign", str(chain), "--sign-key", str(key), *flags])


@signs
def test_recordings_and_saved_pictures_of_a_show_are_signed(tmp_path, invert_model):
    take, copy = tmp_path / "take.mp4", tmp_path / "copy.mov"
    flags = ["--record", str(take), "--output", str(copy), "--keys", "4:c"]
    assert show(invert_model, tmp_path, *certificates(tmp_path), *flags) == 0
    (picture,) = tmp_path.glob("impasto-*.png")
    for path in (take, copy, picture):
        state, manifest = read(path)
        assert state == "Valid", path
        (actions,) = (a for a in manifest["assertions"] if a["label"] == "c2pa.actions.v2")
        assert actions["data"]["actions"][0]["digitalSourceType"] == SOURCE_TYPE
    with av.open(str(take)) as clip:
        assert sum(1 for _ in clip.decode(video=0)) > 0
    assert read_rgb(picture).shape == (48, 64, 3)


@signs
@pytest.mark.parametrize(
    "flags, words",
    [
        (("--record", "take.mkv"), '"take.mkv" cannot hold a signature'),
        (("--output", "frames/"), '"frames/" cannot hold a signature'),
        (("--no-provenance",), "--sign signs what --no-provenance leaves out"),
    ],
)
def test_a_show_that_cannot_be_signed_does_not_begin(
    tmp_path, invert_model, monkeypatch, capsys, flags, words
):
    monkeypatch.chdir(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    pem = certificates(tmp_path)
    assert show(invert_model, tmp_path, *pem, *flags) == USAGE
    assert words in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == before | {path.name for path in pem}


@signs
def test_a_saved_picture_that_is_refused_is_said_and_nothing_is_left(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    signer = Signer(*certificates(tmp_path))
    signer._key = Signer(*certificates(other))._key  # as if it had expired meanwhile
    snapshots = Snapshots(tmp_path / "saved", signer=signer)
    snapshots.save(np.zeros((8, 8, 3), np.uint8), "starry")
    snapshots.close()
    (told,) = snapshots.news()
    assert told.startswith("snapshot not saved: ") and "cannot be signed" in told
    assert [*(tmp_path / "saved").iterdir()] == []


@signs
def test_bad_certificates_are_one_line(tmp_path, invert_model, capsys):
    source, target = noise(tmp_path / "photo.png"), tmp_path / "out.png"
    chain, key = certificates(tmp_path)

    def refused(chain, key):
        assert paint(image, invert_model, source, target, chain, key) == USAGE
        assert not target.exists()
        err = capsys.readouterr().err
        assert err.startswith("error: ") and err.count("\n") == 1
        return err

    assert "cannot be read: No such file" in refused(tmp_path / "none.pem", key)
    assert "holds no private key" in refused(chain, chain)
    assert "holds no certificate" in refused(key, key)
    other = tmp_path / "other"
    other.mkdir()
    wrong = refused(chain, certificates(other)[1])
    assert "cannot sign: Signature: the signature does not match" in wrong
    assert "not valid at time of signing" in refused(*certificates(other, age=3))
    words = ["--model", str(invert_model), "-q", str(source), str(target), "--sign", str(chain)]
    assert image.main(words) == USAGE
    assert "holds no private key; give it as --sign-key" in capsys.readouterr().err
    assert "a key that C2PA does not know" in refused(*certificates(tmp_path, "k256"))


@signs
def test_a_certificate_that_cannot_sign_is_told_before_the_work(
    tmp_path, make_clip, identity_model, capsys
):
    """And not when a long clip is painted."""
    source, target = make_clip(tmp_path / "clip.mp4"), tmp_path / "out.mp4"
    target.write_bytes(b"mine")
    pem = certificates(tmp_path, age=3)
    before = {path.name for path in tmp_path.iterdir()}
    words = ["--model", str(identity_model), "--device", "cpu", "--overwrite", str(source)]
    words += [str(target), "--sign", str(pem[0]), "--sign-key", str(pem[1])]
    assert video.main(words) == USAGE
    assert capsys.readouterr().err.count("\n") == 1  # no frame was painted
    assert target.read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_library_that_does_not_load_is_one_line(tmp_path, invert_model):
    """The package is there, its native part is not for this machine."""
    (tmp_path / "c2pa").mkdir()
    (tmp_path / "c2pa/__init__.py").write_text("raise OSError('libc2pa_c.so: wrong ELF class')")
    source = noise(tmp_path / "photo.png")
    words = ["--model", str(invert_model), "-q", str(source), str(tmp_path / "out.png")]
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from runtime import image\n"
        f"sys.exit(image.main({json.dumps([*words, '--sign', 'chain.pem'])}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == UNAVAILABLE
    assert "does not load here (libc2pa_c.so: wrong ELF class)" in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "out.png").exists()


def test_a_key_alone_signs_nothing(tmp_path, invert_model, capsys):
    source = noise(tmp_path / "photo.png")
    words = ["--model", str(invert_model), "-q", str(source), str(tmp_path / "out.png")]
    assert image.main([*words, "--sign-key", "key.pem"]) == USAGE
    assert "--sign-key needs --sign" in capsys.readouterr().err


def test_without_the_library_it_says_what_to_install(tmp_path, invert_model):
    """In a process where it cannot be found, whether it is installed or not."""
    source = noise(tmp_path / "photo.png")
    words = ["--model", str(invert_model), "-q", str(source), str(tmp_path / "out.png")]
    code = (
        "import sys; sys.modules['c2pa'] = None\n"
        "from runtime import image\n"
        f"sys.exit(image.main({json.dumps([*words, '--sign', 'chain.pem'])}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == UNAVAILABLE
    assert done.stderr == "error: --sign needs c2pa-python: pip install c2pa-python\n"
    assert not (tmp_path / "out.png").exists()
