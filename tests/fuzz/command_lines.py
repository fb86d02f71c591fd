"""Random command lines over the schema: commands, flags, keys with values of their types, extremes, grammar and noise."""

from functools import cache

from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from systems import MODELS, small

from gancli.config import groups
from gancli.config.compose import compose, keys

EXTREMES = (
    "-1", "0", "1", "2", "1e308", "-1e308", "1e-320", "nan", "inf", "-inf", "1e999", "9223372036854775808", "1" + "0" * 400,
    "null", "", "[]", "{}", "[[[[]]]]", "[" * 60 + "]" * 60, "{a:1}", "[1,null]", "true", "???", "1.5", "0x10", "1_000",
    "${seed}", "${nowhere}", "${oc.env:CANARY}", "${oc.env:NOWHERE}", "${paper:lr}", "${seed", "[" * 400 + "]" * 400,
    "{_target_:io.open,file:canary,mode:w}", "a" * 300, "é" * 200, "a/b", "../x", "\u202egnp.x", "\x1b[2Jx", "💥", "\ud7ff",
    "\udcff", "a b", "a,b", "0,1", "choice(0,1)", "range(0,3)", "range(0,1000000000)", "interval(0,1)", "glob(*)", "a=b",
    "[1,", "'", '"', "\\", "'a'", "(", "--", "-m", "\n", "a\tb",
)
PATHS = (
    "named/x.png", "named/x.npz", "named/x.gif", "named/x.json", "named/folder", "named", "outputs/x", "..", ".", "", "x.bmp",
    "../beside/x", "file.txt", "file.txt/x", "/proc/self/mem", "/dev/null/x", "/dev/full", "a" * 300, "named/" + "b" * 256,
    "named/é💥.png", "pictures", "arrays.npz", "~", "~/x", "nowhere", "pipe", "named/\x1b[2J.png", "named/\udcff.png",
    "loop/x",
)
NAMES = (
    "good", "good@latest", "good@best", "good@0.008", "good@nan", "good@1e999", "good@-1", "go", "bad", "odd", "", "@",
    "x" * 300, "outputs/train/good", "outputs/train/bad", "outputs/sweep/two", "two", "outputs/train/good/checkpoints",
    "truncated.safetensors", "outputs", "file.txt", "/", ".", "pipe", "\x1b[2J", "💥", "nowhere.safetensors",
)
PATH_KEYS = ("out", "run_dir", "data_dir", "dataset.path", "hydra.sweep.dir", "dataset.store", "features_weights", "real")
NAME_KEYS = ("ckpt", "resume")
HYDRA = (
    "hydra.mode=RUN", "hydra.mode=MULTIRUN", "hydra.mode=BOGUS", "hydra.job.chdir=false", "hydra.verbose=true",
    "hydra.job.name=x", "hydra.sweep.subdir=${hydra.job.num}", "hydra.sweep.subdir=../x", "hydra.sweeper.max_batch_size=1",
    "hydra/launcher=nowhere", "hydra/launcher=basic", "hydra.launcher.n_jobs=2", "hydra.nowhere=1", "hydra=1",
    "hydra/sweeper=basic", "hydra={mode:MULTIRUN}",
)
TRAINED = ("trainer.batch_size=4", "trainer.kimg=0.008", "trainer.epochs=null", "evaluation.kimg=null", "device=cpu",
           "devices=1", "trainer.discriminator_turns=1", "trainer.unrolled=0", "trainer.sample_kimg=1")
SIZES = ("trainer.kimg", "trainer.epochs", "trainer.batch_size", "trainer.discriminator_turns", "trainer.unrolled", "devices",
         "dataset.size", "device", "experiment", "trainer.memory_check", "dataset")  # what a training run here keeps small

noise = st.text(st.sampled_from("aé=,.[]{}()'\"\\$~+-@:/ 01e💥\x1b\n*?&!#%"), max_size=20)


@cache
def schema(config_name: str) -> dict[str, object]:
    """Return the leaves of a command's configuration with the values that they have."""
    cfg = compose(config_name, [])
    found = {key: OmegaConf.select(cfg, key, throw_on_missing=False) for key in keys(cfg)}
    return {key: value for key, value in found.items() if not isinstance(value, DictConfig)}


def fitting(key: str, value: object) -> st.SearchStrategy[str]:
    """Return words that a key may well take."""
    if key in NAME_KEYS:
        return st.sampled_from(NAMES)
    if key in PATH_KEYS:
        return st.sampled_from(PATHS)
    if isinstance(value, bool):
        return st.sampled_from(["true", "false"])
    if isinstance(value, int):
        return st.integers(0, 12).map(str)
    if isinstance(value, float):
        return st.sampled_from(["0", "0.5", "1", "1e-4", "3"])
    if value is None:
        return st.sampled_from(["null", "1", "0.5", "2"])
    return st.just(str(value).replace(" ", "").replace("'", ""))


def override(config_name: str, without: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    """Return overrides of a command: of groups, of keys, of Hydra's own, and noise."""
    leaves = {key: value for key, value in schema(config_name).items() if key not in without}
    chosen = {name: sorted(groups.options(name)) for name in groups.groups(config_name)
              if name not in without and groups.options(name)}
    of_key = st.sampled_from(sorted(leaves)).flatmap(
        lambda key: st.tuples(st.just(key), fitting(key, leaves[key])).map("=".join))
    extreme = st.tuples(st.sampled_from(["", "", "", "", "+", "++", "~"]), st.sampled_from(sorted(leaves)), st.just("="),
                        st.sampled_from(EXTREMES) | noise).map("".join)
    odd = st.tuples(noise, st.sampled_from(EXTREMES)).map("=".join)
    kinds = [of_key] * 10 + [extreme] * 3 + [st.sampled_from(HYDRA), noise, odd]
    if chosen:
        others = ["nowhere", "", "null", "1"]
        of_group = st.sampled_from(sorted(chosen)).flatmap(
            lambda name: st.sampled_from([*chosen[name]] * 4 + others).map(lambda option: f"{name}={option}"))
        kinds += [of_group] * 4
    return st.sampled_from(range(len(kinds))).flatmap(kinds.__getitem__)


flags = st.sampled_from([()] * 16 + [
    ("--cfg", "job"), ("--cfg", "job", "--resolve"), ("--cfg", "x"), ("--cfg", "hydra"), ("-h",), ("--package", "model"),
    ("--cfg", "job", "--package", "nowhere"), ("--frobnicate",), ("--",), ("--config-dir", "nowhere"),
    ("--config-dir", "file.txt"), ("--config-dir", "mine")])
ckpt = st.sampled_from(["good"] * 8 + list(NAMES)).map("ckpt={}".format)


def composed(command: str, config_name: str, first: tuple[str, ...] = (), last: tuple[str, ...] = (), most: int = 4,
             without: tuple[str, ...] = ()) -> st.SearchStrategy[list[str]]:
    """Return lines of a command that Hydra composes."""
    words = st.lists(override(config_name, without), max_size=most)
    return st.tuples(words, flags).map(lambda drawn: [command, *first, *drawn[0], *last, *drawn[1]])


def _trained(name: str) -> st.SearchStrategy[list[str]]:
    first = (f"model={name}", *small(name), "dataset.size=8")
    kept = (*SIZES, *(key for key in schema("train") if key.startswith("model")))
    plain = composed("train", "train", first, TRAINED, 3, kept)
    sweeps = st.sampled_from([(), (), (), (), (), ("-m",), ("-m", "seed=0,1")])
    return st.tuples(plain, sweeps).map(lambda drawn: [*drawn[0], *drawn[1]])


def explored(command: str) -> st.SearchStrategy[list[str]]:
    """Return lines of a command on a trained model."""
    last = {"evaluate": ("n=8", "data_dir=."), "sample": (), "interpolate": ()}[command]
    return st.tuples(ckpt, composed(command, command, (), last)).map(lambda drawn: [drawn[1][0], drawn[0], *drawn[1][1:]])


names = st.lists(st.sampled_from(["good", "good", "odd", *NAMES]), max_size=3)
words = st.sampled_from(EXTREMES) | noise


def _listed() -> st.SearchStrategy[list[str]]:
    kinds = st.sampled_from(["runs"] * 6 + ["models", "losses", "datasets", "metrics", "extractors", "nowhere", "", "💥"])
    more = st.lists(st.tuples(st.sampled_from(["--root", "--sort", "--config-dir"]),
                              st.sampled_from([*NAMES, *PATHS, "best", "id", "kimg", "alarms"])), max_size=2)
    return st.tuples(kinds, more, st.sampled_from([(), (), ("--descending",)])).map(
        lambda drawn: ["list", drawn[0], *(word for pair in drawn[1] for word in pair), *drawn[2]])


def _compared() -> st.SearchStrategy[list[str]]:
    sound = st.sampled_from(["loss", "fid", "0.5"])
    options = st.lists(st.tuples(st.sampled_from(["--sort", "--curves", "--smooth", "--kimg"]), words | sound), max_size=2)
    out = st.sampled_from([(), (), ("--out", "named"), ("--csv", "named/x.csv"), ("--json", ".."), ("--html", "named/x.html"),
                           ("--out", "file.txt"), ("--overwrite",), ("--csv", "a" * 300)])
    return st.tuples(names, options, out).map(
        lambda drawn: ["compare", *drawn[0], *(word for pair in drawn[1] for word in pair), *drawn[2]])


def _diagnosed() -> st.SearchStrategy[list[str]]:
    options = st.sampled_from([(), ("--device", "cpu"), ("--device", "x"), ("--data-dir", "nowhere")])
    return st.tuples(st.sampled_from(["good", *NAMES]), options).map(lambda drawn: ["diagnose", drawn[0], *drawn[1]])


def _theory() -> st.SearchStrategy[list[str]]:
    drawn = st.lists(override("lab"), min_size=1, max_size=3)
    return st.sampled_from([*groups.options("lab"), "nowhere", "all", "", "--list"]).flatmap(
        lambda name: drawn.map(lambda words: ["lab", name, *words, "--cfg", "job"]))


def lines() -> st.SearchStrategy[list[str]]:
    """Return random command lines of every command."""
    each = {
        "validate": (11, composed("validate", "train")),
        "train": (2, st.sampled_from(MODELS).flatmap(_trained)),
        "sample": (2, explored("sample")), "interpolate": (1, explored("interpolate")), "evaluate": (1, explored("evaluate")),
        "list": (2, _listed()), "compare": (2, _compared()), "diagnose": (1, _diagnosed()), "lab": (1, _theory()),
        "noise": (1, st.lists(noise, max_size=3)),
    }
    many = [strategy for weight, strategy in each.values() for _ in range(weight)]
    return st.sampled_from(range(len(many))).flatmap(many.__getitem__)
