"""A sweep of four of which one fails: the others finish, and the table shows all."""

from running import gan

from gancli.runs.status import read_status


def test_a_job_that_cannot_be_trained_leaves_the_others_alone(tmp_path):
    """dcgan needs images, and ring holds points."""
    done = gan("train", "-m", "model=gan,dcgan", "dataset=digits,ring", "trainer.batch_size=4", "trainer.kimg=0.02",
               "device=cpu", cwd=tmp_path, check=1, COLUMNS="200")
    sweep = next((tmp_path / "outputs/sweep").iterdir())
    statuses = [read_status(sweep / str(job)).status for job in range(4)]
    assert statuses == ["finished", "finished", "finished", "failed"]
    table = done.stdout[done.stdout.index("Sweep "):]
    assert table.count("finished") == 3 and table.count("failed") == 1 and "holds points" in table
    for model in ("gan", "dcgan"):
        for dataset in ("digits", "ring"):
            assert f"model={model} dataset={dataset}" in table
    log = (sweep / "3/log.txt").read_text()
    assert "Traceback" in log and "holds points" in log
    assert not (sweep / "3/checkpoints").exists() and all((sweep / f"{job}/checkpoints").is_dir() for job in range(3))


def test_jobs_that_break_in_training_are_recorded(tmp_path):
    done = gan("train", "-m", "optimizer=sgd", "optimizer.lr=0.01,1e18", "model=gan", "model.generator_units=8", "seed=0,1",
               "model.discriminator_units=8", "dataset.size=8", "trainer.kimg=1", "trainer.precision=fp32", "device=cpu",
               cwd=tmp_path, check=1)
    sweep = next((tmp_path / "outputs/sweep").iterdir())
    logs = {path.parent.name: path.read_text() for path in sweep.glob("*/log.txt")}
    assert len(logs) == 4
    assert [("Traceback" in logs[str(i)], "not finite" in logs[str(i)]) for i in range(4)] == [
        (False, False), (False, False), (True, True), (True, True)], done.stdout + done.stderr
