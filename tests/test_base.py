"""The two protocols and the checks that every module makes."""

import re

import pytest
import torch

from attnlib.base import (
    ScaleAttention,
    SelfAttention,
    at_least_float32,
    check_choice,
    check_count,
    check_divides,
    check_flag,
    check_map,
    check_number,
    check_odd,
    check_probability,
    check_queries,
    check_reduction,
    check_size,
)
from attnlib.errors import UnknownNameError


class Doubling(ScaleAttention):
    def gate(self, x):
        return x.new_full((1, 1, 1, 1), 2.0)


def test_scale_attention_multiplies_by_its_gate():
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(Doubling(3)(x), 2 * x)


def test_network_init_changes_nothing_by_default():
    module = Doubling(3)
    module.weight = torch.nn.Parameter(torch.randn(3))
    before = module.weight.detach().clone()
    module.network_init_()
    assert torch.equal(module.weight, before)


@pytest.mark.parametrize(("protocol", "method"), [(ScaleAttention, "gate"), (SelfAttention, "weights")])
def test_a_module_must_say_where_it_looks(protocol, method):
    with pytest.raises(TypeError, match=f"abstract method '?{method}"):
        protocol(3)


@pytest.mark.parametrize("channels", [1, 3, 2048])
def test_positive_widths_pass(channels):
    check_count("channels", channels)


@pytest.mark.parametrize("channels", [2.0, "2", None, True])
def test_a_width_that_is_no_integer_is_refused(channels, own_errors):
    with pytest.raises(TypeError, match=f"must be an int, got {channels!r}; pass a whole number of 1 or more"):
        check_count("channels", channels)


@pytest.mark.parametrize("channels", [0, -3])
def test_a_width_below_1_is_refused(channels):
    with pytest.raises(ValueError, match=f"at least 1, got {channels}; pass a whole number of 1 or more"):
        check_count("channels", channels)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_maps_of_any_floating_type_pass(dtype):
    check_map(torch.zeros(2, 3, 1, 1, dtype=dtype), 3)


def test_a_channels_last_array_is_pointed_to_its_axes():
    with pytest.raises(ValueError, match=r"expected 3 channels at axis 1, got shape \(2, 8, 9, 3\); .*permute"):
        check_map(torch.zeros(2, 8, 9, 3), 3)


@pytest.mark.parametrize(
    ("given", "computed"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
    ids=str,
)
def test_statistics_are_taken_in_float32_or_better(given, computed):
    assert at_least_float32(torch.zeros(3, dtype=given)).dtype == computed


@pytest.mark.parametrize("value", ["False", 0, 1, None])
def test_a_flag_that_is_no_bool_is_refused(value, own_errors):
    with pytest.raises(TypeError, match=f"bias must be True or False, got {value!r}"):
        check_flag("bias", value)


@pytest.mark.parametrize(("value", "size"), [(3, (3, 3)), ((4, 5), (4, 5)), ([4, 5], (4, 5))])
def test_a_size_is_a_side_or_a_pair(value, size, own_errors):
    assert check_size("size", value) == size


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        ((4, 0), ValueError),
        ((4,), TypeError),
        ((4.0, 4), TypeError),
        ("32", TypeError),
    ],
)
def test_a_size_that_is_none_is_refused(value, error, own_errors):
    with pytest.raises(error, match=f"size must .*got {re.escape(repr(value))}"):
        check_size("size", value)


@pytest.mark.parametrize(("size", "fix"), [(2, "try 1 or 3"), (8, "try 7 or 9")])
def test_an_even_window_is_refused(size, fix):
    with pytest.raises(ValueError, match=f"kernel_size must be odd, .*got {size}; {fix}"):
        check_odd("kernel_size", size)


def test_odd_windows_pass():
    for size in (1, 3, 7):
        check_odd("kernel_size", size)


def test_a_number_of_heads_that_does_not_divide_the_channels_is_refused():
    check_divides("heads", 4, 12)
    with pytest.raises(ValueError, match="channels=12 does not fit heads=8: .*may be 1, 2, 3, 4, 6, 12$"):
        check_divides("heads", 8, 12)
    with pytest.raises(ValueError, match="^out_channels=12 does not fit heads=8: heads must divide out_channels; "):
        check_divides("heads", 8, 12, of="out_channels")


@pytest.mark.parametrize("value", [0, 0.05, 1])
def test_probabilities_pass(value):
    check_probability("dropout", value)


@pytest.mark.parametrize(
    ("value", "error"),
    [(-0.1, ValueError), (1.5, ValueError), (float("nan"), ValueError), ("0.1", TypeError), (True, TypeError)],
)
def test_what_is_no_probability_is_refused(value, error, own_errors):
    with pytest.raises(error, match=f"dropout must be .* between 0 and 1, got {value!r}"):
        check_probability("dropout", value)


@pytest.mark.parametrize(
    ("value", "bounds", "error", "allowed"),
    [
        ("2", {}, TypeError, "a finite number"),
        (None, {"above": 0}, TypeError, "a finite number above 0"),
        (True, {}, TypeError, "a finite number"),
        (float("nan"), {}, ValueError, "a finite number"),
        (float("inf"), {"above": 0}, ValueError, "a finite number above 0"),
        (-float("inf"), {}, ValueError, "a finite number"),
        (0, {"above": 0}, ValueError, "a finite number above 0"),
        (-0.1, {"between": (0, 1)}, ValueError, "a number between 0 and 1"),
        (1.1, {"between": (0, 1)}, ValueError, "a number between 0 and 1"),
    ],
)
def test_what_is_no_number_of_its_range_is_refused(value, bounds, error, allowed, own_errors):
    with pytest.raises(error, match=f"^gamma must be {allowed}, got {value!r}; the paper uses 2$"):
        check_number("gamma", value, "the paper uses 2", **bounds)


def test_numbers_of_their_range_pass():
    check_number("b", -3, "")
    check_number("eps", 1e-9, "", above=0)
    for value in (0, 0.5, 1):
        check_number("momentum", value, "", between=(0, 1))


def test_all_queries_and_any_positions_of_the_map_pass():
    check_queries(None, 6)
    for dtype in (torch.int64, torch.int32):
        check_queries(torch.tensor([5, 0, 5], dtype=dtype), 6)
    check_queries(torch.tensor([], dtype=torch.int64), 6)


@pytest.mark.parametrize(
    ("queries", "error", "says"),
    [
        (torch.tensor([0, 6, -1]), ValueError, r"between 0 and 5, the flat positions .*, got \[6, -1\]"),
        (torch.tensor([[0, 1]]), ValueError, r"one axis, .*got shape \(1, 2\); use queries.flatten\(\)"),
        (torch.tensor(0), ValueError, r"one axis, .*got shape \(\)"),
        (torch.tensor([0.0]), TypeError, "int64 or int32, got torch.float32"),
        (torch.tensor([True]), TypeError, "int64 or int32, got torch.bool"),
        (torch.tensor([1], dtype=torch.uint8), TypeError, "int64 or int32, got torch.uint8"),
        ([0], TypeError, "int64 or int32, got list"),
    ],
)
def test_queries_that_are_no_positions_are_refused(queries, error, says, own_errors):
    with pytest.raises(error, match=says):
        check_queries(queries, 6)


@pytest.mark.parametrize(("channels", "reduction", "hidden"), [(64, 16, 4), (70, 16, 4), (16, 16, 1)])
def test_a_bottleneck_is_the_floor_of_the_quotient(channels, reduction, hidden):
    assert check_reduction(channels, reduction) == hidden


def test_a_bottleneck_without_a_unit_is_refused():
    with pytest.raises(ValueError, match="reduction=16 does not fit channels=15: .*between 1 and 15"):
        check_reduction(15, 16)


def test_an_unknown_choice_is_refused_by_its_name():
    check_choice("order", "channel-first", ("channel-first", "parallel"))
    with pytest.raises(UnknownNameError, match="no order is called 'channel_first'; did you mean 'channel-first'"):
        check_choice("order", "channel_first", ("channel-first", "parallel"))


@pytest.mark.parametrize("value", [None, 3, ["avg"]])
def test_a_choice_that_is_no_string_is_refused(value, own_errors):
    with pytest.raises(TypeError, match=f"pool must be a string, got {re.escape(repr(value))}; it may be 'avg', 'max'"):
        check_choice("pool", value, ("avg", "max"))


@pytest.mark.parametrize(("dimensions", "axes"), [(1, "L"), (3, "T, H, W")])
def test_sequences_and_videos_have_their_own_axes(dimensions, axes):
    check_map(torch.zeros(2, 3, *[4] * dimensions), 3, dimensions)
    with pytest.raises(ValueError, match=rf"expected a map \(N, 3, {axes}\), got rank 4"):
        check_map(torch.zeros(2, 3, 4, 4), 3, dimensions)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((3, 4, 4), r"a single image needs x.unsqueeze\(0\)"),
        ((2, 5, 3), r"a sequence is a map of one row: x.transpose\(1, 2\)\[:, :, None\]"),
        ((2, 3, 5), r"a sequence is a map of one row: x\[:, :, None\]"),
        ((2, 3, 4, 5, 5), r"frames of a video .* are maps: x.transpose\(1, 2\).flatten\(0, 1\)"),
    ],
)
def test_a_tensor_of_another_rank_hears_what_to_do(shape, says, own_errors):
    with pytest.raises(ValueError, match=says):
        check_map(torch.zeros(shape), 3)
