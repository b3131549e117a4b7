"""What a live run tells at its end."""

import math

from ..card import JsonObject
from .cores import num_cores
from .overlay import HELD
from .setup import LiveRun


def report(live: LiveRun) -> JsonObject:
    """What `--json` prints."""
    show, meter, parts = live.show, live.meter, live.show.parts
    last = show.last
    stylizer = last.active.stylizer if last else live.stylizer
    stages = meter.summary()["stages_ms"]
    stages.pop("latency", None)
    result: JsonObject = {
        "frames_in": parts.capture.arrived,
        "frames_out": parts.gauges.shown,
        "width": live.size[0],
        "height": live.size[1],
        "fps": round(parts.gauges.mean_fps(), 3),
        "stages_ms": stages,
        "engine": stylizer.engine,
        "device": stylizer.device,
        "model": stylizer.label,
        "model_sha256": stylizer.digest,
        "source": parts.info.name,
        "target_fps": round(parts.target_fps, 3),
        "held": parts.controller.held if parts.controller else None,
        "dropped": parts.pipeline.dropped,
        "carried": parts.pipeline.propagated,
        "not_carried": parts.pipeline.held,
        "reconnects": parts.capture.reconnects,
        "first_frame_s": round(parts.gauges.first_s or 0.0, 3),
        "stabilizer": "on" if show.settings.stabilizer else "off",
        **parts.gauges.report(),
    }
    if last is not None:
        result["working_size"] = [last.choice.width, last.choice.height]
        result["every"] = last.choice.every
        result.update(_stylizer(live))
    if parts.outputs.recorder.files:
        result["recorded"] = parts.outputs.recorder.files
        result["recorded_frames"] = parts.outputs.recorder.written
        result["record_dropped"] = parts.outputs.recorder.dropped
    if parts.outputs.snapshots.files:
        result["snapshots"] = parts.outputs.snapshots.files
    if parts.outputs.threads:
        result["outputs"] = [
            {
                "output": output_thread.name,
                "written": output_thread.written,
                "dropped": output_thread.dropped,
            }
            for output_thread in parts.outputs.threads
        ]
    return result


def _stylizer(live: LiveRun) -> JsonObject:
    """What the frames were painted with at the end, and what else there was to choose from."""
    parts, last = live.show.parts, live.show.last
    if last is None:
        return {}
    key = last.active.key
    entry = parts.styles.entries[key.style]
    found: JsonObject = {"style": entry.label, "threads": key.threads, "cores": num_cores()}
    if parts.controller is not None and len(parts.controller.tried) > 1:
        tried = parts.controller.tried.items()
        found["threads_ms_per_frame"] = {str(k): round(ms, 2) for k, ms in sorted(tried)}
    if entry.variants:
        found["grade"] = entry.variants[key.variant].grade
        found["precision"] = last.active.stylizer.card.precision
    costs = parts.styles.costs.get(key.style, [])
    if costs:
        found["variants"] = [
            {
                "model": variant.path.name,
                "grade": variant.grade,
                "precision": variant.precision,
                "relative_ms": round(cost, 3) if math.isfinite(cost) else None,
            }
            for variant, cost in zip(entry.variants, costs, strict=True)
        ]
    return found


def summary(result: JsonObject) -> str:
    """The same for a person, in one line: what happened, and where what was kept lies."""
    latency = result["latency_ms"]
    size = "x".join(str(side) for side in result.get("working_size", (0, 0)))
    text = (
        f"{result['frames_out']} frames shown, {result['fps']:.1f} fps, latency "
        f"{latency.get('p50', 0):.0f} ms (p95 {latency.get('p95', 0):.0f}), {size}, "
        f"{result['dropped']} dropped"
    )
    if result["held"] is False and result["fps"] < HELD * result["target_fps"]:
        text += f"; {result['target_fps']:g} fps are more than this machine holds now"
    for path in result.get("recorded", ()):
        text += f"; recorded {path}"
    if result.get("snapshots"):
        count, last = len(result["snapshots"]), result["snapshots"][-1]
        text += f"; picture {last}" if count == 1 else f"; {count} pictures, the last {last}"
    return text
