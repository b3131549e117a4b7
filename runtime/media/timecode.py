"""Timecode: the name of a frame, hours:minutes:seconds:frame (SMPTE ST 12-1).

At 30000/1001 frames per second a clock that counts 30 names a second runs behind by 108 frames an
hour. Drop-frame timecode, written with a semicolon, leaves out the names 00 and 01 of every minute
but each tenth; at 60000/1001 it leaves out twice as many.
"""

import re
from fractions import Fraction

_CODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;.])(\d{2,3})")
# Names of 30 a second that a minute lacks.
DROPPED = 2


def advance(code: str, seconds: Fraction, rate: Fraction) -> str | None:
    """The timecode of a later frame.

    Args:
        code: of the first frame, as "01:02:03:04", or "01:02:03;04" with dropped names.
        seconds: from the first frame to the later one.
        rate: frames per second.

    Returns:
        in the form of `code`, from 0 again behind 24 hours; None if `code` is no timecode.
    """
    match = _CODE.fullmatch(code.strip())
    names = round(rate)
    if match is None or names < 1:
        return None
    hours, minutes, rest, mark, frame = match.groups()
    drop = DROPPED * names // 30 if mark != ":" and names % 30 == 0 else 0
    minute = 60 * int(hours) + int(minutes)
    number = (60 * minute + int(rest)) * names + int(frame) - drop * (minute - minute // 10)
    number += round(seconds * rate)
    # Ten minutes hold so many frames, and the first of them two more than each of the others.
    ten, one = 600 * names - 9 * drop, 60 * names - drop
    tens, inside = divmod(number % (144 * ten), ten)
    if drop and inside >= 60 * names:
        inside += drop * (1 + (inside - 60 * names) // one)
    number = 600 * names * tens + inside
    at, frame_at = divmod(number, names)
    return f"{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}{mark}{frame_at:0{len(frame)}}"
