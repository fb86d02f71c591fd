"""What a comparison reads, its table, sorting, CSV and JSON, and which curves are meant."""

import csv
import io
import json

import numpy as np
import pytest
from recorded_runs import record_run, with_metrics

from gancli.compare.curves import choose_tags, draw, file_name, smooth, thin
from gancli.compare.reading import Curve, labels, read_curves, read_run, read_runs
from gancli.compare.table import make_table, to_csv, to_json
from gancli.errors import UsageError, UserError
from gancli.runs.config import DEEPEST, MOST_KEYS, flat, read_config
from gancli.runs.find import find_runs

FID, OTHER_FID = "fid(classifier,2000/60000)", "fid(inception,2000/60000)"


@pytest.fixture
def runs(tmp_path):
    """A sweep of three jobs: two measured in one way and one in another, the last killed before its first figure."""
    sweep = tmp_path / "sweep" / "20260101T000000Z-abcdef"
    record_run(sweep / "0", with_metrics(fid=[9, 5.5, 7], coverage=[0.1, 0.4, 0.3]), seed=0)
    record_run(sweep / "1", with_metrics(fid=[8, None, 4.25], own=[1, 2, 3]), loss="hinge", ema="10", seed=1)
    record_run(sweep / "2", with_metrics(other_fid=[1.5]), status={"status": "failed", "why": "not finite"}, seed=2)
    record_run(sweep / "10", [], status={"status": "running", "images": 0, "pid": 0, "alarms": [{"name": "collapse"}]}, seed=3)
    return read_runs(["abcdef"], tmp_path)


def cells(table, name):
    return table.column(name).cells


def test_a_sweep_is_its_jobs_in_order(runs, tmp_path):
    assert [run.id for run in runs] == [f"20260101T000000Z-abcdef/{number}" for number in (0, 1, 2, 10)]
    folder = tmp_path / "sweep" / "20260101T000000Z-abcdef"
    for text in (str(folder), folder.name, str(tmp_path)):
        assert [path.name for path in find_runs(text, tmp_path)] == ["0", "1", "2", "10"]
    assert [run.short for run in read_runs([str(folder / "1"), folder.name], tmp_path)] == ["1", "0", "2", "10"]
    with pytest.raises(UserError, match="no run called nonsense"):
        read_runs(["nonsense"], tmp_path)


def test_short_names_stay_apart(tmp_path):
    for name in ("20260101T000000Z-aaaaaa-dcgan-digits", "20260102T000000Z-bbbbbb-gan-digits", "mine"):
        record_run(tmp_path / "train" / name)
    assert [run.short for run in read_runs([str(tmp_path)], tmp_path)] == ["aaaaaa", "bbbbbb", "mine"]
    record_run(tmp_path / "a" / "0")
    record_run(tmp_path / "b" / "0")
    assert [run.short for run in read_runs([str(tmp_path / "a"), str(tmp_path / "b")], tmp_path)] == ["a/0", "b/0"]


def test_figures_of_different_protocols_have_columns_of_their_own(runs):
    table = make_table(runs)
    names = [column.name for column in table.columns]
    assert names[:8] == ["id", "status", "kimg", "model", "loss", "dataset", "trainer.ema_kimg", "seed"]
    assert names[8:11] == [f"{FID} best", f"{FID} best kimg", f"{FID} last"]
    assert names[-3:] == ["seconds", "images/s", "alarms"]
    assert cells(table, f"{FID} best") == [5.5, 4.25, None, None]
    assert cells(table, f"{FID} best kimg") == [2, 3, None, None]
    assert cells(table, f"{FID} last") == [7, 4.25, None, None]
    assert cells(table, f"{OTHER_FID} best") == [None, None, 1.5, None]
    assert cells(table, "coverage") == [0.4, None, None, None]
    assert table.column(FID).best == 4.25 and table.column("coverage").best == 0.4


def test_a_figure_without_a_better_side_has_no_best(runs):
    table = make_table(runs)
    assert cells(table, "own") == cells(table, "own(7/7) last") == [None, 3, None, None]
    assert table.column("own").best is None and "own(7/7) best" not in [column.name for column in table.columns]


def test_status_settings_and_alarms(runs):
    table = make_table(runs)
    assert cells(table, "status") == ["finished", "finished", "failed", "killed"]
    assert cells(table, "loss") == ["wgan_gp", "hinge", "wgan_gp", "wgan_gp"]
    assert cells(table, "trainer.ema_kimg") == ["null", 10, "null", "null"]
    assert cells(table, "alarms") == [None, None, None, "collapse"]
    assert labels(runs) == ["0 loss=wgan_gp seed=0", "1 loss=hinge seed=1", "2 loss=wgan_gp seed=2", "10 loss=wgan_gp seed=3"]


def test_settings_of_one_model_alone_are_no_difference(tmp_path):
    paths = [record_run(tmp_path / name, model=name) for name in ("gan", "dcgan")]
    config = paths[0] / "config.yaml"
    config.write_text(config.read_text().replace("width: 8", "units: 8, label: [a]"))
    names = [column.name for column in make_table(read_runs(map(str, paths), tmp_path)).columns]
    assert not [name for name in names if name.startswith("model.")]
    other = record_run(tmp_path / "other", model="gan", width=16)
    names = [column.name for column in make_table(read_runs(map(str, [paths[0], other]), tmp_path)).columns]
    assert [name for name in names if name.startswith("model.")] == ["model.units", "model.label", "model.width"]


@pytest.mark.parametrize(("column", "descending", "order"), [
    (OTHER_FID, None, ["2", "0", "1", "10"]), (FID, None, ["1", "0", "2", "10"]), (FID, True, ["0", "1", "2", "10"]),
    ("coverage", None, ["0", "1", "2", "10"]), (f"{FID} last", False, ["1", "0", "2", "10"]),
    ("id", None, ["0", "1", "2", "10"]), ("id", True, ["10", "2", "1", "0"]), ("seed", True, ["10", "2", "1", "0"]),
    ("loss", None, ["1", "0", "2", "10"]), ("trainer.ema_kimg", None, ["1", "0", "2", "10"])])
def test_sorting_puts_the_best_first_and_the_empty_last(column, descending, order, runs):
    assert [run.path.name for run in make_table(runs).sorted(column, descending).runs] == order


def test_higher_is_better_comes_first(tmp_path):
    for name, value in (("a", 0.2), ("b", 0.6)):
        record_run(tmp_path / name, with_metrics(coverage=[value]))
    table = make_table(read_runs([str(tmp_path)], tmp_path)).sorted("coverage")
    assert [run.id for run in table.runs] == ["b", "a"] and cells(table, "coverage") == [0.6, 0.2]


@pytest.mark.parametrize(("column", "message"), [("fid", "measured in several ways.*inception"),
                                                 ("secnds", "did you mean seconds"), ("kimgs", "did you mean kimg")])
def test_columns_that_do_not_exist_are_refused(column, message, runs):
    with pytest.raises(UsageError, match=message):
        make_table(runs).sorted(column)


def test_csv_holds_numbers_in_full_and_no_formula(tmp_path):
    record_run(tmp_path / "=1+1", with_metrics(fid=[1 / 3]))
    table = make_table(read_runs([str(tmp_path)], tmp_path))
    row, = csv.DictReader(io.StringIO(to_csv(table)))
    assert float(row[f"{FID} best"]) == 1 / 3 and row["id"] == "'=1+1" and row["kimg"] == "4.0"
    assert list(row) == [column.name for column in table.columns]


def test_json_holds_runs_figures_and_alarms(runs):
    value = json.loads(to_json(make_table(runs)))
    first, second, third, last = value["runs"]
    assert first["figures"][FID] == {"last": 7, "best": 5.5, "best_kimg": 2, "lower_is_better": True}
    assert second["settings"] == {"trainer.ema_kimg": 10, "seed": 1} and second["overrides"][0] == "loss=hinge"
    assert third["why"] == "not finite" and last["alarms"] == [{"name": "collapse"}] and last["seconds"] is None


def test_cut_and_foreign_lines_are_left_out(tmp_path):
    path = tmp_path / "stats.jsonl"
    lines = ['{"images": 2000, "a": 2, "b": null}', "nonsense", '{"images": 1000, "a": 1, "b": "x"}', "[1]", '{"a": 5}',
             '{"images": 3000, "a": Infinity, "c": [1]}', '{"images": 4000, "a": 4', ]
    path.write_bytes("\n".join(lines).encode() + b"\xff")
    curves = read_curves(path)
    assert list(curves) == ["a", "b"] and np.isnan(curves["b"].values).all()
    np.testing.assert_array_equal(curves["a"].kimg, [1, 2, 3])
    np.testing.assert_array_equal(curves["a"].values, [1, 2, np.nan])
    assert read_curves(tmp_path / "none") == {}


def test_a_run_of_which_nothing_is_left_is_still_a_row(tmp_path):
    (tmp_path / "broken").mkdir()
    for name in ("config.yaml", "status.json", "provenance.json"):
        (tmp_path / "broken" / name).write_text("[&a [*a")
    run = read_run(tmp_path / "broken")
    assert (run.status.status, run.config, run.curves, run.grids, run.provenance) == ("damaged", {}, {}, {}, {})
    (tmp_path / "broken" / "status.json").write_text('{"status": "finished", "images": "many", "alarms": [1]}')
    assert "images is not a whole number" in read_run(tmp_path / "broken").status.why
    assert make_table([run]).column("model").cells == ["?"]


def test_a_config_that_grows_without_end_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("a: &a {x: 1, y: 2}\n" + "".join(
        f"{b}: &{b} {{{', '.join(f'k{i}: *{a}' for i in range(9))}}}\n" for a, b in zip("abcdefgh", "bcdefghi")))
    assert read_config(tmp_path) == {}
    (tmp_path / "config.yaml").write_text("a: " + "[" * 100_000)  # libyaml's own reader overflows the stack
    assert read_config(tmp_path) == {}


def test_a_config_that_is_large_is_cut():
    wide, deep = {str(i): i for i in range(MOST_KEYS + 1)}, {}
    for _ in range(DEEPEST + 9):
        deep = {"b": deep, "c": 1}
    assert len(flat(wide)) == MOST_KEYS and len(flat({"a": deep})) == DEEPEST


TAGS = [f"metrics/{FID}", "loss/generator", "loss/discriminator", "D(x)", "D(G(z))/discriminator_turn", "lr/generator"]


@pytest.mark.parametrize(("wanted", "found"), [
    (None, [0, 1, 2, 3, 4]), (["loss/generator"], [1]), ([f"metrics/{FID},D(x)"], [0, 3]), (["fid"], [0]), ([FID], [0]),
    (["loss", "D(x)"], [1, 2, 3]), (["*/generator,D(x)"], [1, 5, 3]), (["D(G(z))/*"], [4])])
def test_tags_that_are_meant(wanted, found, tmp_path):
    run = read_run(record_run(tmp_path / "run", [{"images": 1, **dict.fromkeys(TAGS, 1.0)}]))
    assert choose_tags(wanted, [run]) == [TAGS[i] for i in found]


def test_several_discriminators_curves_are_shown_without_asking(tmp_path):
    tags = ["D(x)/critic", "D(x)/judge", "D(G(z))/critic_turn"]
    run = read_run(record_run(tmp_path / "run", [{"images": 1, **dict.fromkeys(tags, 1.0)}]))
    assert choose_tags(None, [run]) == tags


@pytest.mark.parametrize(("wanted", "message"), [
    ("loss/genrator", "did you mean loss/generator"), ("los", "did you mean loss"), ("", "No run has a curve called"),
    ("D(x),nothing/*", "called nothing")])
def test_missing_tags_are_named_with_near_ones(wanted, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        choose_tags([wanted], [read_run(record_run(tmp_path / "run"))])


def test_smoothing_is_an_average_without_bias():
    values = np.array([2.0, np.nan, 4.0, 0.0])
    expected = [2.0, np.nan, (0.5 * 2 + 4) / 1.5, (0.25 * 2 + 0.5 * 4 + 0) / 1.75]
    np.testing.assert_allclose(smooth(values, 0.5), expected)
    np.testing.assert_array_equal(smooth(values, 0), values)


def test_thinning_keeps_spikes_gaps_and_ends():
    values = np.sin(np.arange(5000.0))
    values[[1234, 4321]], values[2000:2500] = (50, -50), np.nan
    curve = thin(Curve(np.arange(5000.0), values), 300)
    assert len(curve.values) <= 300 and {1234, 4321, 0, 4999} <= set(curve.kimg)
    assert np.isnan(curve.values[(curve.kimg >= 2050) & (curve.kimg < 2450)]).all() and (np.diff(curve.kimg) > 0).all()
    assert thin(curve, 300) is curve


def test_curves_are_drawn_in_each_runs_color(tmp_path):
    from PIL import Image

    runs = [read_run(record_run(tmp_path / str(seed), seed=seed)) for seed in (0, 1)]
    picture = np.asarray(Image.open(io.BytesIO(draw("loss/generator", runs, ["_a$", "b"], 0.5))).convert("RGB"))
    for color in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert (picture == color).all(-1).sum() > 50
    assert file_name("D(G(z))/after_generator_turn") == "D-G-z-after_generator_turn.png"
