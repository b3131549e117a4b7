"""Video containers and color: everything about clips that is not a picture yet.

`container` opens files, `streams` plans what becomes of sound and subtitles, `journal` keeps the
closed segments of an unfinished clip, `muxing` joins them, `encoders` chooses and tries encoders,
`color` and `hdr` turn decoded planes into RGB and back.
"""
