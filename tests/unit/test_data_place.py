"""Where a command looks for the data of a run."""

from types import SimpleNamespace

import pytest

from gancli.explore.dataset import data_place


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_DATA", str(tmp_path / "usual"))
    return tmp_path


def test_a_run_is_measured_on_the_data_where_it_had_them(places):
    (places / "its").mkdir()
    loaded = SimpleNamespace(config={"data_dir": str(places / "its")})
    assert data_place(loaded, None) == places / "its"
    assert data_place(loaded, str(places / "given")) == places / "given"


@pytest.mark.parametrize("config", [{"data_dir": "/nowhere/at/all"}, {"data_dir": None}, {"data_dir": 7}, {}], ids=str)
def test_else_where_data_usually_are(config, places):
    assert data_place(SimpleNamespace(config=config), None) == places / "usual"
