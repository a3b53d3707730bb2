"""What every operator asks of its arguments, said once."""

from __future__ import annotations

import pytest
import torch

from cnncourse._arguments import check_not_empty, check_tensor, pair


@pytest.mark.parametrize(
    ("dims", "ranks"),
    [("h w", {2}), ("...", {0, 1, 2, 3}), ("... h w", {2, 3}), ("n c ...", {2, 3})],
)
def test_check_tensor_takes_the_named_axes_and_any_number_for_dots(dims, ranks):
    for rank in range(4):
        x = torch.zeros([1] * rank)
        if rank in ranks:
            check_tensor("x", x, dims)
        else:
            with pytest.raises(ValueError, match=r"`x` must have .*dimensions"):
                check_tensor("x", x, dims)


def test_check_tensor_says_which_axes_are_missing():
    words = r"`x` must have at least 2 dimensions \(\.\.\., h, w\), got shape \(3,\)"
    with pytest.raises(ValueError, match=words):
        check_tensor("x", torch.zeros(3), "... h w")
    with pytest.raises(ValueError, match=r"must have 1 dimensions \(o\), got shape \(2, 2\)$"):
        check_tensor("bias", torch.zeros(2, 2), "o")


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(("value", "word"), [([1.0], "list"), (torch.zeros(2).long(), "int64")])
def test_check_tensor_of_any_rank_still_wants_a_float_tensor(value, word):
    with pytest.raises(TypeError, match=f"`x` must .*{word}"):
        check_tensor("x", value, "...")


def test_check_not_empty_names_the_shape():
    check_not_empty("x", torch.zeros(1, 1))
    with pytest.raises(ValueError, match=r"`x` must not be empty, got shape \(2, 0\)"):
        check_not_empty("x", torch.zeros(2, 0))


def test_pair_reads_one_number_for_both_sides():
    assert pair("stride", 2, 1) == pair("stride", (2, 2), 1) == pair("stride", [2, 2], 1) == (2, 2)
