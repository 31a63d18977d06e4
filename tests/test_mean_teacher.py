"""Self-training and consistency with networks whose answers are known, and in a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from mage_stac.adapt import consistency, mean_teacher, methods
from mage_stac.adapt.augment import Chips
from mage_stac.adapt.chance import Chance
from mage_stac.adapt.methods import Moment
from mage_stac.models.average import Average
from mage_stac.recipe import Augment, Consistency, Recipe, SelfTraining

STILL = Augment(
    flips=False, shift=0, scale=(1, 1), gain=(1, 1), gamma=(1, 1), contrast=(1, 1), saturation=(1, 1), bias=0, cast=0,
    mixing=0, haze=0, sharpness=(0, 0), noise=0, jpeg=0,
)  # fmt: skip
EDGE = 12


class Known(nn.Module):
    """The first band of the pre image decides the building, the post image's the grade."""

    def __init__(self, sharpness: float) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(sharpness))

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        grade = (image[:, 1, :1] * 4).clamp(0, 3.99)
        steps = torch.arange(4).reshape(1, 4, 1, 1) + 0.5
        return {
            "building": self.sharpness * (image[:, 0, :1] - 0.5),
            "damage": -self.sharpness * (grade - steps).square(),
        }


def pairs(seed: int, number: int = 3) -> torch.Tensor:
    return torch.rand(number, 2, 3, EDGE, EDGE, generator=torch.Generator().manual_seed(seed)) * 0.9 + 0.05


def moment(student: nn.Module, teacher: nn.Module, **changes: Any) -> Moment:
    number = 3
    every = torch.ones(number, EDGE, EDGE, dtype=torch.bool)
    mask = torch.randint(0, 5, (number, EDGE, EDGE), generator=torch.Generator().manual_seed(7))
    settings = {"self_training": SelfTraining(weight=1.0, rise=0, spread=0), "consistency": Consistency(weight=1.0)}
    return Moment(
        recipe=Recipe(name="any", augment=STILL, **(settings | changes)),
        progress=0.5,
        student=student,
        teacher=teacher,
        source=Chips(pairs(1), mask, every),
        target=Chips(pairs(2), torch.full_like(mask, 255), every),
        weights=torch.ones(4),
        normalise=lambda chips: chips.image,
        chance=Chance(generator=torch.Generator().manual_seed(0), chips=number),
    )


def test_the_teacher_labels_what_was_seen_and_tells_how_sure_it_is() -> None:
    one = moment(Known(1.0), Known(20.0))
    seen = one.target.valid.clone()
    seen[0, :6] = False
    one = replace(one, target=one.target._replace(valid=seen))
    labels, sure = mean_teacher.pseudo(one, 0.9)
    pre, post = one.target.image[:, 0, 0], one.target.image[:, 1, 0]
    expected = torch.where(pre >= 0.5, (post * 4).long() + 1, 0)
    assert torch.equal(labels, torch.where(seen, expected, 255))
    p = torch.sigmoid(20 * (pre - 0.5))
    share = (((p > 0.9) | (p < 0.1)) & seen).flatten(1).sum(1) / seen.flatten(1).sum(1)
    torch.testing.assert_close(sure[:, 0], share)
    assert (mean_teacher.pseudo(one, 1.0)[1] == 0).all()


def test_the_loss_is_the_trusted_cross_entropy_of_both_heads() -> None:
    one = moment(Known(1.0), Known(1.0))
    chips = one.source
    outputs = Known(1.0)(chips.image)
    trust = torch.full((3, 2, EDGE, EDGE), 1.0)
    built = chips.mask > 0
    whole = functional.binary_cross_entropy_with_logits(outputs["building"][:, 0], built.float())
    grades = outputs["damage"].movedim(1, -1)[built]
    whole = whole + functional.cross_entropy(grades, chips.mask[built] - 1)
    torch.testing.assert_close(mean_teacher.trusted(outputs, chips, trust, torch.ones(4)), whole)
    half = mean_teacher.trusted(outputs, chips, trust / 2, torch.ones(4))
    torch.testing.assert_close(half, whole / 2)
    assert mean_teacher.trusted(outputs, chips, trust * 0, torch.ones(4)) == 0


def test_the_term_grows_with_the_steps_and_teaches_the_student_alone() -> None:
    student, teacher = Known(1.0), Known(20.0)
    early = replace(moment(student, teacher, self_training=SelfTraining(weight=2.0, rise=1.0)), progress=0.25)
    late = replace(moment(student, teacher, self_training=SelfTraining(weight=2.0, rise=1.0)), progress=1.0)
    torch.testing.assert_close(mean_teacher.term(early) * 4, mean_teacher.term(late))
    mean_teacher.term(late).backward()
    assert student.sharpness.grad is not None
    assert teacher.sharpness.grad is None


def test_a_student_that_agrees_with_its_teacher_and_labels_has_little_to_learn() -> None:
    sure = Known(60.0)
    agreed = moment(sure, sure)
    labels = mean_teacher.pseudo(replace(agreed, target=agreed.source), 0.9)[0]
    agreed = replace(agreed, source=agreed.source._replace(mask=labels))
    other = moment(Known(1.0), sure)
    assert mean_teacher.term(agreed) < mean_teacher.term(other) / 4


def test_consistency_is_the_cross_entropy_with_its_own_sure_answers() -> None:
    student = Known(8.0)
    one = moment(student, student, consistency=Consistency(weight=0.5, threshold=0.9))
    logits = 8.0 * (one.target.image[:, 0, 0] - 0.5)
    p = torch.sigmoid(logits)
    sure = torch.maximum(p, 1 - p) > 0.9
    wrong = functional.binary_cross_entropy_with_logits(logits, (p >= 0.5).float(), reduction="none")
    torch.testing.assert_close(consistency.term(one), 0.5 * (wrong * sure).mean(), atol=1e-4, rtol=1e-3)
    never = moment(student, student, consistency=Consistency(weight=1.0, threshold=1.0))
    assert consistency.term(never) == 0


def test_recipes_choose_their_methods() -> None:
    assert not methods.chosen(Recipe(name="any"))
    both = Recipe(name="any", self_training=SelfTraining(weight=1), consistency=Consistency(weight=1))
    assert list(methods.chosen(both)) == ["self_training", "consistency"]


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_teacher_is_the_moving_average(decay: float) -> None:
    student = Known(1.0)
    teacher = Average(student, decay)
    with torch.no_grad():
        student.sharpness.fill_(3.0)
    teacher.update(step=10_000)
    assert float(teacher.shadow.sharpness) == pytest.approx(decay * 1.0 + (1 - decay) * 3.0)
