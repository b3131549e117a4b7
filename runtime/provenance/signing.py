"""Signed statements: a C2PA manifest (Content Credentials) in a finished file, by its owner's
certificate. Anybody can write the XMP of `.xmp`; this says who, and shows when pixels were changed
since.

The manifest has one action, "c2pa.created", with the kind of source and the program of
`Provenance`. It has no time stamp of a third party, which would need a network. `c2pa-python`
writes it (extra "c2pa").
"""

import json
from importlib.util import find_spec
from pathlib import Path

from ..errors import EngineUnavailable, SinkError, UsageError
from ..invocation import VERSION
from . import Provenance

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
        EngineUnavailable: c2pa-python is not installed.
        UsageError: the files cannot be read, or C2PA cannot sign with what is in them.
    """

    def __init__(self, certificate: Path, key: Path | None = None) -> None:
        if find_spec("c2pa") is None:
            raise EngineUnavailable("--sign needs c2pa-python: pip install c2pa-python")
        self._chain = _chain(_read(certificate, "--sign"), certificate)
        pem = _read(key or certificate, "--sign-key" if key else "--sign")
        self._algorithm, self._key = _key(pem, key or certificate)

    def check(self, output: Path | str) -> None:
        """Raises UsageError where files of this name hold no manifest."""
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

        format = FORMATS[output.suffix.lower()]
        signed = path.with_name(f"{path.name}.signed")
        info = c2pa.C2paSignerInfo(self._algorithm, self._chain, self._key, None)
        try:
            with (
                c2pa.Signer.from_info(info) as signer,
                c2pa.Builder(_manifest(output, made)) as builder,
                path.open("rb") as source,
                signed.open("w+b") as target,
            ):
                builder.sign(signer, format, source, target)
            signed.replace(path)
        except c2pa.C2paError as error:
            reason = " ".join(str(error).split())
            kind = SinkError if "ignature" not in reason else UsageError
            raise kind(f'"{output}" cannot be signed by this certificate: {reason}') from None
        finally:
            signed.unlink(missing_ok=True)


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
