"""Checks of values: what passes, and what the refusals say."""

import math

import pytest

from netlab.checks import finite, whole_number


@pytest.mark.parametrize("value", [None, 1, 2, 64])
def test_whole_numbers_in_range_pass(value):
    assert whole_number("workers", value, 1, 64) is None


@pytest.mark.parametrize("value", [0, -1, 65, 10**30])
def test_a_number_out_of_range_is_named_with_the_range(value):
    with pytest.raises(ValueError, match=rf"^workers={value}: .* from 1 to 64$"):
        whole_number("workers", value, 1, 64)


@pytest.mark.parametrize("value", [True, False, 2.0, "4", b"4", [4], math.nan])
def test_what_is_no_whole_number_is_shown_as_it_was_written(value):
    with pytest.raises(ValueError, match="give a whole number") as refused:
        whole_number("workers", value, 0, 64)
    assert str(refused.value).startswith(f"workers={value!r}:")


@pytest.mark.parametrize("value", [None, 0, 0.0, 1e-9, 3, 1e300])
def test_finite_numbers_pass(value):
    assert finite("pause_ms", value, 0) is None


@pytest.mark.parametrize("value", [-1, -1e-9, math.inf, -math.inf, math.nan])
def test_other_numbers_are_named_with_the_least(value):
    with pytest.raises(ValueError, match="finite number of at least 0") as refused:
        finite("pause_ms", value, 0)
    assert str(refused.value).startswith(f"pause_ms={value}:")


@pytest.mark.parametrize("value", [True, "1", [1.0], 1j])
def test_what_is_no_number_is_shown_as_it_was_written(value):
    with pytest.raises(ValueError, match="give a number") as refused:
        finite("pause_ms", value, 0)
    assert str(refused.value).startswith(f"pause_ms={value!r}:")
