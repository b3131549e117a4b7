"""What made a picture or a clip, said in its file: nobody shall take a painting for a photograph.

Three properties of the IPTC Photo Metadata Standard 2025.1, in an XMP packet (`.xmp`) where the
format holds one, else as tags of the container (`.carriers`): the kind of source, the system with
its model, and the version of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..console import printable
from ..invocation import VERSION

# IPTC NewsCodes: a photograph or film that a trained model repainted; what it made of nothing.
_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPE = _TYPES + "compositeWithTrainedAlgorithmicMedia"
GENERATED = _TYPES + "trainedAlgorithmicMedia"
# Hexadecimal digits of a model's sha256 that name it: 48 bits.
DIGITS = 12


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made an output.

    Attributes:
        system: "Impasto (starry.onnx)".
        version: "1.0.0, sha256 0a1b2c3d4e5f": of the program, and the beginning of each model's
            checksum.
        source_type: SOURCE_TYPE or GENERATED.
    """

    system: str
    version: str
    source_type: str = SOURCE_TYPE

    @property
    def properties(self) -> dict[str, str]:
        """The names of IPTC's properties in XMP, and their values."""
        return {
            "DigitalSourceType": self.source_type,
            "AISystemUsed": self.system,
            "AISystemVersionUsed": self.version,
        }

    @property
    def sentence(self) -> str:
        """For formats that hold nothing but a comment."""
        return f"Made by {self.system}, version {self.version}; {self.source_type}"


def provenance_of(models: Sequence[tuple[str, str]], source_type: str = SOURCE_TYPE) -> Provenance:
    """What such models made.

    Args:
        models: names and sha256 sums; where several are mixed, both are joined by "+".
        source_type: SOURCE_TYPE or GENERATED.
    """
    # Not every character of a file's name may stand in XML, or is safe where the file is looked at.
    names = ", ".join(printable(name) for name, _ in models)
    sums = ["+".join(part[:DIGITS] for part in sha256.split("+")) for _, sha256 in models]
    sums = [part for part in sums if part]  # a server says no sum
    version = f"{VERSION}, sha256 {' '.join(sums)}" if sums else VERSION
    return Provenance(f"Impasto ({names})", version, source_type)
