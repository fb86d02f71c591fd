"""Records of a run that are cut, edited or a stranger's: a row that says so, never a traceback, a hang or another's secret."""

import json
import os

import pytest
import yaml
from planning import SMALL_NETWORKS, TINY, plan, resume, run
from recorded_runs import record_run

from gancli.cli.list_notes import print_notes
from gancli.compare.reading import read_run
from gancli.errors import UserError
from gancli.runs.config import load_config, read_config
from gancli.runs.find import find_run, list_runs
from gancli.runs.provenance import MOST_SITTINGS, read_provenance, write_provenance
from gancli.runs.records import Damaged, checked, is_name, is_place, parse_json, read_json, read_text
from gancli.runs.stats import keep_until, read_ticks
from gancli.runs.status import Status, read_status

HUGE = "1" + "0" * 400
DEEP = "[" * 100_000
GAN = ("model=gan", *SMALL_NETWORKS["gan"], *TINY, "trainer.checkpoint_kimg=0.004", "trainer.precision=fp32")
POISONS = {
    "huge images": ("status.json", f'{{"status": "finished", "images": {HUGE}}}'),
    "huge pid": ("status.json", '{"status": "running", "pid": 99999999999999, "host": "%s"}'),
    "huge figure": ("status.json", f'{{"status": "finished", "figures": {{"fid": {HUGE}}}}}'),
    "negative images": ("status.json", '{"status": "finished", "images": -1}'),
    "true images": ("status.json", '{"status": "finished", "images": true}'),
    "best of text": ("status.json", '{"status": "finished", "best": {"metric": 1, "value": "x", "images": []}}'),
    "no number": ("status.json", '{"status": "finished", "images": NaN}'),
    "half a character": ("status.json", '{"status": "finished", "why": "\\ud800"}'),
    "process of text": ("status.json", '{"status": "running", "process_started": "x"}'),
    "deep status": ("status.json", DEEP),
    "list": ("status.json", "[1, 2]"),
    "cut": ("status.json", '{"status": "finis'),
    "empty": ("status.json", ""),
    "aliases": ("config.yaml", "a: &a [1]\nb: [*a, *a]\n"),
    "deep config": ("config.yaml", "a: " + DEEP),
    "deep block": ("config.yaml", "- " * 50_000 + "a"),
    "huge number": ("config.yaml", f"seed: {HUGE}"),
    "a date": ("config.yaml", "seed: 2026-01-01"),
    "object": ("config.yaml", "seed: !!python/object/apply:os.system [touch canary]"),
    "no text": ("config.yaml", "\udcff"),
    "a list": ("config.yaml", "[model, loss]"),
}


@pytest.mark.parametrize("poison", POISONS)
def test_a_poisoned_record_is_a_row_that_says_so(poison, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    record_run(tmp_path / "outputs/train/good")
    bad = record_run(tmp_path / "outputs/train/bad", seed=1)
    name, text = POISONS[poison]
    (bad / name).write_bytes(text.replace("%s", os.uname().nodename).encode(errors="surrogateescape"))
    runs = {run.id: run for run in list_runs("outputs")}
    assert runs["good"].status == "finished" and runs["bad"].status == "damaged" and name in runs["bad"].why
    print_notes(list(runs.values()), [])
    assert f"bad: {name} is damaged" in capsys.readouterr().err
    assert read_run(bad).id == "bad" and not (tmp_path / "canary").exists()


def test_what_cannot_be_read_is_counted_and_passed_over(tmp_path, capsys):
    for name in ("mine", "theirs"):
        record_run(tmp_path / "train" / name)
    (tmp_path / "sweep/closed").mkdir(parents=True)
    tmp_path.chmod(0o755)
    for closed in ("train/theirs", "sweep/closed"):
        (tmp_path / closed).chmod(0)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:  # another user's process, since nothing is closed to root
        passed = []
        try:
            os.chdir(tmp_path)
            if os.getuid() == 0:
                os.setuid(65534)
            found = [run.id for run in list_runs(".", passed)]
            os.write(writer, json.dumps([found, [str(path) for path in passed]]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as file:
        text = file.read()
    os.waitpid(child, 0)
    for closed in ("train/theirs", "sweep/closed"):
        (tmp_path / closed).chmod(0o755)
    assert json.loads(text) == [["mine"], ["sweep/closed", "train/theirs"]]
    print_notes([], [tmp_path / "train/theirs", tmp_path / "sweep/closed"])
    assert "Passed over 2 folders that cannot be read" in capsys.readouterr().err


def test_names_that_no_file_can_have_are_refused(tmp_path):
    for text in ("a" * 300, "a\0b", "/" + "b" * 5000):
        with pytest.raises(UserError, match="There is no run called"):
            find_run(text, tmp_path)


def test_a_strangers_settings_are_not_resolved(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "hush")
    folder = tmp_path / "run"
    run(folder, *GAN, "trainer.kimg=0.008")
    config = read_config(folder)
    for value, why in (("${oc.env:SECRET}", "interpolation"), ({"_target_": "os.system"}, "_target_")):
        (folder / "config.yaml").write_text(yaml.safe_dump(config | {"data_dir": value}))
        with pytest.raises(UserError, match=why) as caught:
            resume(folder, *GAN, "trainer.kimg=0.016")
        assert "hush" not in str(caught.value)
        with pytest.raises(UserError, match=why):
            load_config(folder)


@pytest.mark.recipe
@pytest.mark.parametrize("damage", [None, "", "model: [", "[1]", "trainer: {"])
def test_damaged_settings_are_those_of_the_checkpoint(damage, tmp_path, caplog):
    folder = tmp_path / "run"
    run(folder, *GAN, "trainer.kimg=0.008")
    before = read_config(folder)
    (folder / "config.yaml").unlink() if damage is None else (folder / "config.yaml").write_text(damage)
    planned = resume(folder, "trainer.kimg=0.016")
    assert "the settings are those in kimg-000000_008" in caplog.text
    assert planned.config == before | {"trainer": before["trainer"] | {"kimg": 0.016}}
    with pytest.raises(UserError, match="holds a run of other settings"):
        plan(folder, *GAN, "trainer.kimg=0.016", "optimizer.lr=1")


@pytest.mark.recipe  # half a second each
@pytest.mark.parametrize("name", ["status.json", "provenance.json", "stats.jsonl", "overrides.yaml"])
@pytest.mark.parametrize("damage", ["", "{", "[1, 2]", DEEP, f'{{"images": {HUGE}}}', '{"status": 1, "continues": 3}', None])
def test_a_run_goes_on_with_any_other_record_damaged(name, damage, tmp_path):
    from gancli.engine.training import train

    folder = tmp_path / "run"
    run(folder, *GAN, "trainer.kimg=0.004")
    (folder / name).unlink() if damage is None else (folder / name).write_text(damage)
    train(resume(folder, "trainer.kimg=0.008"))
    assert read_status(folder).status == "finished" and read_status(folder).images == 8
    assert [tick["images"] for tick in read_ticks(folder / "stats.jsonl")][-1] == 8
    assert read_provenance(folder)["seed"] == 0 and yaml.safe_load((folder / "overrides.yaml").read_text())


def test_records_are_whole_whenever_their_writer_dies(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    run(folder, *GAN, "trainer.kimg=0.004")
    names = ("config.yaml", "overrides.yaml", "stats.jsonl", "provenance.json", "status.json")
    before = {name: (folder / name).read_bytes() for name in names}

    def die(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", die)
    for write in (lambda: write_provenance(folder, {}), lambda: keep_until(folder / "stats.jsonl", 0),
                  lambda: run(folder, *GAN, "trainer.kimg=0.008")):
        with pytest.raises(KeyboardInterrupt):
            write()
    assert {name: (folder / name).read_bytes() for name in names} == before


def test_a_finished_run_is_not_continued_to_a_shorter_length(tmp_path):
    run(tmp_path / "run", *GAN, "trainer.kimg=0.016")
    with pytest.raises(UserError, match="trained for 0.016 kimg, which is longer than 0.008 kimg"):
        resume(tmp_path / "run", "trainer.kimg=0.008")


def test_sittings_are_kept_as_far_as_they_nest(tmp_path):
    for sitting in range(MOST_SITTINGS + 5):
        write_provenance(tmp_path, {"sitting": sitting})
    record, depth = read_provenance(tmp_path), 1
    while "continues" in record:
        record, depth = record["continues"], depth + 1
    assert depth == MOST_SITTINGS and record == {"sitting": 5}


def test_a_pipe_is_no_record(tmp_path):
    os.mkfifo(tmp_path / "status.json")
    assert read_status(tmp_path).why == "status.json is damaged: it is no plain file"
    os.mkfifo(tmp_path / "config.yaml")
    assert read_config(tmp_path) == {}


def test_text_is_bounded(tmp_path):
    (tmp_path / "x").write_text("a" * 11)
    assert read_text(tmp_path / "x", 11) == "a" * 11
    with pytest.raises(Damaged, match="11 bytes"):
        read_text(tmp_path / "x", 10)


def test_fields_are_of_their_kinds(tmp_path):
    assert parse_json('{"a": 1.5}') == {"a": 1.5}
    for text in ("NaN", "-Infinity", HUGE, "{", DEEP):
        with pytest.raises(Damaged):
            parse_json(text)
    (tmp_path / "x").write_text("[]")
    with pytest.raises(Damaged, match="no JSON object"):
        read_json(tmp_path / "x")
    with pytest.raises(Damaged, match="a is missing"):
        checked({}, {}, ("a",))
    assert [is_name(text) for text in ("a", "a=b", "..", "a/b", "", "a\n", "é" * 127, "é" * 128)] == \
        [True, True, False, False, False, False, True, False]
    assert [is_place(text) for text in ("a/b", "a", "/a", "a/", "a/../b")] == [True, True, False, False, False]


def test_a_sound_status_comes_back(tmp_path):
    from gancli.runs.status import write_status

    status = Status.begin(["seed=0"]).end("failed", "why — not")
    write_status(tmp_path, status)
    assert read_status(tmp_path) == status
