"""What a live run is asked to do, as plain values; the flags of `runtime.webcam` fill them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..model.options import StylizeOptions
from ..provenance.signing import Signer
from ..regions import Region
from .ladder import SMALLEST_PX


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """Source, styles, rate, outputs, and the controls at the start.

    Attributes:
        style: models and effects; each model is a style to switch to, see `mixed`.
        mixed: the models are painted together, by their weights, as one style.
        source: as `open_source` takes it: "camera:0", a clip, a folder of pictures, "synthetic",
            "rtsp://...".
        allow_network: the source may be an address.
        size: (width, height) asked of the camera, and the box the picture is shown in.
        once: stop at the end of a clip instead of beginning again.
        target_fps: frames per second to hold by choosing the working size; None takes the source's
            rate, 0 holds none and keeps the source's size.
        working_size: (width, height) box that fixes the network's size instead.
        frames, seconds: stop after so many shown frames, or so long; None for never.
        window: show a window.
        record: file that recording begins with at once; None waits for the key.
        virtual_camera: device of a virtual camera, "" for the first one; None for none.
        outputs: further outputs, as `open_sink` takes them.
        pipe_format: of frames on standard output.
        serve: "HOST:PORT" of a page with picture and controls; None for none.
        token: password of that page; None makes one up where one is needed.
        tls: certificate to serve it by https, and its key if that is a file of its own.
        osc: "HOST:PORT" to listen at for OSC messages; None for none.
        midi: name of a MIDI device, "" for the first; None for none.
        snapshots: folder for single pictures, and for recordings by key where `record` is None.
        overwrite: replace existing outputs.
        provenance: say in recordings and saved pictures what made them.
        signer: signs what they say; None for nobody.
        stabilizer: a module of `runtime.stabilizers` that works frame by frame, or "off".
        stability: of the stabilizer, 0..1.
        noise: amount of input noise in flat areas, 0..1; it follows the camera.
        region: where the first model paints.
        beside: the second model paints the rest.
        split, frozen, fullscreen, stats: see `runtime.live.controls.Settings`.
        mirror: flip left and right everywhere; None flips a camera, on the screen alone.
        fade: seconds over which a new style comes in; 0 for at once.
        rotate: seconds after which the next style comes by itself; 0 for never.
        smallest: shorter side of the smallest working size in pixels.
        position: (x, y) of the window on the desktop in pixels; None leaves it to the system.
        script: (number of shown frames, action) pairs, sorted: keys pressed by themselves.
        quiet: no human text on stderr.
    """

    style: StylizeOptions
    mixed: bool = False
    source: str = "camera:0"
    allow_network: bool = False
    size: tuple[int, int] | None = None
    once: bool = False
    target_fps: float | None = None
    working_size: tuple[int, int] | None = None
    frames: int | None = None
    seconds: float | None = None
    window: bool = True
    record: Path | None = None
    virtual_camera: str | None = None
    outputs: Sequence[str] = ()
    pipe_format: str = "rgb24"
    serve: str | None = None
    token: str | None = None
    tls: tuple[Path, Path | None] | None = None
    osc: str | None = None
    midi: str | None = None
    snapshots: Path = Path()
    overwrite: bool = False
    provenance: bool = True
    signer: Signer | None = None
    stabilizer: str = "live"
    stability: float = 1.0
    noise: float = 0.0
    region: Region = "all"
    beside: bool = False
    split: bool = False
    mirror: bool | None = None
    fade: float = 0.5
    rotate: float = 0.0
    smallest: int = SMALLEST_PX
    position: tuple[int, int] | None = None
    frozen: bool = False
    fullscreen: bool = False
    stats: bool = True
    script: Sequence[tuple[int, str]] = ()
    quiet: bool = False

    def style_of(
        self, models: Sequence[tuple[str, float]], threads: int, *, live: bool = True
    ) -> StylizeOptions:
        """How to open these models, on so many threads, for a live picture or for stills. Colors
        are kept behind the stabilizer, which would otherwise carry those of the camera along."""
        return replace(self.style, models=models, threads=threads, live=live, keep_color="")
