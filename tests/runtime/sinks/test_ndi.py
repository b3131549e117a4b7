"""NDI over the loopback: a real receiver gets what was painted; needs cyndilib."""

import os
from fractions import Fraction
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from waiting import wait_for

from runtime.errors import UsageError
from runtime.frame import Frame
from runtime.sinks import open_sink
from runtime.sources import SourceInfo

# Receivers ask this machine itself who sends: found without a name service on the network.
os.environ.setdefault("NDI_CONFIG_DIR", str(Path(__file__).with_name("ndi")))
NAME, RATE = "impasto test", Fraction(30)
INFO = SourceInfo("painting", 320, 240, RATE)


def test_the_network_has_to_be_asked_for():
    with pytest.raises(UsageError, match="--allow-network"):
        open_sink("ndi", INFO)


def test_a_receiver_gets_the_picture():
    pytest.importorskip("cyndilib", reason="needs cyndilib (pip install cyndilib)")
    from cyndilib.finder import Finder
    from cyndilib.receiver import Receiver
    from cyndilib.video_frame import VideoFrameSync
    from cyndilib.wrapper.ndi_recv import RecvBandwidth, RecvColorFormat

    patches = np.random.default_rng(0).integers(0, 256, (15, 20, 3), np.uint8)
    picture = patches.repeat(16, axis=0).repeat(16, axis=1)
    sink, stop = open_sink(f"ndi:{NAME}", INFO, allow_network=True), Event()

    def send():
        number = 0
        while not stop.wait(float(1 / RATE)):
            sink.write(Frame(picture, number / RATE, number))
            number += 1

    thread = Thread(target=send)
    thread.start()
    finder, video = Finder(), VideoFrameSync()
    receiver = Receiver(color_format=RecvColorFormat.RGBX_RGBA, bandwidth=RecvBandwidth.highest)
    try:
        finder.open()
        name = wait_for(lambda: [n for n in finder.get_source_names() if f"({NAME})" in n])[0]
        receiver.frame_sync.set_video_frame(video)
        receiver.set_source(finder.get_source(name))

        def arrived():
            if receiver.is_connected():
                receiver.frame_sync.capture_video()
            return video.xres

        wait_for(arrived)
        assert (video.xres, video.yres, video.get_frame_rate()) == (320, 240, RATE)
        seen = np.array(video.get_array()).reshape(240, 320, 4)[..., :3]
    finally:
        stop.set()
        thread.join()
        receiver.disconnect()
        finder.close()
        sink.close()
    # NDI compresses: 2.6 levels here (37 dB), most of it along the edges of the patches' color.
    assert np.abs(seen.astype(int) - picture).mean() < 5
