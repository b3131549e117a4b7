"""Signatures: C2PA's own reader finds who signed what, and sees when pixels were changed since."""

import datetime
import importlib.util
import json
import subprocess
import sys

import av
import numpy as np
import pytest
from PIL import Image

from runtime import image, video
from runtime.errors import UNAVAILABLE, USAGE
from runtime.provenance import SOURCE_TYPE

signs = pytest.mark.skipif(
    importlib.util.find_spec("c2pa") is None, reason="needs c2pa-python (pip install -e .[c2pa])"
)


def certificates(folder, algorithm="p256"):
    """A certificate that a root made here vouches for: (chain, key) in files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    makers = {
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "k256": lambda: ec.generate_private_key(ec.SECP256K1()),
    }
    now = datetime.datetime.now(datetime.UTC)

    def named(word):
        rows = [(x509.NameOID.ORGANIZATION_NAME, "A painter"), (x509.NameOID.COMMON_NAME, word)]
        return x509.Name([x509.NameAttribute(*row) for row in rows])

    def made(word, key, issuer, its_key, root):
        purposes = {
            name: False
            for name in (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            )
        }
        usage = x509.KeyUsage(
            digital_signature=not root, key_cert_sign=root, crl_sign=root, **purposes
        )
        public = its_key.public_key()
        builder = (
            x509.CertificateBuilder(named(issuer), named(word), key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(root, None), True)
            .add_extension(usage, True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False)
        )
        if not root:
            mail = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(mail, False)
        return builder.sign(its_key, hashes.SHA256())

    root_key, key = makers["p256"](), makers[algorithm]()
    chain = [made("leaf", key, "root", root_key, False)]
    chain.append(made("root", root_key, "root", root_key, True))
    paths = folder / "chain.pem", folder / "key.pem"
    pem = serialization.Encoding.PEM
    paths[0].write_bytes(b"".join(each.public_bytes(pem) for each in chain))
    kind, bare = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(pem, kind, bare))
    return paths


def read(path):
    """(state, manifest) by C2PA's reader."""
    import c2pa

    with c2pa.Reader(path) as reader:
        return reader.get_validation_state(), reader.get_active_manifest()


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
    assert paint(video, identity_model, source, name, *pem) == USAGE
    assert "cannot hold a signature" in capsys.readouterr().err


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
    assert "cannot be signed" in refused(chain, certificates(other)[1])
    assert "a key that C2PA does not know" in refused(*certificates(tmp_path, "k256"))


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
