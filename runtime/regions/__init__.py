"""Parts of a picture that are painted differently: people and their background.

`segmenter` runs a network that says where people are, `matte` makes of it a mask of the picture's
size that stays calm from frame to frame, and `mix` puts two pictures together by it.
"""

from typing import Literal, get_args

# What a style paints: the whole picture, or one part of it.
Region = Literal["all", "person", "background"]
REGIONS: tuple[Region, ...] = get_args(Region)
