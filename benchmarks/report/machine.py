"""The machine of a result file, in a sentence."""

from .tables import Document, number


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
