"""Signed statements: a C2PA manifest (Content Credentials) in a finished file, by its owner's
certificate. Anybody can write the XMP of `.xmp`; this says who, and shows when pixels were changed
since.

The manifest has one action, "c2pa.created", with the kind of source and the program of
`Provenance`. It has no time stamp of a third party, which would need a network. `c2pa-python`
writes it (extra "c2pa").
"""

import io
import json
from functools import cache
from pathlib import Path
from typing import BinaryIO

from ..errors import EngineUnavailable, SinkError, UsageError
from ..invocation import VERSION
from . import Provenance, provenance_of

# Formats that hold a manifest, as C2PA's library calls them.
FORMATS = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
}
# C2PA's algorithm for a key on each curve, and for RSA (C2PA 2.2, section 13.2.1).
CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
RSA = "ps256"
EDWARDS = "ed25519"


class Signer:
    """Signs files with one certificate.

    Args:
        certificate: PEM, the owner's certificate first, then those that vouch for it.
        key: PEM, its private key without a password; None if it is in the certificate's file.

    Raises:
        EngineUnavailable: c2pa-python is not installed, or does not load here.
        UsageError: the files cannot be read, or C2PA cannot sign with what is in them, as a
            picture of one pixel tells before the work.
    """

    def __init__(self, certificate: Path, key: Path | None = None) -> None:
        try:
            import c2pa
        except ImportError:
            raise EngineUnavailable("--sign needs c2pa-python: pip install c2pa-python") from None
        except (OSError, RuntimeError) as error:  # its native library
            reason = " ".join(str(error).split())
            raise EngineUnavailable(
                f"--sign: c2pa-python does not load here ({reason:.200}); "
                "pip install --force-reinstall c2pa-python"
            ) from None
        self._chain = _chain(_read(certificate, "--sign"), certificate)
        pem = _read(key or certificate, "--sign-key" if key else "--sign")
        if key is None and b"PRIVATE KEY" not in pem:
            raise UsageError(f'--sign: "{certificate}" holds no private key; give it as --sign-key')
        self._algorithm, self._key = _key(pem, key or certificate)
        try:
            _try(self._algorithm, self._chain, self._key)
        except c2pa.C2paError as error:
            raise UsageError(
                f'--sign: "{certificate}" with the key of "{key or certificate}" cannot sign: '
                f"{_reason(error)}; it takes the key's own certificate first, valid today, for "
                "signing documents or mail, and behind it those that vouch for it"
            ) from None

    def check(self, output: Path | str, *, painted: bool = True) -> None:
        """Raises UsageError where files of this name hold no manifest, or nothing is `painted`."""
        if not painted:
            raise UsageError(
                "--sign signs what an output says of itself, and --strength 0 paints nothing to "
                "say: give one of them"
            )
        suffix = Path(output).suffix.lower()
        if suffix not in FORMATS or "%" in str(output) or "*" in str(output):
            raise UsageError(
                f'--sign: "{output}" cannot hold a signature, allowed are files ending in '
                f"{' '.join(sorted(FORMATS))}"
            )

    def sign(self, path: Path, output: Path, made: Provenance) -> None:
        """Put a signed manifest into a finished file.

        Args:
            path: the file, under its temporary name; replaced in place.
            output: the name that it will get.
            made: what is stated.

        Raises:
            UsageError: C2PA refuses certificate or key.
            SinkError: it refuses the file.
        """
        import c2pa

        signed = path.with_name(f"{path.name}.signed")
        try:
            with path.open("rb") as source, signed.open("w+b") as target:
                format = FORMATS[output.suffix.lower()]
                manifest = _manifest(output, made)
                _write(self._algorithm, self._chain, self._key, manifest, format, source, target)
            signed.replace(path)
        except c2pa.C2paError as error:
            reason = _reason(error)
            kind = SinkError if "ignature" not in reason else UsageError
            raise kind(f'"{output}" cannot be signed by this certificate: {reason}') from None
        finally:
            signed.unlink(missing_ok=True)


def _write(
    algorithm: str,
    chain: bytes,
    key: bytes,
    manifest: str,
    format: str,
    source: BinaryIO,
    target: BinaryIO,
) -> None:
    """`source` with the manifest, signed, to `target`. Raises C2paError."""
    import c2pa

    info = c2pa.C2paSignerInfo(algorithm, chain, key, None)
    with c2pa.Signer.from_info(info) as signer, c2pa.Builder(manifest) as builder:
        builder.sign(signer, format, source, target)


@cache
def _try(algorithm: str, chain: bytes, key: bytes) -> None:
    """Sign a picture of one pixel, once in a process. Raises C2paError."""
    from PIL import Image

    picture = io.BytesIO()
    Image.new("L", (1, 1)).save(picture, "PNG")
    picture.seek(0)
    manifest = _manifest(Path("trial.png"), provenance_of([]))
    _write(algorithm, chain, key, manifest, FORMATS[".png"], picture, io.BytesIO())


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())


def _manifest(output: Path, made: Provenance) -> str:
    action = {
        "action": "c2pa.created",
        "digitalSourceType": made.source_type,
        "softwareAgent": {"name": made.system, "version": made.version},
    }
    return json.dumps(
        {
            "title": output.name,
            "claim_generator_info": [{"name": "Impasto", "version": VERSION}],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
        }
    )


def _read(path: Path, flag: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f'{flag}: "{path}" cannot be read: {error.strerror}') from None


def _chain(pem: bytes, path: Path) -> bytes:
    """The certificates of a file, and nothing else of it."""
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificates

    try:
        found = load_pem_x509_certificates(pem)
    except ValueError:
        raise UsageError(f'--sign: "{path}" holds no certificate in PEM') from None
    return b"".join(each.public_bytes(Encoding.PEM) for each in found)


def _key(pem: bytes, path: Path) -> tuple[str, bytes]:
    """(C2PA's algorithm, key in PKCS 8) of the private key in a file."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise UsageError(
            f'"{path}" holds no private key that can be read: PEM without a password is needed'
        ) from None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        algorithm = CURVES[key.curve.name]
    elif isinstance(key, rsa.RSAPrivateKey):
        algorithm = RSA
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm = EDWARDS
    else:
        raise UsageError(
            f'"{path}" holds a key that C2PA does not know; allowed are P-256, P-384, P-521, RSA '
            "and Ed25519"
        )
    return algorithm, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
