"""Distillation: a smaller student learns from a teacher as well as from the painting.

    total = objective(student(x)) + output * fade(t) * mean |student(x) - teacher(x)|

The teacher paints on every `teacher_every`-th step only, with its weight multiplied by that number
(lazy regularization, Karras et al. 2020, StyleGAN2): it is larger than the student, and its
pictures are the dearest part of a step.

The objective (style, content, grid artifacts, motion) is the perceptual method's (Johnson, Alahi,
Fei-Fei 2016). The teacher's weight falls to `output_end` of itself in the course of the run: the
mean of all pictures an absolute difference allows is a blurred one, so the end belongs to the
painting. Crops are cut at random offsets, so a pattern glued to the teacher's grid cannot be
learned. After Hinton, Vinyals, Dean 2015 (arXiv:1503.02531), on pictures instead of class scores.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from runtime.card import JsonObject
from runtime.errors import UsageError

from ..checkpoint import load_checkpoint
from ..config import Recipe
from ..losses import Film
from ..objective import Objective
from ..settings import Positive, Weight
from . import Assets, perceptual

TERM = "teacher"


@dataclass(frozen=True)
class Options(perceptual.Options):
    """Settings of the method: the perceptual method's, and the teacher."""

    teacher: str = ""  # checkpoint
    output: Weight = 5.0  # weight of the difference to the teacher's picture
    output_end: Weight = 0.2  # share of it that is left at the end
    teacher_every: Positive = 4  # steps between the teacher's pictures


class Lesson(Objective):
    """A built objective, with the teacher's picture as one more term."""

    def __init__(self, objective: Objective) -> None:
        vars(self).update(vars(objective))  # the loss network is not built twice
        self.target: Tensor | None = None  # the teacher's picture of this step's photos
        self.weight = 0.0

    def __call__(
        self,
        output: Tensor,
        content_features: dict[str, Tensor],
        moved: tuple[Tensor, Tensor, Tensor] | None = None,
        scale: dict[str, float] | None = None,
        film: Film | None = None,
    ) -> dict[str, Tensor]:
        """The objective's terms, "teacher", and the total of all."""
        values = super().__call__(output, content_features, moved, scale, film)
        if self.target is None:
            return values
        difference = (output.float() - self.target.float()).abs().mean()
        return {**values, TERM: difference, "total": values["total"] + self.weight * difference}


class Distill(perceptual.Perceptual):
    """See the module's docstring; obligations in `training.methods.Method`."""

    def __init__(self, recipe: Recipe, assets: Assets) -> None:
        lesson: Options = perceptual.read_options(Options, recipe.options, "distill")
        if not lesson.teacher:
            raise UsageError("distill needs a teacher: --set options.teacher=CHECKPOINT")
        base = options_of(perceptual.Options, recipe.options)
        super().__init__(replace(recipe, options=base), assets)
        self.recipe, self.lesson = recipe, lesson
        teacher = load_checkpoint(lesson.teacher).build_generator()
        self.teacher = teacher.to(self.device).requires_grad_(False)
        self.objective: Lesson = Lesson(self.objective)
        self._given: Tensor | None = None
        self._teaching = True

    def step(self, step: int) -> dict[str, float]:
        """As the perceptual method's, with the teacher's term."""
        progress = step / max(1, self.recipe.steps)
        share = 1 - (1 - self.lesson.output_end) * progress
        every = self.lesson.teacher_every
        self.objective.weight = self.lesson.output * share * every
        # On the last step of each group: motion pairs are made on the first (`motion_every`).
        self._teaching = step % every == every - 1
        return super().step(step)

    def begin_part(self, rows: slice, photos: Tensor) -> None:
        """Forget the teacher's picture of other rows."""
        self.objective.target = self._given = None

    def paint(self, images: Tensor) -> Tensor:
        """The student's picture; of a part's first pictures the teacher paints its own."""
        if self._teaching and self._given is None:
            self._given = images
            with torch.no_grad():
                self.objective.target = self.teacher(images).clamp(0, 1)
        return super().paint(images)


def options_of(cls: type, table: JsonObject) -> JsonObject:
    """The settings in `table` that an options dataclass knows."""
    return {key: value for key, value in table.items() if key in cls.__dataclass_fields__}


PLUGIN = Distill
