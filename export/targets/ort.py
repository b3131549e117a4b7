"""ONNX Runtime's own format: what its small builds for phones read, and the list of operations such
a build needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from runtime.errors import StyleError

from . import Options, Target, Written
from .onnx import OnnxTarget

if TYPE_CHECKING:
    from ..source import ExportSource

CONFIG = ".required_operators.config"
# Packs weights for the vector units of the converting machine, so that no other could read them.
MACHINE_SPECIFIC = ["NchwcTransformer"]
# Only fatal messages; failures come back as exceptions.
SILENT = 4


class OrtTarget(Target):
    """See `export.targets.Target`.

    There is no fp16: on a CPU the file would hold float32 again, ONNX Runtime converts back before
    it saves.
    """

    suffix = ".ort"
    beside = (".required_operators.config",)
    precisions = ("fp32", "int8")
    engine = "onnxruntime"
    modules = ("torch", "onnx", "onnxscript")
    extra = "train,export"
    runs_on = "ONNX Runtime's small builds (Android, iOS), any CPU"

    @staticmethod
    def write(source: ExportSource, path: Path, options: Options) -> Written:
        """Write the .ort file and `<name>.required_operators.config` beside it.

        Raises:
            StyleError: ONNX Runtime cannot convert the graph.
            UsageError, ParityError: as the ONNX target.
        """
        named = replace(source, card=replace(source.card, target="ort"))
        with TemporaryDirectory() as folder:
            graph = Path(folder) / "graph.onnx"
            written = _write_graph(named, graph, options)
            convert(graph, path)
        operations = required_operators(path)
        text = "".join(f"{line}\n" for line in ["# Operations of " + path.name, *operations])
        path.with_name(path.name.removesuffix(".ort") + CONFIG).write_text(text, encoding="utf-8")
        steps = [*written.steps, "saved in ONNX Runtime's format, optimized for any machine"]
        facts = {**written.facts, "required_operators": operations}
        return Written(written.card, steps, facts)


def _write_graph(source: ExportSource, path: Path, options: Options) -> Written:
    """The ONNX file; in bytes with constants that our runtime replaces: what a file computes itself
    cannot be taken out of this format."""
    if options.precision != "int8":
        return OnnxTarget.write(source, path, options)
    from ..int8 import whole_frame

    return whole_frame.write(source, path, options, sampled=False)


def convert(graph: Path, path: Path) -> None:
    """Save an ONNX file in ONNX Runtime's format, with its optimizations applied."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = SILENT
    options.optimized_model_filepath = str(path)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.save_model_format", "ORT")
    try:
        ort.InferenceSession(
            str(graph),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=MACHINE_SPECIFIC,
        )
    except Exception as error:  # ORT raises a dozen classes without a common base
        reason = " ".join(str(error).split())[:300]
        raise StyleError(f"ONNX Runtime cannot convert the graph: {reason}") from None


def required_operators(path: Path) -> list[str]:
    """Lines "domain;version;Operation,Operation" of the operations in an .ort file, as ONNX
    Runtime's build takes them (`--include_ops_by_config`)."""
    # Not `create_config_from_models`: it writes the folder of this machine into the file, and logs.
    from onnxruntime.tools.ort_format_model.ort_model_processor import OrtFormatModelProcessor

    found: dict[str, dict[int, Iterable[str]]] = {}
    OrtFormatModelProcessor(str(path), found, None).process()
    return [
        f"{domain};{version};{','.join(sorted(names))}"
        for domain, versions in sorted(found.items())
        for version, names in sorted(versions.items())
        if names
    ]


PLUGIN = OrtTarget
