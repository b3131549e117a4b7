"""Our towers say what OpenCLIP's own say, with its weights, its configuration and its tokens."""

import json

import pytest
import torch

from training.clip.folder import CONFIG, WEIGHTS, open_clip

theirs = pytest.importorskip(
    "open_clip", reason="needs open_clip_torch (pip install open_clip_torch)"
)

VISION = {"layers": 2, "width": 64, "head_width": 16, "patch_size": 8, "image_size": 32}
TEXT = {"context_length": 12, "vocab_size": 300, "width": 48, "heads": 3, "layers": 2}


@pytest.mark.parametrize("quick", [False, True])
@torch.no_grad()
def test_embeddings_are_open_clips(tmp_path, quick):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    config = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT, "quick_gelu": quick}
    model = theirs.CLIP(**config).eval()
    # Fresh weights hardly say anything of the picture; these do.
    for weight in model.parameters():
        weight.add_(0.1 * torch.randn_like(weight))
    save_file(model.state_dict(), tmp_path / WEIGHTS)
    mean, deviation = theirs.OPENAI_DATASET_MEAN, theirs.OPENAI_DATASET_STD
    shown = {"mean": mean, "std": deviation}
    told = {"model_cfg": config, "preprocess_cfg": shown}
    (tmp_path / CONFIG).write_text(json.dumps(told))
    (tmp_path / "vocab.json").write_text(json.dumps({"<|startoftext|>": 298, "<|endoftext|>": 299}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    clip = open_clip(tmp_path).clip
    pictures = torch.rand(3, 3, 32, 32)
    normalized = (pictures - torch.tensor(mean)[:, None, None]) / torch.tensor(deviation)[
        :, None, None
    ]
    wanted = model.encode_image(normalized, normalize=True)
    assert (wanted[0] - wanted[1]).abs().max() > 0.01
    torch.testing.assert_close(clip.see(pictures), wanted, atol=1e-4, rtol=0)
    tokens = torch.randint(0, 290, (3, 12))
    tokens[:, 0] = 298
    for row, end in enumerate((3, 7, 11)):
        tokens[row, end] = 299
        tokens[row, end + 1 :] = 0
    wanted = model.encode_text(tokens, normalize=True)
    assert (wanted[0] - wanted[1]).abs().max() > 0.01
    torch.testing.assert_close(clip.read(tokens), wanted, atol=1e-4, rtol=0)
