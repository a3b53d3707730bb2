"""Tables: encoding against numbers worked by hand, the error in factors, folds, Ames' files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cnncourse.tabular import k_folds, learn_encoding, load_ames, log_error, make_houses

TABLE = {
    "rooms": np.array([2.0, 4.0, np.nan, 6.0]),
    "flat": np.array([7.0, 7.0, 7.0, 7.0]),
    "heating": np.array(["gas", "", "wood", "gas"]),
}
SPREAD = (8 / 3) ** 0.5  # of 2, 4, 6
AMES = """\
Id,LotArea,LotFrontage,Street,Alley,SalePrice
1,8450,65,Pave,NA,208500
2,9600,NA,Grvl,Pave,181500
"""


def test_encoding_is_what_the_hand_computes() -> None:
    wanted = [
        [-2 / SPREAD, 0, 0, 1, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 1],
        [2 / SPREAD, 0, 0, 1, 0],
    ]
    encoding = learn_encoding(TABLE)
    assert encoding.categories == {"heating": ("", "gas", "wood")}
    assert torch.allclose(encoding(TABLE), torch.tensor(wanted))


def test_encoding_uses_what_it_learned_and_writes_zeros_for_what_it_did_not() -> None:
    new = {"rooms": np.array([8.0]), "flat": np.array([9.0]), "heating": np.array(["coal"])}
    assert torch.allclose(learn_encoding(TABLE)(new), torch.tensor([[4 / SPREAD, 2.0, 0, 0, 0]]))


def test_column_without_a_number_is_named() -> None:
    with pytest.raises(ValueError, match="no number in rooms"):
        learn_encoding({"rooms": np.array([np.nan, np.nan])})


def test_log_error_is_that_of_the_factor_and_does_not_know_the_size() -> None:
    prices = torch.tensor([100.0, 1000.0, 10.0])
    assert log_error(prices * 2, prices) == pytest.approx(np.log(2), rel=1e-5)
    assert log_error(prices / 2, prices) == pytest.approx(np.log(2), rel=1e-5)


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(("predicted", "message"), [([1.0], "one shape"), ([1.0, 0.0], "positive")])
def test_log_error_refuses(predicted: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        log_error(torch.tensor(predicted), torch.ones(2))


@pytest.mark.parametrize(("count", "k"), [(10, 5), (11, 4), (3, 3)])
def test_each_row_validates_once(count: int, k: int) -> None:
    folds = k_folds(count, k)
    assert len(folds) == k
    assert sorted(torch.cat([validation for _, validation in folds]).tolist()) == [*range(count)]
    for train, validation in folds:
        assert sorted([*train.tolist(), *validation.tolist()]) == [*range(count)]
        assert len(validation) in (count // k, -(-count // k))


@pytest.mark.parametrize(("count", "k"), [(3, 4), (5, 1), (1, 2)])
def test_folds_refuse(count: int, k: int) -> None:
    with pytest.raises(ValueError, match=r"`(k|count)`"):
        k_folds(count, k)


def test_made_houses_follow_their_columns() -> None:
    columns, prices = make_houses(4000)
    logs = prices.log().numpy()
    slope, _ = np.polyfit(np.log(columns["area"]), logs, 1)
    assert slope == pytest.approx(0.8, abs=0.05)
    assert abs(np.corrcoef(columns["id"], logs)[0, 1]) < 0.05
    assert np.isnan(columns["garage"]).mean() == pytest.approx(0.2, abs=0.03)
    assert torch.equal(make_houses(9).prices, make_houses(9).prices)
    assert not torch.equal(make_houses(9).prices, make_houses(9, seed=1).prices)


def test_ames_is_read_with_its_missing_values(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(AMES, "utf-8")
    columns, prices = load_ames(tmp_path)
    assert prices.tolist() == [208500, 181500]
    assert list(columns) == ["LotArea", "LotFrontage", "Street", "Alley"]
    assert columns["LotArea"].tolist() == [8450, 9600]
    assert np.isnan(columns["LotFrontage"]).tolist() == [False, True]
    assert columns["Alley"].tolist() == ["", "Pave"]


def test_ames_says_where_the_files_are_to_be_had(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"(?s)train\.csv.*kaggle\.com.*load_ames"):
        load_ames(tmp_path)
    monkeypatch.setenv("CNNCOURSE_DATA", str(tmp_path))
    (tmp_path / "ames").mkdir()
    (tmp_path / "ames/train.csv").write_text(AMES, "utf-8")
    assert len(load_ames().prices) == 2


def test_ames_refuses_another_file(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("Id,Price\n1,2\n", "utf-8")
    with pytest.raises(ValueError, match="SalePrice"):
        load_ames(tmp_path)
