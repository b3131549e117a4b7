"""Byte shuffles for engines that hold a picture's channels as planes (OpenVINO).

One transposition of six axes makes the planes, where `GraphBuilder` copies runs of bytes for
engines that work in NHWC: in OpenVINO starry takes 0.8 times as long so (640x480, one thread).
"""

from .graph_builder import GraphBuilder


class PlanarBuilder(GraphBuilder):
    """A `GraphBuilder` with the other order of copying; the same values come out."""

    def space_to_depth(self, value: str) -> str:
        """uint8 NHWC to (1, 3 r r, H / r, W / r), channels by (row, column, color)."""
        r = self.scale
        rows, columns = self._cells(value, "in")
        one, side, three = self._sizes()
        blocks = self.node("Concat", [one, rows, side, columns, side, three], "in.blocks", axis=0)
        value = self.node("Reshape", [value, blocks], "in.split")
        value = self.node("Transpose", [value], "in.moved", perm=[0, 2, 4, 5, 1, 3])
        depth = self.integers("depth", 3 * r * r)
        flat = self.node("Concat", [one, depth, rows, columns], "in.flat", axis=0)
        return self.node("Reshape", [value, flat], "in.channels")

    def depth_to_space(self, value: str, margin: int) -> str:
        """The way back, without the margin; the output's name is "styled"."""
        r = self.scale
        value = self.crop(value, "out", margin // r)
        shape = self.node("Shape", [value], "out.shape", start=2, end=4)
        one, side, three = self._sizes()
        zero, two = self.integers("zero", 0), self.integers("two", 2)
        rows = self.node("Slice", [shape, zero, one], "out.rows")
        columns = self.node("Slice", [shape, one, two], "out.columns")
        blocks = self.node("Concat", [one, side, side, three, rows, columns], "out.blocks", axis=0)
        value = self.node("Reshape", [value, blocks], "out.split")
        value = self.node("Transpose", [value], "out.moved", perm=[0, 4, 1, 5, 2, 3])
        full = self.node("Mul", [shape, self.integers("factors", r, r)], "out.size")
        whole = self.node("Concat", [one, full, three], "out.whole", axis=0)
        return self.node("Reshape", [value, whole], "styled")

    def _sizes(self) -> tuple[str, str, str]:
        return self.integers("one", 1), self.integers("r", self.scale), self.integers("three", 3)
