"""The commands through Typer: help, examples, exit codes, multiruns, lists; training itself is faked."""

import json
import pickle
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from systems import later
from typer.testing import CliRunner

from gancli.cli import main
from gancli.cli.list_columns import fitting
from gancli.cli.main import COMMANDS
from gancli.config import groups
from gancli.errors import UserError
from gancli.runs.status import Status, write_status


@dataclass
class Fake:
    """Stands in for planning and training."""

    seen: list = field(default_factory=list)
    status: str = "finished"

    def plan_run(self, cfg, overrides, job_dir=None):
        """Refuse seed 13, crash at seed 14, else note what arrived."""
        self.seen.append((cfg, overrides, job_dir))
        if cfg.seed == 13:
            raise UserError("seed 13 is unlucky: give another seed=.")
        if cfg.seed == 14:
            raise ZeroDivisionError("a bug")
        return SimpleNamespace(cfg=cfg, overrides=overrides, dir=job_dir or Path("run"))

    def train(self, plan):
        """Leave the record of a run."""
        figures = {"loss/generator": 0.5 + plan.cfg.seed, "time/training_s": 1.0}
        if plan.dir.is_dir():
            write_status(plan.dir, Status.begin(plan.overrides).end(self.status))
            write_status(plan.dir, Status(self.status, figures=figures, overrides=plan.overrides))
        return SimpleNamespace(status=self.status, figures=figures, run_dir=plan.dir, objective=float(plan.cfg.seed))


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Fake the engine and start in an empty folder."""
    fake = Fake()
    paths = lambda cfg: [Path(cfg.out or "grid.png")]  # noqa: E731
    monkeypatch.setitem(sys.modules, "gancli.plan.run", SimpleNamespace(plan_run=fake.plan_run))
    monkeypatch.setitem(sys.modules, "gancli.engine.training", SimpleNamespace(train=fake.train))
    answer = lambda cfg, given, priced=False: f"{given}"  # noqa: E731
    monkeypatch.setitem(sys.modules, "gancli.plan.validate", SimpleNamespace(report=answer))
    told = SimpleNamespace(report=lambda given, folder, priced: iter(["0: valid"]))
    monkeypatch.setitem(sys.modules, "gancli.plan.sweep_price", told)
    monkeypatch.setitem(sys.modules, "gancli.explore.sample", SimpleNamespace(sample=paths))
    for name in ("interpolate", "arithmetic", "mix"):
        monkeypatch.setitem(sys.modules, f"gancli.explore.{name}", SimpleNamespace(**{name: paths}))
    traversed = lambda cfg: SimpleNamespace(files=paths(cfg), notes=["a note"])  # noqa: E731
    for name in ("traverse", "age"):
        monkeypatch.setitem(sys.modules, f"gancli.explore.{name}", SimpleNamespace(**{name: traversed}))
    translated = lambda cfg: SimpleNamespace(count=1, domain="b", files=[Path("grid.png")], notes=[])  # noqa: E731
    monkeypatch.setitem(sys.modules, "gancli.explore.translate", SimpleNamespace(translate=translated))
    filled = lambda cfg: SimpleNamespace(count=1, origin="pictures", files=[Path("grid.png")], notes=[])  # noqa: E731
    monkeypatch.setitem(sys.modules, "gancli.explore.inpaint", SimpleNamespace(inpaint=filled))
    seams = SimpleNamespace(size=(9, 8), seam_pasted=0.2, seam_blended=0.1, seam_target=0.0, files=[Path("blend.png")])
    monkeypatch.setitem(sys.modules, "gancli.explore.blend", SimpleNamespace(blend=lambda cfg: seams))
    reconstructed = SimpleNamespace(mean=0.5, median=0.5, best=("1", 0.1), worst=("2", 0.9), count=2, origin="pictures",
                                    notes=["a note"], files=[Path("errors.csv")], sharpness=(0.02, 0.01))
    monkeypatch.setitem(sys.modules, "gancli.explore.reconstruct", SimpleNamespace(reconstruct=lambda cfg: reconstructed))
    projected = SimpleNamespace(origin="pictures", count=1, start=0.5, mean=0.1, median=0.1, worst=("1", 0.1),
                                notes=["a note"], files=[Path("latents.npz")])
    monkeypatch.setitem(sys.modules, "gancli.explore.project", SimpleNamespace(project=lambda cfg: projected))
    edited = SimpleNamespace(candidates=2, strokes=(0.5, 0.1), elsewhere=0.01, notes=["a note"], files=[Path("edit.png")])
    monkeypatch.setitem(sys.modules, "gancli.explore.edit", SimpleNamespace(edit=lambda cfg: edited))
    shown = SimpleNamespace(title="latents", rows=[("mean", "0", "0")], notes=[], files=[Path("latents.png")])
    monkeypatch.setitem(sys.modules, "gancli.explore.latents", SimpleNamespace(latents=lambda cfg: shown))
    diagnosed = SimpleNamespace(findings=[], looked_for=["divergence"], seen=["nothing"], too_short="")
    enlarged = SimpleNamespace(count=1, factor=4, figures={}, notes=[], files=[Path("figures.csv")])
    monkeypatch.setitem(sys.modules, "gancli.explore.upscale", SimpleNamespace(upscale=lambda cfg: enlarged))
    monkeypatch.setitem(sys.modules, "gancli.explore.diagnose", SimpleNamespace(diagnose_run=lambda *_: diagnosed))
    report = lambda cfg: SimpleNamespace(evaluated=[], files=[Path("evaluation.json")], notes=[], seconds=1.0)  # noqa: E731
    monkeypatch.setitem(sys.modules, "gancli.explore.evaluate", SimpleNamespace(evaluate=report))
    exported = SimpleNamespace(bytes=1, difference=0.0, by="torch", files=[Path("model.pt2")])
    monkeypatch.setitem(sys.modules, "gancli.explore.export", SimpleNamespace(export=lambda cfg: exported))
    verdicts = SimpleNamespace(matrix=None, summary=lambda: "")
    classified = lambda cfg: SimpleNamespace(verdicts=verdicts, taught="", files=[Path("classes.csv")], notes=[])  # noqa: E731
    monkeypatch.setitem(sys.modules, "gancli.explore.classify", SimpleNamespace(classify=classified))
    found = SimpleNamespace(tables=[], told="")
    done = SimpleNamespace(name="lab", claim="", result=found, files=[Path("index.html")], seconds=1.0)
    monkeypatch.setitem(sys.modules, "gancli.lab.frame.run", SimpleNamespace(run=lambda values, folder=None: done))
    everything = SimpleNamespace(run_all=lambda composed, tell: Path("all.html"))
    monkeypatch.setitem(sys.modules, "gancli.lab.frame.sheet", everything)
    monkeypatch.chdir(tmp_path)
    return fake


def gan(*arguments: str):
    """Run one command line in this process."""
    return CliRunner().invoke(main.app, list(arguments), prog_name="gan")


def test_every_command_has_examples_at_the_end_of_its_help():
    assert len(COMMANDS) == 26
    for name, module in COMMANDS.items():
        lines = gan(name, "--help").stdout.rstrip().splitlines()
        assert tuple(line.strip() for line in lines[-len(module.EXAMPLES):]) == module.EXAMPLES
        assert all(example.startswith(f"gan {name}") for example in module.EXAMPLES)


def test_tasks_are_found_by_name_as_launchers_pickle_them():
    tasks = {name: module.task for name, module in COMMANDS.items() if hasattr(module, "task")}
    assert tasks.keys() == {"train", "sample", "interpolate", "traverse", "age", "arithmetic", "mix", "latents",
                            "reconstruct", "project", "edit", "translate", "upscale", "inpaint", "blend", "classify",
                            "evaluate", "export", "lab", "validate", "data"}
    for name, task in tasks.items():
        assert (task.__module__, task.__qualname__) == (f"gancli.cli.{name}", "task")
        assert pickle.loads(pickle.dumps(task)) is task


@pytest.mark.parametrize("name", later(["sample", "interpolate", "traverse", "arithmetic", "mix", "latents", "age",
                                        "reconstruct", "project", "edit", "translate", "upscale", "inpaint", "blend",
                                        "classify", "evaluate", "export"],
                                 first=4))
def test_thin_commands_print_what_they_compose(name):
    assert COMMANDS[name].task.__doc__.splitlines()[0] in gan(name, "--help").stdout
    assert gan(name, "ckpt=x", "-c", "job", "--resolve", "-p", "ckpt").stdout.strip() == "x"
    wrong = gan(name, "chkpt=x")
    assert wrong.exit_code == 2 and "did you mean ckpt?" in wrong.stderr


EXAMPLES = [line for module in COMMANDS.values() for line in module.EXAMPLES]
LONG = [line for line in EXAMPLES if " -m " in line or line == "gan lab all"]


@pytest.mark.parametrize("example", later([*(line for line in EXAMPLES if line not in LONG), *LONG],
                                          first=14))
def test_examples_compose_and_run(example, fake, monkeypatch):
    for run in ("train/RUN", "sweep/SWEEP/0"):
        Path("outputs", run).mkdir(parents=True)
        write_status(Path("outputs", run), Status("finished", figures={"loss/generator": 1.0}))
        Path("outputs", run, "stats.jsonl").write_text('{"images": 1000, "loss/generator": 1.0, "D(x)": 0.5}\n')
    monkeypatch.setattr("gancli.compare.report.write", lambda comparison: [])
    monkeypatch.setattr("gancli.show.writing.write", lambda *wanted: [])
    words = [word for word in shlex.split(example)[1:] if word != "hydra/launcher=joblib"]  # its processes know no fake
    if words[0] == "data":  # looks at what lies there
        pictures(Path("pictures"))
        shutil.make_archive("pictures", "zip", "pictures")
        monkeypatch.setenv("HOME", str(Path.cwd()))
    result = gan(*words)
    assert result.exit_code == 0, result.output
    assert "\nTraceback" not in result.output


def pictures(folder: Path) -> None:
    """Write four small pictures."""
    folder.mkdir()
    for shade in range(4):
        Image.new("RGB", (16, 16), (50 * shade, 0, 0)).save(folder / f"{shade}.png")


def test_examples_are_many():
    assert sum(len(module.EXAMPLES) for module in COMMANDS.values()) >= 20


def test_a_run_gets_overrides_and_no_job_dir(fake, tmp_path):
    result = gan("train", "seed=3", "data_dir=my data")
    assert result.exit_code == 0 and not list(tmp_path.iterdir())
    (cfg, overrides, job_dir), = fake.seen
    assert cfg.seed == 3 and job_dir is None and overrides == ["seed=3", f"data_dir='{tmp_path}/my data'"]


def test_what_a_library_makes_of_an_interruption_is_one(monkeypatch):
    def cut_short(*_):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            None.tidied  # noqa: B018

    monkeypatch.setattr("gancli.cli.list.list_runs", cut_short, raising=False)
    monkeypatch.setattr("gancli.runs.find.list_runs", cut_short)
    result = gan("list", "runs")
    assert result.exit_code == 130 and "Traceback" not in result.output and not isinstance(result.exception, AttributeError)


def test_user_error_is_one_line_on_stderr(fake, tmp_path):
    for _ in range(2):
        result = gan("train", "seed=13")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "Error: seed 13 is unlucky: give another seed=.\n"
    assert not list(tmp_path.iterdir())


def test_usage_error_exits_with_2(fake, tmp_path):
    result = gan("train", "modle=gan")
    assert result.exit_code == 2 and result.stderr.startswith("Error: There is no key modle; did you mean model?")
    assert gan("train", "--nonsense").exit_code == 2
    assert gan("list", "things").exit_code == 2
    assert not list(tmp_path.iterdir())


def test_unknown_command_names_near_ones():
    result = gan("trian")
    assert result.exit_code == 2 and "train" in result.stderr


def test_a_bug_is_not_hidden(fake):
    assert isinstance(gan("train", "seed=14").exception, ZeroDivisionError)


def test_stopped_run_exits_with_3(fake):
    fake.status = "stopped"
    assert gan("train").exit_code == 3


@pytest.mark.parametrize("arguments", [
    ("-m", "seed=1,2"), pytest.param(("seed=1,2", "-m", "device=cpu"), marks=pytest.mark.recipe),
    pytest.param(("seed=1,2", "hydra.mode=MULTIRUN"), marks=pytest.mark.recipe)])
def test_multirun_flag_in_any_place(arguments, fake, tmp_path):
    result = gan("train", *arguments)
    assert result.exit_code == 0, result.output
    sweep, = (tmp_path / "outputs" / "sweep").iterdir()
    assert [(cfg.seed, job_dir) for cfg, _, job_dir in fake.seen] == [(1, sweep / "0"), (2, sweep / "1")]


@pytest.mark.recipe  # seconds
def test_failed_jobs_do_not_stop_the_others(fake, tmp_path):
    result = gan("train", "seed=13,1,14,2", "-m", "hydra.sweeper.max_batch_size=1")
    sweep, = (tmp_path / "outputs" / "sweep").iterdir()
    statuses = {path.name: json.loads((path / "status.json").read_text()) for path in sweep.iterdir() if path.is_dir()}
    assert result.exit_code == 1
    assert {name: status["status"] for name, status in statuses.items()} == {
        "0": "failed", "1": "finished", "2": "failed", "3": "finished"}
    assert statuses["0"]["why"].startswith("seed 13 is unlucky") and statuses["2"]["overrides"] == ["seed=14"]
    assert "ZeroDivisionError: a bug" in (sweep / "2" / "log.txt").read_text()
    table = result.stdout[result.stdout.index("Sweep"):]
    for part in ("seed=13", "seed=14", "loss/generator 1.5", "loss/generator 2.5", "a bug", f"{sweep.name}/3"):
        assert part in table
    assert "time/training_s" not in table


@pytest.mark.recipe
def test_stopping_a_job_ends_the_sweep(fake, tmp_path):
    fake.status = "stopped"
    result = gan("train", "-m", "seed=1,2,3")
    assert result.exit_code == 3 and len(fake.seen) == 1 and "stopped" in result.stdout


@pytest.mark.recipe  # seconds
def test_sweep_directory_of_the_user(fake, tmp_path):
    arguments = ("train", "-m", "seed=1", "hydra.sweep.dir=my sweep=1")
    assert gan(*arguments).exit_code == 0
    left = {path.name for path in (tmp_path / "my sweep=1").iterdir()}
    assert left - {".lock"} == {"0", "multirun.yaml", "status.json", "sweep.json"}
    again = gan(*arguments)
    assert again.exit_code == 0 and len(fake.seen) == 1, "the job has finished and is skipped"
    (tmp_path / "my sweep=1" / "sweep.json").unlink()
    again = gan(*arguments)
    assert again.exit_code == 2 and "holds other files" in again.stderr and len(fake.seen) == 1


def test_cfg_and_info_print_without_running(fake, tmp_path):
    assert "${paper:lr" in gan("train", "--cfg", "job").stdout
    resolved = gan("train", "model=gan", "loss=wgan", "-c", "job", "--resolve", "-p", "optimizer").stdout
    assert "name: rmsprop" in resolved and "${" not in resolved
    assert "model/dcgan" in gan("train", "--info", "defaults").stdout
    assert gan("sample", "--cfg", "job").stdout.startswith("ckpt:")
    assert not fake.seen and not list(tmp_path.iterdir())


def test_reading_commands_print_paths(fake):
    assert gan("sample", "ckpt=x", "out=a b.png").stdout == f"{Path.cwd()}/a b.png\n"
    assert gan("interpolate", "ckpt=x").stdout == "grid.png\n"


def test_lists_name_every_file_with_its_description(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind, group in (("models", "model"), ("losses", "loss"), ("augmentations", "augment"),
                        ("datasets", "dataset"), ("optimizers", "optimizer")):
        lines = gan("list", kind).stdout.splitlines()
        assert len(lines) == len(list((groups.conf_dir() / group).glob("*.yaml"))) > 0
        assert all(line.startswith(f"{group}=") and len(line.split()) > 2 for line in lines)
    assert "There are no runs" in gan("list", "runs").stdout


def test_list_runs(fake, tmp_path):
    for number, status in enumerate(("finished", "failed")):
        folder = tmp_path / "outputs" / "sweep" / "20260101T000000Z-abcdef" / str(number)
        folder.mkdir(parents=True)
        write_status(folder, Status(status))
    text = gan("list", "runs").stdout
    assert text.count("outputs/sweep/") == 2 and "finished" in text and "failed" in text


def test_list_runs_sorts_by_size_date_and_figures_and_shows_what_it_sorts_by(fake, tmp_path):
    for number, (started, figure) in enumerate((("2026-02-01T00:00:00", 3.0), ("2026-01-01T00:00:00", 9.0))):
        folder = tmp_path / "outputs" / "train" / f"run{number}"
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(bytes((number + 1) << 20))
        write_status(folder, Status("finished", started=started, figures={"fid(classifier,100)": figure}))

    def listed(*words: str) -> list[str]:
        return [line.split()[0] for line in gan("list", "runs", *words).stdout.splitlines() if line.strip().startswith("run")]

    assert listed("--sort", "size") == ["run0", "run1"] and listed("--sort", "size", "--descending") == ["run1", "run0"]
    assert listed("--sort", "date") == ["run1", "run0"] and listed("--sort", "fid") == ["run0", "run1"]
    assert "2.0 MiB" in gan("list", "runs", "--sort", "size").stdout
    assert "2026-01-01" in gan("list", "runs", "--sort", "date").stdout
    assert "did you mean fid?" in gan("list", "runs", "--sort", "fud").stderr


def test_a_narrow_terminal_keeps_ids_whole():
    columns, ident = ("id", "status", "kimg", "model", "loss", "dataset", "path"), "20261130T164022Z-9dc45c-dcgan-digits"
    row = (ident, "finished", "300", "dcgan", "nonsaturating", "digits", f"/home/somebody/outputs/train/{ident}")
    assert fitting(columns, [row], None) == list(columns)
    narrow = fitting(columns, [row], 80)
    assert narrow == ["id", "status", "kimg", "loss"] and sum(len(row[columns.index(name)]) + 3 for name in narrow) <= 80
    assert fitting(columns, [row], 20) == ["id", "status"]


def test_version():
    assert gan("--version").stdout.split()[0] == "gan"
