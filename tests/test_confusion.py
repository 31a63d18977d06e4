from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mage_stac import confusion


def matrix(**cells: int) -> np.ndarray:
    """matrix(r1c2=3): three of reference 1 predicted as 2."""
    made = np.zeros((5, 5), np.int64)
    for name, value in cells.items():
        made[int(name[1]), int(name[3])] = value
    return made


def test_count_has_reference_in_rows_and_leaves_out_what_was_not_observed() -> None:
    reference = np.array([0, 1, 1, 4, 255, 2, 0])
    prediction = np.array([0, 1, 2, 4, 3, 255, 3], np.uint8)
    assert (confusion.count(reference, prediction) == matrix(r0c0=1, r1c1=1, r1c2=1, r4c4=1, r0c3=1)).all()


@given(hnp.arrays(np.uint8, (2, 30), elements=st.sampled_from([0, 1, 2, 3, 4, 255])))
def test_count_agrees_with_counting_one_by_one(maps: np.ndarray) -> None:
    plain = np.zeros((5, 5), np.int64)
    for reference, prediction in maps.T:
        if max(reference, prediction) <= 4:
            plain[reference, prediction] += 1
    assert (confusion.count(*maps) == plain).all()


@given(hnp.arrays(np.uint8, (2, 40), elements=st.sampled_from([0, 1, 2, 3, 4])))
def test_class_figures_agree_with_set_arithmetic(maps: np.ndarray) -> None:
    reference, prediction = maps
    for value, found in enumerate(confusion.figures(confusion.count(reference, prediction)).classes):
        said, is_so = set(np.flatnonzero(prediction == value)), set(np.flatnonzero(reference == value))
        both, either = said & is_so, said | is_so
        assert (found.support, found.predicted) == (len(is_so), len(said))
        assert found.iou == (len(both) / len(either) if either else None)
        assert found.precision == (len(both) / len(said) if said else None)
        assert found.recall == (len(both) / len(is_so) if is_so else None)
        assert found.f1 == (2 * len(both) / (len(said) + len(is_so)) if either else None)


def test_a_perfect_map_scores_one_throughout() -> None:
    whole = confusion.summary(np.diag([50, 10, 5, 4, 3]))
    assert whole.xview2 == pytest.approx(1, abs=1e-5)
    for figure in (
        whole.macro_f1,
        whole.localisation_f1,
        whole.damage_recall,
        whole.damage_f1,
        whole.three_state_macro_f1,
    ):
        assert figure == 1


def test_a_hand_made_matrix() -> None:
    made = matrix(r0c0=80, r0c1=4, r0c4=1, r1c0=2, r1c1=10, r1c2=2, r2c1=1, r2c2=3, r3c3=6, r3c4=2, r4c0=3, r4c4=6)
    whole = confusion.summary(made)
    assert whole.localisation_f1 == pytest.approx(2 * 30 / (60 + 5 + 5))
    f1 = [20 / (20 + 5 + 4), 6 / (6 + 2 + 1), 12 / (12 + 2), 12 / (12 + 3 + 3)]
    assert whole.macro_f1 == pytest.approx(np.mean(f1))
    assert whole.damage_precision == pytest.approx(17 / (17 + 2 + 1))
    assert whole.damage_recall == pytest.approx(17 / (17 + 1 + 3))
    assert whole.damage_f1 == pytest.approx(34 / (34 + 3 + 4))
    assert whole.three_state_macro_f1 == pytest.approx(np.mean([32 / (32 + 4 + 2), f1[2], f1[3]]))
    inside = [
        20 / (20 + 1 + 4),
        6 / (6 + 2 + 1),
        12 / (12 + 2),
        12 / (12 + 2 + 3),
    ]  # false alarms outside buildings are free
    assert whole.xview2_damage_f1 == pytest.approx(4 / sum(1 / f for f in inside), abs=1e-5)
    assert whole.xview2 == pytest.approx(0.3 * 60 / 70 + 0.7 * 4 / sum(1 / f for f in inside), abs=1e-5)


def test_the_two_ignorant_maps() -> None:
    made = matrix(r0c0=80, r0c4=5, r1c1=5, r1c3=5, r4c0=2, r4c4=8)
    found = confusion.figures(made)
    assert found.no_damage_anywhere.localisation_f1 == found.summary.localisation_f1
    assert found.no_damage_anywhere.damage_recall == 0
    assert found.no_damage_anywhere.macro_f1 == pytest.approx((20 / (20 + 5 + 8) + 0) / 2)
    assert found.all_background.localisation_f1 == 0
    assert found.all_background.xview2 == pytest.approx(0, abs=1e-5)


def test_a_grade_wrongly_called_counts_and_one_nowhere_does_not() -> None:
    assert confusion.summary(matrix(r0c0=5, r1c1=4)).macro_f1 == 1
    assert confusion.summary(matrix(r0c0=5, r1c1=4, r0c2=1)).macro_f1 == 0.5


def test_nothing_to_score_is_null_in_json() -> None:
    found = confusion.figures(np.zeros((5, 5), np.int64))
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain["summary"]["xview2"] is None
    assert plain["classes"][4]["name"] == "destroyed"
    assert np.shape(plain["confusion"]) == (5, 5)
