"""What the C library does with the memory of pictures that were freed."""

import numpy as np

# glibc's upper end for blocks that are kept for the next one is 32 MiB, on 64 bits, with the
# block's head (DEFAULT_MMAP_THRESHOLD_MAX in malloc.c): nine 1280x720 pictures, four of 1920x1080.
LARGEST = 31 * 2**20


def keep_pictures() -> None:
    """Let freed pictures be used again as they are; call it before working on many of one size.

    glibc begins by asking the system for every block above 128 KiB and giving it back when it is
    freed: 675 page faults for each 1280x720 picture, 25 ms of a stabilizer's step instead of 20.
    Whenever such a block is freed, blocks up to its size are kept from then on (mallopt(3),
    M_MMAP_THRESHOLD). So one is made and freed here; it is never touched and costs nothing. Other C
    libraries have other rules, for them this does nothing.
    """
    np.empty(LARGEST, np.uint8)
