"""A sweep of four of which one fails: the others finish, and the table shows all."""

from running import gan


def test_failed_job_leaves_the_others_alone(tmp_path):
    done = gan("train", "-m", "model=gan,dcgan", "trainer.batch_size=4,4000", "dataset.size=8", "model.latent_size=8",
               "trainer.kimg=0.02", "device=cpu", cwd=tmp_path, check=1)
    sweep = next((tmp_path / "outputs/sweep").iterdir())
    text = done.stdout + done.stderr
    assert text.count("finished") >= 2 and text.count("failed") >= 2
    jobs = sorted(path for path in sweep.iterdir() if path.is_dir())
    assert [path.name for path in jobs] == ["0", "1", "2", "3"]
    finished = [path for path in jobs if (path / "checkpoints").is_dir()]
    failed = [path for path in jobs if path not in finished]
    assert len(finished) == 2 and len(failed) == 2
    for path in failed:
        log = (path / "log.txt").read_text()
        assert "Traceback" in log and "larger than the data set" in log
    for path in jobs:
        assert "trainer.batch_size=4" in text and path.name in text


def test_a_job_that_breaks_in_training_is_recorded(tmp_path):
    done = gan("train", "-m", "optimizer=sgd", "optimizer.lr=0.01,1e30", "model=gan", "model.generator_units=8", "seed=0,1",
               "model.discriminator_units=8", "dataset.size=8", "trainer.kimg=1", "trainer.precision=fp32", "device=cpu",
               cwd=tmp_path, check=1)
    sweep = next((tmp_path / "outputs/sweep").iterdir())
    logs = {path.parent.name: path.read_text() for path in sweep.glob("*/log.txt")}
    assert len(logs) == 4
    assert [("Traceback" in logs[str(i)], "not finite" in logs[str(i)]) for i in range(4)] == [
        (False, False), (False, False), (True, True), (True, True)], done.stdout + done.stderr
