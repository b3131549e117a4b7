"""Archives of clips and pictures, painted on many machines by Ray.

Paths and bounds travel through Ray, frames never do: a worker reads its input where it lies, and
leaves what it made beside the output. `items` says what there is to do and `manifest` what is done;
`places` reads and writes files on disks and in object stores; `work` is what a worker does, without
Ray; `cluster` lets Ray do it.
"""
