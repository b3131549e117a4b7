"""What is done with every clip, as plain values; the flags of `runtime.video` fill them, or you."""

from dataclasses import dataclass, field

from ..errors import UsageError
from ..provenance.signing import Signer
from ..regions.options import Regions
from ..sinks import SinkOptions
from ..sources import SourceOptions
from ..stabilizers._views import LAYOUTS
from .excerpt import Span


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """What a run does with every clip.

    Attributes:
        source: wishes for `open_source` (stream, strict, hdr, raw, rate).
        sink: wishes for `open_sink` (codec, quality, preset, encoder, pipe_format).
        span: the part of the clip that is wanted.
        stabilizer: a module of `runtime.stabilizers`.
        stability: of the stabilizer: 0 shows the network's frames as they are, 1 is calmest.
        noise: amount of input noise in flat areas, 0..1; it follows the camera.
        seed: of that noise.
        regions: which part of the picture is painted, and with what the rest.
        views: "side-by-side" or "top-bottom" where frames hold two views of one scene, which are
            painted alike; "" for one view.
        size: (width, height) that the pictures are fitted into first; None keeps their size.
        overwrite: replace existing outputs, and unfinished ones.
        resume: continue unfinished outputs.
        provenance: say in the files what made them.
        signer: signs what they say; None for nobody.

    Raises:
        UsageError: a value outside what is allowed.
    """

    source: SourceOptions = field(default_factory=SourceOptions)
    sink: SinkOptions = field(default_factory=SinkOptions)
    span: Span = field(default_factory=Span)
    stabilizer: str = "off"
    stability: float = 1.0
    noise: float = 0.0
    seed: int = 0
    regions: Regions = field(default_factory=Regions)
    views: str = ""
    size: tuple[int, int] | None = None
    overwrite: bool = False
    resume: bool = False
    provenance: bool = True
    signer: Signer | None = None

    def __post_init__(self) -> None:
        if self.views and self.views not in LAYOUTS:
            raise UsageError(f'views are "{self.views}", allowed are {", ".join(LAYOUTS)}')
        if not 0.0 <= self.stability <= 1.0:
            raise UsageError(f"stability is {self.stability}, allowed is 0..1")
        if not 0.0 <= self.noise <= 1.0:
            raise UsageError(f"noise is {self.noise}, allowed is 0..1")
