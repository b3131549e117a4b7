"""Runs of the generators that take minutes on one core: digits of 16 px, paintings of 64 px."""

from dataclasses import dataclass

DIGITS = ("data.short_side=16", "data.crop=16", "data.zoom=1.0", "options.flip=false")
# 64-px squares, as the recipes have them. What a discriminator that begins with nothing teaches of
# 300 paintings in 2000 steps leaves .14 of DCGAN's KID by SqueezeNet and .32 by EfficientNet-Lite0:
# this one looks through the loss network. An R1 of .3, as StarGAN has, held it at chance.
PAINTINGS = (
    "data.limit=300",
    "batch=8",
    "ema=0.99",
    "options.discriminator={name='projected', width=32, whole=true}",
    "options.r1=0.02",
    "options.r1_every=16",
    "options.decay_start=0.6",
)


@dataclass(frozen=True)
class Toy:
    """One run.

    Attributes:
        recipe: a bundled one.
        pictures: "digits" or "paintings".
        steps: until the figures are met; more are better.
        settings: what makes the recipe small.
    """

    recipe: str
    pictures: str
    steps: int
    settings: tuple[str, ...]


def _discriminator(form: str, width: int, most: int) -> str:
    shape = f"form='{form}', width={width}, most={most}, minibatch_deviation=true"
    return "options.discriminator={" + shape + "}"


TOYS = {
    "ddpm-digits": Toy(
        "ddpm",
        "digits",
        600,
        (
            *DIGITS,
            "network={name='unet_ddpm', width=16, multiples=[1, 2, 2], blocks=1, attention=[2]}",
            *("network.dropout=0.0", "batch=64", "optimizer.lr=2e-3", "ema=0.99"),
            *("options.target='velocity'", "options.warmup=50"),
        ),
    ),
    "dcgan-digits": Toy(
        "dcgan",
        "digits",
        1500,
        (
            *DIGITS,
            "network={name='dcgan', width=16, most=64, side=16}",
            *("batch=32", _discriminator("plain", 16, 64)),
        ),
    ),
    "stylegan2-digits": Toy(
        "stylegan2",
        "digits",
        2500,
        (
            *DIGITS,
            "network={name='stylegan2', width=16, most=32, side=16, latent=32, mapping=4}",
            *("batch=16", _discriminator("residual", 16, 32)),
        ),
    ),
    "dcgan-paintings": Toy(
        "dcgan",
        "paintings",
        3000,
        (
            *PAINTINGS,
            "network={name='dcgan', width=32, most=128, side=64, resize=true}",
            "optimizer.lr=1e-3",
            # With averages over 100 steps and equal rates, KID rose again from step 1250 on, and
            # squares became alike. After 2000 steps .12 and .24 of the two KIDs were left.
            *("ema=0.998", "options.discriminator_rate=2.0"),
            # It watches, and had nothing to do: its chance was never above .0013.
            *("options.augment=true", "options.augment_over=8000"),
        ),
    ),
    "stylegan2-paintings": Toy(
        "stylegan2",
        "paintings",
        2000,
        (
            *PAINTINGS,
            "network={name='stylegan2', width=16, most=64, side=64, latent=64, mapping=4}",
            "options.discriminator_rate=0.5",
        ),
    ),
}
