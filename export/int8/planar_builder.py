"""Byte shuffles for engines that hold a picture's channels as planes (OpenVINO).

One transposition of six axes makes the planes, where `GraphBuilder` copies runs of bytes for
engines that work in NHWC: in OpenVINO starry takes 0.8 times as long so (640x480, one thread). The
way back is ONNX's own depth-to-space: as reshapes and transpositions it is 3 % faster still, but a
head whose bytes are not cropped then gets its biases at the wrong channels, and space-to-depth as
the way in overflows where a margin is cropped (both OpenVINO 2026.4).
"""

from .graph_builder import GraphBuilder


class PlanarBuilder(GraphBuilder):
    """A `GraphBuilder` with the other order of copying; the same values come out."""

    def space_to_depth(self, value: str) -> str:
        """uint8 NHWC to (1, 3 r r, H / r, W / r), channels by (row, column, color)."""
        r = self.scale
        rows, columns = self._grid(value, "in")
        one, side, three = self._sizes()
        blocks = self.node("Concat", [one, rows, side, columns, side, three], "in.blocks", axis=0)
        value = self.node("Reshape", [value, blocks], "in.split")
        value = self.node("Transpose", [value], "in.moved", perm=[0, 2, 4, 5, 1, 3])
        depth = self.integers("depth", 3 * r * r)
        flat = self.node("Concat", [one, depth, rows, columns], "in.flat", axis=0)
        return self.node("Reshape", [value, flat], "in.channels")

    def depth_to_space(self, value: str, margin: int) -> str:
        """The way back, without the margin; the output's name is "styled"."""
        value = self.crop(value, "out", margin // self.scale)
        planes = self.node("DepthToSpace", [value], "out.planes", blocksize=self.scale, mode="DCR")
        return self.node("Transpose", [planes], "styled", perm=[0, 2, 3, 1])

    def _sizes(self) -> tuple[str, str, str]:
        return self.integers("one", 1), self.integers("r", self.scale), self.integers("three", 3)
