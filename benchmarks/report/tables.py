"""Result files as Markdown tables. Nothing is computed here: every number shown is a number of the
file, rounded by `number`, which is what lets a test compare pages with their JSON."""

from collections.abc import Callable, Sequence
from typing import Any

from ..damage import HARMS

Document = dict[str, Any]
Row = dict[str, Any]
ABSENT = "–"


def number(value: float | None, unit: str = "") -> str:
    """Three significant digits or all before the point; `–` for what could not be measured."""
    if value is None:
        return ABSENT
    size = abs(value)
    if isinstance(value, int) or size >= 100:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{1 if size >= 10 else 2 if size >= 0.1 or not size else 3}f}"
    return text + unit


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the columns after the first text columns are aligned right."""
    texts = sum(1 for name in header if name in TEXTS)
    rule = ["---"] * texts + ["---:"] * (len(header) - texts)
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# Columns of words; all others hold numbers.
TEXTS = (
    *("network", "model", "size", "step", "stabilizer", "output", "what", "runs on", "precision"),
    *("source", "painted at px", "loss network", "start", "pictures", "photo", "damaged clips"),
    *("target", "compared here by", "trained with", "style weight", "teacher", "painting"),
)


def _metric(row: Row, name: str, unit: str = "") -> str:
    return number(row["metrics"].get(name), unit)


def _text(row: Row, name: str) -> str:
    value = row["labels"].get(name)
    return ABSENT if value is None else str(value)


def runs_on(row: Row) -> str:
    """Engine, device and threads in a word or two."""
    labels = row["labels"]
    threads = labels.get("threads")
    plural = "" if threads == 1 else "s"
    where = labels["device"].upper() if threads is None else f"{threads} thread{plural}"
    return where if labels["engine"] == "onnxruntime" else f"{labels['engine']}, {where}"


def machine(data: Document) -> str:
    """One sentence about the machine, its peaks and the software."""
    block, heat = data["environment"], data.get("thermometer")
    chip = block["cpu"]
    telling = ("avx2", "avx512f", "avx512_vnni", "amx_int8", "asimddp", "i8mm")
    sets = ", ".join(name for name in telling if name in chip["isa"]) or "instruction sets unknown"
    numbers = chip.get("family_model_stepping")
    family = f" (family/model/stepping {numbers})" if numbers else ""
    parts = [
        f"{chip['model']}{family}, {chip['cores']} cores, {sets}",
        *(f"{gpu['name']}, driver {gpu['driver']}" for gpu in block["gpus"]),
        f"{block['system']['name']} {block['system']['machine']}, Python {block['python']}",
        ", ".join(
            f"{name} {version}"
            for name, version in block["packages"].items()
            if name.startswith(("onnxruntime", "opencv", "openvino", "numpy"))
        ),
    ]
    if heat:
        peak = heat["peak"]["t1"]
        parts.append(
            f"one core's measured peaks: {number(peak['gemm_gflops'])} GFLOP/s fp32, "
            f"{number(peak['conv_gops'])} GOP/s int8, copy {number(peak['copy_gbs'])} GB/s"
        )
    commit = (block["git"]["commit"] or "no commit")[:8]
    changed = " with local changes" if block["git"]["dirty"] else ""
    parts.append(f"measured {data['created'][:10]} at {commit}{changed}")
    return "; ".join(parts) + "."


def latency(data: Document) -> str:
    """Our models: the graph, what is around it, and both."""
    header = ["model", "size", "runs on", "graph ms", "before + after ms", "complete ms"]
    header += ["p95 ms", "fps", "% of peak", "memory MiB", "first frame ms"]
    rows = [
        [
            f"{_text(row, 'model')} ({_text(row, 'precision')})",
            *(_text(row, "size"), runs_on(row), _metric(row, "model_p50_ms")),
            f"{_metric(row, 'pre_p50_ms')} + {_metric(row, 'post_p50_ms')}",
            *(_metric(row, "total_p50_ms"), _metric(row, "total_p95_ms"), _metric(row, "fps")),
            *(_metric(row, "peak_share_percent"), _metric(row, "peak_memory_mib")),
            _metric(row, "cold_start_ms"),
        ]
        for row in data["rows"]
        if row["labels"].get("role") == "ours"
    ]
    return markdown(header, rows)


def peers(data: Document, judged: Document | None = None) -> str:
    """Everyone at every size: how heavy, how long, how many times slower or faster."""
    objective, relative = objectives(judged), objective_ratios(judged)
    baseline = data["settings"].get("baseline") or "the baseline"
    header = ["network", "size", "runs on", "kMAC/px", "parameters", "complete ms"]
    header += [f"x faster than {baseline}", "95 % interval", "by processor time"]
    header += ["quality: L-BFGS iterations", "objective, x the best of its style"]
    rows = []
    for row in data["rows"]:
        if "fit" in row["labels"]:
            continue
        labels = row["labels"]
        low, high = _metric(row, "speedup_low"), _metric(row, "speedup_high")
        reached = objective.get(labels["model"])
        random = labels.get("weights") == "random"
        rows.append(
            [
                f"{labels['model']} ({labels['precision']})",
                *(labels["size"], runs_on(row), _metric(row, "kmacs_per_pixel")),
                *(_metric(row, "parameters"), _metric(row, "total_p50_ms")),
                _metric(row, "speedup"),
                f"{low}..{high}" if low != ABSENT else ABSENT,
                _metric(row, "speedup_cpu"),
                "random weights" if random and reached is None else number(reached),
                number(relative.get(labels["model"])),
            ]
        )
    return markdown(header, rows)


def busy(data: Document, quiet: Document | None) -> str:
    """What a busy machine does to times, and what it leaves of the ratios."""
    rows = []
    calm = {row["id"]: row for row in quiet["rows"]} if quiet else {}
    baseline = data["settings"].get("baseline") or "the baseline"
    for row in data["rows"]:
        other = calm.get(row["id"])
        if other is None or row["labels"]["model"] == baseline:
            continue
        rows.append(
            [
                f"{_text(row, 'model')} ({_text(row, 'precision')})",
                *(_text(row, "size"), _metric(other, "total_p50_ms"), _metric(row, "total_p50_ms")),
                *(_metric(other, "speedup"), _metric(row, "speedup")),
                _metric(row, "speedup_cpu"),
            ]
        )
    header = ["network", "size", "quiet ms", "busy ms", f"x faster than {baseline}, quiet", "busy"]
    return markdown([*header, "busy, by processor time"], rows)


def objectives(quality: Document | None) -> dict[str, float]:
    """Model to the L-BFGS iterations that reach its objective (the loss network of its training,
    started at the photo), from a file of `benchmarks.quality`."""
    found: dict[str, float] = {}
    for row in quality["rows"] if quality else []:
        labels, value = row["labels"], row["metrics"].get("iterations_mean")
        if value is not None and labels.get("init") in ("content", None):
            # The first row of a model is the one of its own loss network.
            found.setdefault(str(labels.get("model")), value)
    return found


def objective_ratios(quality: Document | None) -> dict[str, float]:
    """Model to its objective relative to the best model of its painting, by the loss network of
    the training, from a file of `benchmarks.quality`."""
    found: dict[str, float] = {}
    for row in quality["rows"] if quality else []:
        value = row["metrics"].get("objective_ratio")
        if value is not None:
            # The first row of a model is the one of its own loss network.
            found.setdefault(str(row["labels"]["model"]), value)
    return found


def quality(data: Document) -> str:
    """Each model against L-BFGS, by the loss network of its training and by others."""
    header = ["model", "loss network", "start", "picture px", "L-BFGS iterations", "95 % interval"]
    header += ["photos", "beyond the curve"]
    rows = [
        [
            *(_text(row, "model"), _text(row, "backbone"), _text(row, "init")),
            *(_text(row, "size"), _metric(row, "iterations_mean")),
            f"{_metric(row, 'iterations_low')}..{_metric(row, 'iterations_high')}",
            *(_metric(row, "photos"), _metric(row, "beyond_curve")),
        ]
        for row in data["rows"]
        if row["labels"].get("what") == "equivalents"
    ]
    return markdown(header, rows) if rows else anything(data)


def adapt(data: Document) -> str:
    """Objectives of networks of the same painting, by the loss network of their training."""
    header = ["model", "objective", "x the best", "L-BFGS iterations", "photos"]
    keys = ("total", "objective_ratio", "iterations_mean", "photos")
    seen = [r for r in data["rows"] if r["labels"].get("what") == "equivalents"]
    own = seen[0]["labels"]["backbone"] if seen else None  # it comes first
    return markdown(
        header,
        [
            [_text(row, "model"), *(_metric(row, key) for key in keys)]
            for row in seen
            if row["labels"]["backbone"] == own
        ],
    )


def pareto(data: Document) -> str:
    """Content and style of each model, and of pixels optimized with several style weights."""
    header = [
        "model",
        "style weight",
        "content",
        "style",
        "photos",
        "both, x the line",
    ]
    rows = [
        [
            *(_text(row, "model"), _text(row, "style_weight"), _metric(row, "content")),
            *(_metric(row, "style"), _metric(row, "photos"), _metric(row, "excess")),
        ]
        for row in data["rows"]
        if row["labels"]["what"] in ("frontier", "pareto")
    ]
    return markdown(header, rows)


def crawl(data: Document) -> str:
    """What each part of the training does to crawling texture, and what it costs."""
    header = ["network", "trained with", "steps", "shift error", "noise gain", "periodicity"]
    header += ["per-phase roughness", "style", "content", "objective"]
    keys = ("shift", "noise", "lock", "grid", "style", "content", "total")
    rows = [
        [
            *(_text(row, "network"), _text(row, "variant"), _text(row, "steps")),
            *(_metric(row, key) for key in keys),
        ]
        for row in data["rows"]
    ]
    return markdown(header, rows)


def scaling(data: Document) -> str:
    """Sizes measured, and the laws fitted to them."""
    measured = [row for row in data["rows"] if "fit" not in row["labels"]]
    header = ["model", "size", "runs on", "complete ms", "fps", "model memory MiB"]
    body = [
        [
            *(_text(row, "model"), _text(row, "size"), runs_on(row), _metric(row, "total_p50_ms")),
            *(_metric(row, "fps"), _metric(row, "model_memory_mib")),
        ]
        for row in measured
    ]
    return "\n\n".join([markdown(header, body), *laws(data)])


def laws(data: Document) -> list[str]:
    """A sentence for each fit."""
    sentences = []
    for row in data["rows"]:
        labels = row["labels"]
        if labels.get("fit") == "pixels":
            memory = ""
            if "per_megapixel_mib" in row["metrics"]:
                memory = (
                    f"; memory {_metric(row, 'fixed_mib')} MiB + "
                    f"{_metric(row, 'per_megapixel_mib')} MiB per megapixel"
                )
            sentences.append(
                f"{labels['model']}, {runs_on(row)}: {_metric(row, 'fixed_ms')} ms + "
                f"{_metric(row, 'per_megapixel_ms')} ms per megapixel (worst error "
                f"{_metric(row, 'worst_percent')} %), exponent {_metric(row, 'exponent')}{memory}."
            )
        elif labels.get("fit") == "threads":
            sentences.append(
                f"{labels['model']} at {labels['size']}: {_metric(row, 'speedup')} x faster "
                f"with all threads measured, serial share {_metric(row, 'serial_percent')} %."
            )
    return ["\n".join(f"- {sentence}" for sentence in sentences)] if sentences else []


def end_to_end(data: Document) -> str:
    """Whole clips: stages and frames per second."""
    stages = ("decode", "style", "stabilize", "encode")
    header = ["model", "size", "stabilizer", "output", "cores"]
    header += [f"{stage} ms" for stage in stages] + ["fps", "lowest"]
    rows = [
        [
            *(_text(row, name) for name in ("model", "size", "stabilizer", "output", "cores")),
            *(_metric(row, f"{stage}_p50_ms") for stage in stages),
            *(_metric(row, "fps"), _metric(row, "fps_low")),
        ]
        for row in data["rows"]
    ]
    return markdown(header, rows)


def startup(data: Document) -> str:
    """From process start to the first styled frame."""
    header = ["model", "size", "python ms", "imports ms", "open ms", "first frame ms", "all ms"]
    names = ("cold_python_ms", "cold_imports_ms", "cold_open_ms", "cold_frame_ms", "cold_start_ms")
    if any("live_ms" in row["metrics"] for row in data["rows"]):
        header += ["x imports alone", "live ms", "x imports alone"]
        names += ("session_x_imports", "live_ms", "live_x_imports")
    header += ["memory MiB"]
    names += ("peak_memory_mib",)
    rows = [
        [*(_text(row, "model"), _text(row, "size")), *(_metric(row, name) for name in names)]
        for row in data["rows"]
    ]
    return markdown(header, rows)


def startup_targets(data: Document) -> str:
    """Start-up times beside what they should be."""
    header = ["model", "size", "first frame ms", "live ms", "target ms"]
    names = ("cold_start_ms", "live_ms", "aim_ms")
    rows = [
        [*(_text(row, "model"), _text(row, "size")), *(_metric(row, name) for name in names)]
        for row in data["rows"]
    ]
    return markdown(header, rows)


def soak(data: Document) -> str:
    """Long live runs: rate, latency, and what grew."""
    header = ["model", "source", "size", "painted at px", "frames", "dropped", "fps", "wished"]
    header += ["latency p50 ms", "p95 ms", "drift ms/min", "memory MB", "growth MB/min"]
    names = ("frames_out", "dropped", "fps", "target_fps", "latency_p50_ms", "latency_p95_ms")
    names += ("latency_drift_ms_per_min", "memory_end_mb", "memory_growth_mb_per_min")
    rows = []
    for row in data["rows"]:
        words = [_text(row, name) for name in ("model", "source", "size", "working")]
        if row["labels"]["every"] > 1:
            words[-1] += ", every 2nd"
        rows.append([*words, *(_metric(row, name) for name in names)])
    return markdown(header, rows)


def budget(data: Document) -> str:
    """Everything but the network: one line per step, one column per size."""
    sizes = list(dict.fromkeys(row["labels"]["size"] for row in data["rows"]))
    steps = list(dict.fromkeys(row["labels"]["step"] for row in data["rows"]))
    cells = {
        (row["labels"]["step"], row["labels"]["size"]): _metric(row, "total_p50_ms")
        for row in data["rows"]
    }
    rows = [[step, *(cells.get((step, size), ABSENT) for size in sizes)] for step in steps]
    return markdown(["step", *(f"{size} ms" for size in sizes)], rows)


def video_fidelity(data: Document) -> str:
    """What a model that changes nothing gives back, clip by clip; then resuming and memory."""
    header = ["clip", "frames in = out", "time error, ticks", "duration error, ticks"]
    header += ["sound packets identical", "color dB, mean (worst frame)"]
    rows, notes, hurt = [], [], []
    for row in data["rows"]:
        number = row["metrics"].get
        if number("frames_in") is not None:
            packets = number("audio_packets_in")
            sound = f"{number('audio_packets_identical'):g} of {packets:g}" if packets else "none"
            rows.append(
                [
                    _text(row, "clip"),
                    f"{number('frames_in'):g} = {number('frames_out'):g}",
                    f"{number('time_error_ticks'):g}",
                    f"{number('duration_error_ticks'):g}",
                    sound,
                    f"{number('psnr_db'):.1f} ({number('psnr_worst_frame_db'):.1f})",
                ]
            )
        elif number("kills") is not None:
            notes.append(
                f"Killed with SIGKILL at {number('kills'):g} random moments and resumed: "
                f"{number('resumed_identical'):g} results have identical frame hashes."
            )
        elif number("peak_300_frames_mib") is not None:
            notes.append(
                f"Peak memory at {_text(row, 'size')}: {number('peak_300_frames_mib'):.0f} MiB "
                "over three hundred frames, "
                f"{number('peak_3000_frames_mib'):.0f} MiB over three thousand."
            )
        elif number("trials") is not None:
            pairs = ((number(f"{kind}_counted"), number(f"{kind}_visible")) for kind in HARMS)
            hurt.append([_text(row, "codec"), *(f"{a:g} of {b:g}" for a, b in pairs)])
    if hurt:
        header_hurt = ["damaged clips", "lost blocks counted", "noise counted"]
        notes.append(markdown(header_hurt, hurt))
    return "\n\n".join([markdown(header, rows), *notes])


def picture_fidelity(data: Document) -> str:
    """Odd pictures by kind, tiling by model and photo; then what is painted in bounded memory."""
    by_kind: dict[str, list[Row]] = {}
    for row in data["rows"]:
        by_kind.setdefault(row["labels"]["what"], []).append(row)
    odd = [
        [_text(row, "kind"), *(_metric(row, name) for name in ("pictures", "wrong", "worst_level"))]
        for row in by_kind.get("group", ())
    ]
    parts = [markdown(["pictures", "files", "wrong", "worst difference, levels"], odd)]
    names = ("tiles", "worst_level", "mean_level", "alone_level")
    tiled = [
        [
            f"{_text(row, 'model')} ({_text(row, 'precision')})",
            *(_text(row, name) for name in ("photo", "size")),
            *(_metric(row, name) for name in names),
        ]
        for row in by_kind.get("tiling", ())
    ]
    header = ["model", "photo", "size", "tiles", "worst difference, levels"]
    header += ["mean difference", "worst if each tile were normalized on its own"]
    parts.append(markdown(header, tiled))
    words = dict.fromkeys(row["labels"]["words"] for row in by_kind.get("tiling", ()))
    parts += [f"Refused: {text}." for text in words if text]
    for row in by_kind.get("large", ()):
        parts.append(
            f"{_text(row, 'model')} on {_text(row, 'size')}: {_metric(row, 'peak_mib')} MiB at "
            f"most, of {_metric(row, 'limit_mib')} MiB allowed; {_metric(row, 'tiles')} tiles of "
            f"{_metric(row, 'tile_px')} px; {_metric(row, 'cpu_seconds')} seconds of one core."
        )
    return "\n\n".join(parts)


def temporal(data: Document) -> str:
    """Stabilizers over all scenes of a kind: ratios to the network's own frames, and the gates."""
    names = ("warp_ratio", "warp_long_ratio", "excess_ratio", "sharpness", "style_ratio")
    header = ["stabilizer", "motion known", "scenes", "E", "E, long term", "excess"]
    header += ["sharpness", "style", "still flicker, levels", "drift, levels"]
    rows = [
        [
            *(_text(row, name) for name in ("stabilizer", "truth", "photo")),
            *(_metric(row, name) for name in (*names, "flicker", "drift")),
        ]
        for row in data["rows"]
        if row["labels"].get("clip") == "mean"
    ]
    return markdown(header, rows)


def folding(data: Document) -> str:
    """An int8 file against its float network, scene by scene; then what folding costs."""
    means = [row for row in data["rows"] if row["labels"].get("photo") == "mean"]
    header = ["what", "PSNR, dB (worst)", "SSIM", "style, of the float network's"]
    rows = [
        [
            _text(row, "what"),
            f"{_metric(row, 'psnr_db')} ({_metric(row, 'worst_psnr_db')})",
            _metric(row, "ssim"),
            _metric(row, "style_ratio"),
        ]
        for row in means
        if "psnr_db" in row["metrics"]
    ]
    names = ("flicker", "flicker_folded_once", "flicker_float", "flicker_source")
    noisy = [row for row in means if "flicker" in row["metrics"]]
    flickers = markdown(
        ["what", "flicker, levels", "folded once", "float network", "of the source"],
        [[_text(row, "what"), *(_metric(row, name) for name in names)] for row in noisy],
    )
    parts = ("fold", "measure", "measure_small", "frame")
    costs = markdown(
        ["size", "fold ms", "measurement ms", "of a smaller copy ms", "frame ms"],
        [
            [_text(row, "size"), *(_metric(row, f"{part}_p50_ms") for part in parts)]
            for row in data["rows"]
            if row["labels"]["what"] == "cost"
        ],
    )
    return f"{markdown(header, rows)}\n\n{flickers}\n\n{costs}"


def targets(data: Document) -> str:
    """One checkpoint in every format: how large, how near, how long; then what was not made."""
    header = ["target", "precision", "compared here by", "runs on"]
    header += ["MB", "parity dB", "objective, x PyTorch's", "ms of one core here"]
    names = ("size_mb", "psnr_db", "objective_ratio", "cpu_p50_ms")
    rows, left = [], []
    for row in data["rows"]:
        what = [_text(row, name) for name in ("target", "precision")]
        if row["metrics"]:
            shown = [_metric(row, name) for name in names]
            rows.append([*what, *(_text(row, name) for name in ("compared_by", "runs_on")), *shown])
        else:
            left.append(f"- {' '.join(what)}, {_text(row, 'verdict')}: {_text(row, 'note')}.")
    return "\n\n".join([markdown(header, rows), *(["\n".join(left)] if left else [])])


# Columns of the students' table: heading and figure.
STUDENTS = (
    ("objective, x the teacher's", "objective_ratio"),
    ("fp32 counterpart", "float_ratio"),
    ("int8, x fp32", "int8_objective"),
    ("int8 dB", "int8_psnr_db"),
    ("L-BFGS iterations", "iterations"),
    ("EQ", "eq"),
    ("periodicity", "lock_flat"),
    ("per-phase roughness", "grid"),
    ("the same at 1920x1080", "grid_large"),
    ("border", "frame"),
    ("x faster", "faster"),
    ("ms of one core", "cpu_p50_ms"),
)


def students(data: Document, show: Callable[[Row, str], str] = _metric) -> str:
    """Every student's figures; `show` writes one of them."""
    rows = [
        [_text(row, "model"), _text(row, "teacher"), *(show(row, key) for _, key in STUDENTS)]
        for row in data["rows"]
    ]
    header = ["model", "teacher", *(heading for heading, _ in STUDENTS)]
    parts = [markdown(header, rows)]
    if data["settings"].get("baseline"):
        parts.append(f"x faster: than {data['settings']['baseline']}, by processor time.")
    return "\n\n".join(parts)


def student_targets(data: Document) -> str:
    """The same, each figure beside its target where one is set."""
    return students(data, _beside_target)


def _beside_target(row: Row, key: str) -> str:
    """As "1.12 (missed, target 1.10)"; the bare figure where no target is set."""
    metrics = row["metrics"]
    aim, met = metrics.get(f"{key}_aim"), metrics.get(f"{key}_met")
    text = _metric(row, key)
    if aim is None or met is None:
        return text
    return f"{text} ({'met' if met else 'missed'}, target {number(aim)})"


def pruning(data: Document) -> str:
    """Every size of a network: time and objective; then where pruning stops paying."""
    header = ["network", "ms", "x faster", "95 % interval", "objective, x the source's", "MB"]
    header += ["on the front", "worth it"]
    rows = [
        [
            *(_text(row, "model"), _metric(row, "total_p50_ms"), _metric(row, "faster")),
            f"{_metric(row, 'faster_low')}..{_metric(row, 'faster_high')}",
            *(_metric(row, "objective_ratio"), _metric(row, "size_mb")),
            *("yes" if row["metrics"][key] else "no" for key in ("on_front", "worth")),
        ]
        for row in data["rows"]
    ]
    words = str(data["settings"]["verdict"])
    return f"{markdown(header, rows)}\n\n{words[:1].upper()}{words[1:]}."


def anything(data: Document) -> str:
    """Labels that differ between rows, then every number: for kinds without their own table."""
    rows = data["rows"]
    if not rows:
        return "(no rows)"
    names = list(dict.fromkeys(name for row in rows for name in row["labels"]))
    differ = [n for n in names if len({str(row["labels"].get(n)) for row in rows}) > 1] or names[:1]
    metrics = list(
        dict.fromkeys(
            name
            for row in rows
            for name, value in row["metrics"].items()
            if not isinstance(value, list)
        )
    )
    body = [
        [*(_text(row, name) for name in differ), *(_metric(row, name) for name in metrics)]
        for row in rows
    ]
    return markdown([*differ, *metrics], body)


TABLES: dict[str, Callable[[Document], str]] = {
    "end_to_end": end_to_end,
    "startup": startup,
    "soak": soak,
    "crawl": crawl,
    "budget": budget,
    "quality": quality,
    "temporal": temporal,
    "video_fidelity": video_fidelity,
    "folding": folding,
    "picture_fidelity": picture_fidelity,
    "targets": targets,
    "students": students,
    "pruning": pruning,
}


def table(data: Document) -> str:
    """The usual table of a result file."""
    if data["kind"] == "latency":
        fitted = any("fit" in row["labels"] for row in data["rows"])
        compared = data.get("settings", {}).get("baseline") is not None
        if fitted:
            return scaling(data)
        return f"{latency(data)}\n\n{peers(data)}" if compared else latency(data)
    return TABLES.get(data["kind"], anything)(data)
