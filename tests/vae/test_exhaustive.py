import pandas as pd
import pytest

from vae.datasets import known_phase_fields
from vae.exhaustive import rank_all
from vae.phase_fields import PhaseField
from vae.ranking import make_ranker
from vae.training import TrainingConfig

ELEMENTS = ["Li", "Sn", "Au", "S", "Cl", "Te"]


@pytest.fixture(scope="module")
def ranker():
    training = TrainingConfig(epochs=2, batch_size=64, learning_rate=4e-3)
    return make_ranker("masked", n_members=1, training=training).fit(known_phase_fields().fields[::8])


def test_all_fields_are_ranked_as_they_would_be_one_by_one(ranker, tmp_path):
    path = tmp_path / "all.csv"
    assert rank_all(ranker, path, ELEMENTS) == 15  # six elements, four at a time
    table = pd.read_csv(path)
    assert list(table["rank"]) == list(range(1, 16))
    assert table["score"].is_monotonic_increasing
    fields = [PhaseField.parse(name) for name in table["phase_field"]]
    assert [str(field) for field in fields] == list(table["phase_field"])
    assert table["score"].to_numpy() == pytest.approx(ranker.score(fields).mean, abs=1e-3)


def test_two_anions_only(ranker, tmp_path):
    path = tmp_path / "two.csv"
    assert rank_all(ranker, path, ELEMENTS, only_two_anions=True) == 9  # 3 pairs of cations, 3 of anions
    assert all(len(PhaseField.parse(name).anions) == 2 for name in pd.read_csv(path)["phase_field"])


def test_mistakes_are_named(ranker, tmp_path):
    with pytest.raises(ValueError, match="3 elements make no quaternary field"):
        rank_all(ranker, tmp_path / "x.csv", ["Li", "S", "Cl"])
    with pytest.raises(ValueError, match=r"no descriptors for \['Fr'\]"):
        rank_all(ranker, tmp_path / "x.csv", [*ELEMENTS, "Fr"])
