"""What a discriminator sees: each change against an independent reference, the controller by hand, and its place."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from composing import batch_for, compose_loss, compose_model, phases_of, read, spec_for, take_turn
from omegaconf import OmegaConf
from planning import SMALL_NETWORKS, TINY, plan, resume, run
from systems import CONF, MODELS, RULES, later, system

from gancli.config.compose import compose
from gancli.engine.training import train
from gancli.errors import UsageError, UserError
from gancli.losses.adversarial import rule_of
from gancli.losses.augmentation import Augmentation, augment_options, augmentation_of
from gancli.losses.augmentations.ada import AdaptiveAugment
from gancli.losses.augmentations.diffaugment import cut_out, recolor, translate
from gancli.losses.coloring import color_map, recolored
from gancli.losses.objective import Objective
from gancli.losses.warping import SYM6, inverse, moved
from gancli.plan.run import _check_augment
from gancli.plan.validate import report
from gancli.registry import augmentations
from gancli.runs.checkpoint import CheckpointFolder
from gancli.runs.checkpoint import read as read_checkpoint

NAMES = sorted(path.stem for path in (CONF / "augment").glob("*.yaml"))
SHAPES = [(1, 8, 8), (3, 9, 12)]


def built(name: str, shape: tuple[int, ...] = (3, 8, 8), **changes) -> Augmentation:
    """Return conf/augment/`name`.yaml, changed, for such examples."""
    return augmentation_of(augment_options(OmegaConf.merge(read(CONF / f"augment/{name}.yaml"), changes)), shape)


def images(n: int, *shape: int) -> torch.Tensor:
    return torch.rand(n, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 2 - 1


def doubles(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_every_option_of_the_group_is_tested():
    assert NAMES == augmentations.names() == ["ada", "diffaugment", "noise", "none"]
    assert built("none") is None


# Instance noise


def test_noise_is_drawn_anew_with_the_given_deviation_and_falls_linearly():
    noise, x = built("noise", std=0.3, decay_kimg=10), torch.zeros(64, 3, 8, 8)
    (one,), (two,) = noise((x,)), noise((x,))
    assert one.std().item() == pytest.approx(0.3, rel=0.03) and not torch.equal(one, two)
    for shown, left in ((2500, 0.75), (2500, 0.5), (4000, 0.1), (1000, 0.0), (1000, 0.0)):
        noise.after_round(shown)
        assert noise.scalars()["augment_std"].item() == pytest.approx(0.3 * left, abs=1e-6)
    assert torch.equal(noise((one,))[0], one)
    steady = built("noise", std=0.3, decay_kimg=None)
    steady.after_round(10**9)
    assert steady.std().item() == pytest.approx(0.3)


def test_noise_reaches_images_and_points_and_nothing_else():
    labels = torch.arange(4)
    x, z = torch.rand(4, 2), torch.rand(4, 2)
    noisy, same, kept = built("noise", (2,))((x, z, labels))
    assert not torch.equal(noisy, x) and same is z and kept is labels
    image, code = torch.rand(4, 1, 8, 8), torch.rand(4, 6)
    first, second, third = built("noise", (1, 8, 8))((code, image, image))
    assert first is code and not torch.equal(second, image) and not torch.equal(second, third)


# DiffAugment: the formulas of section 3 and of the published code, pixel by pixel


def reference_color(x, brightness, saturation, contrast):
    y = np.empty_like(x)
    for n, image in enumerate(x):
        image = image + brightness[n] - 0.5
        gray = sum(image) / len(image)
        image = np.stack([gray + 2 * saturation[n] * (channel - gray) for channel in image])
        y[n] = image.mean() + (contrast[n] + 0.5) * (image - image.mean())
    return y


@pytest.mark.parametrize("shape", SHAPES)
def test_diffaugment_color(shape):
    x, (b, s, c) = images(3, *shape), torch.rand(3, 3, dtype=torch.float64)
    assert np.allclose(recolor(x, b, s, c).numpy(), reference_color(x.numpy(), b.tolist(), s.tolist(), c.tolist()))


@pytest.mark.parametrize("shape", SHAPES)
def test_diffaugment_translation_and_cutout(shape):
    channels, height, width = shape
    x, down, right = images(5, *shape), (-2, 1, 0, 2, -1), (1, 0, -1, 2, -2)
    top, left = (-4, 0, 2, height // 2, -1), (3, -3, width // 2, 0, -2)
    shifted, cut = np.zeros(x.shape), x.numpy().copy()
    for n in range(5):
        for i in range(height):
            for j in range(width):
                if 0 <= i + down[n] < height and 0 <= j + right[n] < width:
                    shifted[n, :, i, j] = x[n, :, i + down[n], j + right[n]]
                if 0 <= i - top[n] < int(height / 2 + 0.5) and 0 <= j - left[n] < int(width / 2 + 0.5):
                    cut[n, :, i, j] = 0
    assert np.array_equal(translate(x, torch.tensor(down), torch.tensor(right)).numpy(), shifted)
    assert np.array_equal(cut_out(x, torch.tensor(top), torch.tensor(left)).numpy(), cut)


def test_diffaugment_draws_the_authors_ranges():
    drawn = built("diffaugment", (3, 32, 24)).draw(20000, 32, 24, torch.device("cpu"))
    ranges = {key: (value.min().item(), value.max().item()) for key, value in drawn.items()}
    assert ranges["down"] == (-4, 4) and ranges["right"] == (-3, 3)
    assert ranges["top"] == (-8, 24) and ranges["left"] == (-6, 18)  # 16 x 12 around a middle from 0 to the side
    for key in ("brightness", "saturation", "contrast"):
        assert 0 <= ranges[key][0] < 0.001 and 0.999 < ranges[key][1] < 1
    odd = built("diffaugment").draw(20000, 9, 9, torch.device("cpu"))  # a cut of 5: the middle is a pixel
    assert (odd["top"].min(), odd["top"].max()) == (-2, 6)


def test_diffaugment_follows_its_policy_in_order():
    x = images(2, 3, 8, 8)
    for policy in (["cutout", "color"], ["color", "cutout"], ["translation"]):
        augment = built("diffaugment", policy=policy)
        draw = augment.draw(2, 8, 8, x.device)
        y = x
        for name in policy:
            function, keys = {"color": (recolor, ("brightness", "saturation", "contrast")),
                              "cutout": (cut_out, ("top", "left")), "translation": (translate, ("down", "right"))}[name]
            y = function(y, *(draw[key] for key in keys))
        assert torch.equal(augment.change(x, draw), y)


def test_what_is_judged_together_is_moved_together():
    """A picture, its outline of one channel, and a patch of another size."""
    augment, x = built("diffaugment", policy=["translation", "cutout"]), torch.rand(4, 3, 16, 16)
    one, outline, patch, labels = augment((x, x[:, :1], x[:, :, :8, :8], torch.arange(4)))
    assert torch.equal(one[:, :1], outline) and patch.shape == (4, 3, 8, 8) and labels.dim() == 1
    assert not torch.equal(patch, one[:, :, :8, :8])
    colored, mask = built("diffaugment", policy=["color"])((x, x[:, :1]))
    assert torch.equal(mask, x[:, :1]) and not torch.equal(colored, x)


# ADA: each change at given parameters


def test_blitting_copies_pixels():
    x = images(4, 3, 8, 8)
    assert torch.equal(moved(x, {"flip": doubles(0, 1, 1, 0)}), torch.stack([x[0], x[1].flip(2), x[2].flip(2), x[3]]))
    turned = torch.stack([image.rot90(k, (1, 2)) for k, image in enumerate(x)])
    assert torch.equal(moved(x, {"quarters": doubles(0, 1, 2, 3)}), turned)
    shift = moved(x, {"shift": torch.tensor([[0.125, 0.0], [0.0, -0.25], [0.05, 0.07], [-0.13, 0.24]])})
    mirrored = torch.nn.functional.pad(x, (3, 3, 3, 3), mode="reflect")
    for n, (right, down) in enumerate(((1, 0), (0, -2), (0, 1), (-1, 2))):
        assert torch.equal(shift[n], mirrored[n, :, 3 - down:11 - down, 3 - right:11 - right])


def reference_warp(image, matrix):
    """Resample [H, W] by the matrix from result to image, in loops: refined by SYM6, bilinear, made coarse by SYM6."""
    height, width = image.shape
    far = 200
    taps = np.array(SYM6)
    periods = [np.pad(np.arange(side), far, mode="reflect") for side in (height, width)]
    wide = image[np.ix_(*periods)]

    def refine(rows):
        fine = np.zeros((2 * rows.shape[0], rows.shape[1]))
        fine[::2] = rows
        return np.stack([np.convolve(column, math.sqrt(2) * taps)[5:5 + len(fine)] for column in fine.T], 1)

    fine = refine(refine(wide).T).T  # sample 2 (far + k) is pixel k
    found = np.zeros((2 * height + 10, 2 * width + 10))
    for a in range(found.shape[0]):
        for b in range(found.shape[1]):
            place = matrix @ [(b - 5) / 2 - (width - 1) / 2, (a - 5) / 2 - (height - 1) / 2, 1]
            v, u = 2 * (far + place[1] + (height - 1) / 2), 2 * (far + place[0] + (width - 1) / 2)
            i, j = int(v), int(u)
            s, t = v - i, u - j
            found[a, b] = ((1 - s) * ((1 - t) * fine[i, j] + t * fine[i, j + 1])
                           + s * ((1 - t) * fine[i + 1, j] + t * fine[i + 1, j + 1]))
    rows = np.stack([np.correlate(column, taps / math.sqrt(2), "valid")[::2] for column in found.T], 1)
    return np.stack([np.correlate(row, taps / math.sqrt(2), "valid")[::2] for row in rows])


MATRICES = {  # what undoes each change, as the paper's appendix B writes it
    "scale": (0.3, lambda s: np.diag([2**-s, 2**-s, 1])),
    "turn": (0.7, lambda t: np.array([[math.cos(t), -math.sin(t), 0], [math.sin(t), math.cos(t), 0], [0, 0, 1]])),
    "stretch": (-0.4, lambda s: np.diag([2**-s, 2**s, 1])),
    "turn_again": (-2.0, lambda t: np.array([[math.cos(t), -math.sin(t), 0], [math.sin(t), math.cos(t), 0], [0, 0, 1]])),
    "slide": ((0.11, -0.3), lambda t: np.array([[1, 0, -t[0] * 10], [0, 1, -t[1] * 8], [0, 0, 1]])),
}


@pytest.mark.parametrize("key", MATRICES)
def test_geometry_resamples_without_aliasing(key):
    x, (value, matrix) = images(2, 1, 8, 10), MATRICES[key]
    y = moved(x, {key: torch.tensor([value, np.zeros_like(value).tolist()], dtype=torch.float64)})
    assert np.allclose(y[0, 0].numpy(), reference_warp(x[0, 0].numpy(), matrix(value)), atol=1e-9)
    assert torch.equal(y[1], x[1]), "where nothing happens, nothing is resampled"


def test_changes_of_place_happen_in_the_papers_order_and_in_one_step():
    x = images(1, 2, 8, 10)
    given = {"flip": 1.0, "quarters": 3.0, "shift": (0.1, -0.125)} | {key: value for key, (value, _) in MATRICES.items()}
    parameters = {key: torch.tensor([value], dtype=torch.float64) for key, value in given.items()}
    quarter = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    whole = np.diag([-1, 1, 1]) @ quarter @ np.array([[1, 0, -1], [0, 1, 1], [0, 0, 1]])
    for value, matrix in MATRICES.values():
        whole = whole @ matrix(value)
    assert np.allclose(inverse(parameters, 8, 10)[0].numpy(), whole)
    shuffled = dict(sorted(parameters.items()))
    assert torch.equal(moved(x, parameters), moved(x, shuffled))
    assert np.allclose(moved(x, parameters)[0, 1].numpy(), reference_warp(x[0, 1].numpy(), whole), atol=1e-9)


def test_resampling_keeps_a_smooth_picture():
    """A picture of slow waves turned by 90 degrees as an angle is nearly the one turned by copying."""
    i, j = torch.meshgrid(torch.arange(32) / 31, torch.arange(32) / 31, indexing="ij")
    x = (torch.cos(3 * i) * torch.sin(2 * j + 0.3)).double()[None, None]
    difference = moved(x, {"turn": doubles(math.pi / 2)}) - x.rot90(1, (2, 3))
    assert difference[..., 4:-4, 4:-4].abs().max() < 0.01


def test_colors_one_by_one():
    x = images(1, 3, 4, 5)
    gray = x.mean(1, keepdim=True)
    assert torch.allclose(recolored(x, {"brightness": doubles(0.2)}), x + 0.2)
    assert torch.allclose(recolored(x, {"contrast": doubles(-1)}), x / 2)
    assert torch.allclose(recolored(x, {"luma_flip": doubles(1)}), x - 2 * gray)
    assert torch.allclose(recolored(x, {"saturation": doubles(1.5)}), gray + 2**1.5 * (x - gray))
    third = recolored(x, {"hue": doubles(2 * math.pi / 3)})  # red's place is taken by blue, green's by red
    assert torch.allclose(third, x[:, [2, 0, 1]]) and torch.allclose(third.mean(1), x.mean(1))
    half = recolored(x, {"hue": doubles(math.pi)})
    assert torch.allclose(half, 2 * gray - x)


def test_colors_follow_each_other_and_gray_images_take_the_mean():
    x = images(1, 3, 4, 5)
    one = recolored(x, {"saturation": doubles(0.5), "hue": doubles(1), "luma_flip": doubles(1), "contrast": doubles(0.3),
                        "brightness": doubles(-0.4)})
    y = x
    for key, value in (("brightness", -0.4), ("contrast", 0.3), ("luma_flip", 1), ("hue", 1), ("saturation", 0.5)):
        y = recolored(y, {key: doubles(value)})
    assert torch.allclose(one, y)
    lamp = images(1, 1, 4, 5)
    parameters = {"brightness": doubles(0.1), "contrast": doubles(0.5), "luma_flip": doubles(1)}
    assert torch.allclose(recolored(lamp, parameters), -(lamp + 0.1) * 2**0.5)
    assert torch.equal(recolored(lamp, {"brightness": doubles(0), "contrast": doubles(0)}), lamp)
    matrix, _ = color_map({"hue": doubles(0.3)})
    assert torch.allclose(matrix[0] @ matrix[0].T, torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("channels", [1, 3])
def test_ada_at_probability_0_is_the_identity_and_at_1_changes_all(channels):
    x = torch.rand(16, channels, 16, 16) * 2 - 1
    ada = built("ada", (channels, 16, 16))
    assert torch.equal(ada((x,))[0], x)
    ada.p.fill_(1)
    changed = (ada((x,))[0] != x).flatten(1).any(1)
    assert changed.all()


def test_each_change_happens_with_probability_p():
    ada = built("ada", p=0.3)
    drawn = ada.draw(20000, 8, 8, torch.device("cpu"))
    assert len(drawn) == 13
    share = {key: (value.reshape(20000, -1) != 0).any(1).float().mean().item() for key, value in drawn.items()}
    turned = ((drawn["turn"] != 0) | (drawn["turn_again"] != 0)).float().mean().item()
    expected = dict.fromkeys(drawn, 0.3) | {"flip": 0.15, "quarters": 0.225, "luma_flip": 0.15}
    expected |= dict.fromkeys(("turn", "turn_again"), 1 - math.sqrt(0.7))
    assert share == pytest.approx(expected, abs=0.02) and turned == pytest.approx(0.3, abs=0.02)
    ada.p.fill_(1.7)  # there is no bound above
    deviations = {key: value.float().std().item() for key, value in ada.draw(20000, 8, 8, torch.device("cpu")).items()}
    uniform = 1 / math.sqrt(3)
    assert deviations == pytest.approx({
        "flip": 0.5, "quarters": math.sqrt(1.25), "shift": 0.125 * uniform, "scale": 0.2, "turn": math.pi * uniform,
        "stretch": 0.2, "turn_again": math.pi * uniform, "slide": 0.125, "brightness": 0.2, "contrast": 0.5,
        "luma_flip": 0.5, "hue": math.pi * uniform, "saturation": 1.0}, rel=0.03)


def test_policies_draw_only_their_own_changes():
    device = torch.device("cpu")
    assert set(built("ada", policy=["blit"], p=1.0).draw(2, 8, 8, device)) == {"flip", "quarters", "shift"}
    assert set(built("ada", (1, 8, 8), policy=["color"]).draw(2, 8, 8, device)) == {"brightness", "contrast", "luma_flip"}


@pytest.mark.parametrize("name", ["diffaugment", "ada"])
def test_gradients_of_any_order_reach_the_images(name):
    augment, x = built(name, p=1.0) if name == "ada" else built(name), images(2, 3, 8, 8).requires_grad_()
    torch.manual_seed(0)
    draw = augment.draw(2, 8, 8, x.device)
    some = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: (augment.change(x, draw) ** 2 * some).sum((1, 2, 3)), (x,))
    assert torch.autograd.gradgradcheck(lambda x: (augment.change(x, draw) ** 3 * some).sum((2, 3)), (x,), fast_mode=True)


# ADA: the controller


def heard(ada: AdaptiveAugment, *rounds: tuple[list[float], int]) -> list[float]:
    """Return p after rounds, each with the logits of real images and the images shown."""
    found = []
    for logits, shown in rounds:
        ada.observe(torch.tensor(logits))
        ada.after_round(shown)
        found.append(round(ada.p.item(), 6))
    return found


def test_the_controllers_steps_by_hand():
    ada = built("ada", interval=2, kimg=1.0)
    sure, unsure = [3.0, 0.1, 2.0, 1.0], [-1.0, 0.5, -2.0, 4.0]
    assert heard(ada, (sure, 100)) == [0.0] and ada.r == 0, "between two moves nothing happens"
    assert heard(ada, (sure, 50)) == [0.15] and ada.r == 1  # r = 1 > 0.6: up by 150 of 1,000 images
    assert heard(ada, (sure, 100), (unsure, 100)) == [0.15, 0.0] and ada.r == 0.5  # down by 200, and not below 0
    assert heard(ada, (sure, 500), (sure, 700)) == [0.0, 1.2]  # no bound above
    ada.after_round(100)
    ada.after_round(100)
    assert ada.p.item() == pytest.approx(1.2) and ada.r == 1, "rounds without the discriminator say nothing"
    assert heard(ada, (unsure, 100), ([-1.0] * 4, 100)) == [1.2, pytest.approx(0.8)]  # counting the images since
    assert ada.scalars()["augment_p"].item() == pytest.approx(0.8) and ada.scalars()["augment_r"] == -0.5


def test_the_authors_speed():
    """From 0 to 1 in 500 kimg: 64 images a round, every 4 rounds."""
    assert heard(built("ada"), *[([1.0], 64)] * 8)[3::4] == [pytest.approx(64 * 4 / 500000, abs=1e-6),
                                                             pytest.approx(128 * 4 / 500000, abs=1e-6)]


def test_without_a_target_the_probability_stays():
    ada = built("ada", p=0.3, target=None, interval=1)
    assert heard(ada, ([1.0], 1000), ([1.0], 1000)) == [0.3, 0.3] and ada.r == 1


@pytest.mark.parametrize(("name", "changes"), [*RULES, ("nonsaturating", {"label_smoothing": 0.2}),
                                               ("lsgan", {"label_smoothing": 0.2})], ids=str)
def test_where_real_and_fake_are_as_likely_a_discriminator_is_undecided(name, changes):
    """No output does better there than the rule's own; a rule without one does not care."""
    rule = rule_of(compose_loss(name, **changes))
    for place in (0.7,) if rule.undecided is None else (rule.undecided,):
        s = torch.tensor([place], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.grad(rule.discriminator(s, s), s)[0].item() == pytest.approx(0, abs=1e-6)
    assert (rule.undecided is None) == (name in ("wgan", "wgan_gp", "rpgan"))


def test_the_objective_tells_the_controller_of_real_examples_alone():
    x = torch.zeros(4, 1, 8, 8)
    for loss, logits, r in (("lsgan", 0.4, -1), ("lsgan", 0.6, 1), ("nonsaturating", 0.1, 1)):
        objective = Objective(compose_loss(loss), built("ada", (1, 8, 8), interval=1))
        judged = objective.discriminator(lambda x, real=logits: x.flatten(1).mean(1) + real, (x,), (x - 9,), 0)
        objective.generator(lambda x: x.flatten(1).mean(1) - 5, (x,), (x,))
        objective.after_round(4)
        assert objective.augment.r == r and {"augment_p", "augment_r"} <= set(judged.scalars)


# The place between the players


class Tripled(Augmentation):
    """Three times as bright."""

    def forward(self, inputs):
        return tuple(3 * x for x in inputs)

    def describe(self):
        return "tripled"


def test_penalties_see_the_augmented_image_and_differentiate_by_the_one_before():
    loss = compose_loss("wgan", weight_clip=None, r1={"weight": 1.0}, gradient_penalty={"weight": 1.0})
    seen = []

    def judge(x):
        seen.append(x.detach().clone())
        return x.flatten(1) @ torch.tensor([0.6, 0.8])

    real, fake = torch.full((2, 2), 1.0), torch.full((2, 2), -1.0)
    for augment, slope in ((None, 1.0), (Tripled(), 3.0)):
        seen.clear()
        scalars = Objective(loss, augment).discriminator(judge, (real,), (fake,), 0).scalars
        assert scalars["r1"].item() == pytest.approx(slope**2 / 2)
        assert scalars["gradient_penalty"].item() == pytest.approx((slope - 1) ** 2, abs=1e-5)
        assert len(seen) == 4 and torch.equal(seen[0], slope * real) and torch.equal(seen[1], slope * fake)
        assert torch.equal(seen[3], slope * real)
        seen.clear()
        Objective(loss, augment).generator(judge, (fake,), (real,))
        assert torch.equal(seen[0], slope * fake)


@pytest.mark.parametrize("augment", later([name for name in NAMES if name != "none"]))
@pytest.mark.parametrize("name", [name for name in MODELS if system(name).losses != () and not system(name).refuses_augment])
def test_every_model_plays_behind_every_augmentation(name, augment):
    torch.manual_seed(1)
    spec, calls = spec_for(name), []
    loss = compose_loss(next(rule for rule in ("nonsaturating", "lsgan", "hinge") if system(name).losses is None
                             or rule in system(name).losses), r1={"weight": 1.0})
    model = compose_model(name, loss, spec).train()
    model.objective.augment = built(augment, spec.shape, **({"p": 1.0} if augment == "ada" else {}))
    model.objective.augment.register_forward_hook(lambda *_: calls.append(1))
    batch, behind = batch_for(spec), set()
    model.begin(batch)
    for players, progress in phases_of(model):
        for player in players:
            calls.clear()
            found, _ = take_turn(model, player, batch, progress)
            assert found.isfinite() and any(p.grad is not None and p.grad.abs().sum() > 0
                                            for network in model.players[player] for p in network.parameters())
            behind |= {player} if calls else set()
    assert behind == set(model.players)  # each in some phase


def test_off_is_nothing_and_on_is_state():
    model = compose_model("dcgan")
    assert not any("augment" in key for key in model.state_dict())
    model.objective.augment = built("ada", (1, 16, 16))
    assert {key for key in model.state_dict() if "augment" in key} == {
        f"objective.augment.{key}" for key in ("p", "r", "signs", "images", "rounds")}


DCGAN = (*TINY, *SMALL_NETWORKS["dcgan"], "trainer.record_kimg=0.004", "trainer.checkpoint_kimg=0.008")


def test_a_run_records_the_probability(tmp_path):
    run(tmp_path / "a", *DCGAN, "augment=ada", "augment.p=0.2", "augment.target=-1", "augment.interval=1", "augment.kimg=1",
        "trainer.kimg=0.02")
    lines = [json.loads(line) for line in (tmp_path / "a/stats.jsonl").read_text().splitlines()]
    steps = [line["discriminator/augment_p"] for line in lines]
    assert steps == sorted(steps) and steps[0] == pytest.approx(0.2) and steps[-1] <= 0.2 + 4 * 0.004 + 1e-6
    assert all(-1 <= line["discriminator/augment_r"] <= 1 for line in lines)


@pytest.mark.recipe
def test_a_look_ahead_teaches_the_controller_nothing(tmp_path):
    found = []
    for number, unrolled in enumerate((0, 3)):
        made = plan(tmp_path / str(number), *DCGAN, "augment=ada", "augment.interval=9", f"trainer.unrolled={unrolled}",
                    "trainer.kimg=0.008")
        train(made)
        found.append(read_checkpoint(CheckpointFolder(tmp_path / str(number)).latest()).tensors)
    assert [tensors["model/objective.augment.signs"][1].item() for tensors in found] == [8, 8]


@pytest.mark.recipe
def test_a_run_of_before_there_were_augmentations_goes_on_without(tmp_path):
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.008")
    config = OmegaConf.load(tmp_path / "a/config.yaml")
    assert config.pop("augment") == {"name": "none"}
    OmegaConf.save(config, tmp_path / "a/config.yaml")
    with pytest.raises(UserError, match="augment.name is none in the run and ada here"):
        resume(tmp_path / "a", "augment=ada", "trainer.kimg=0.016")
    assert train(resume(tmp_path / "a", "trainer.kimg=0.016")).status == "finished"


def test_what_no_augmentation_can_change_is_refused():
    loss, tokens = compose_loss("nonsaturating"), SimpleNamespace(kind="tokens")
    model = SimpleNamespace(objective=Objective(loss, built("noise", (16,))), discriminators=("discriminator",),
                            refuses_augment="")
    options = SimpleNamespace(name="x")
    with pytest.raises(UsageError, match="holds tokens: leave augment= out"):
        _check_augment(model, SimpleNamespace(augment=options, loss=loss, spec=tokens, model=options))
    none = SimpleNamespace(rule="none")
    with pytest.raises(UsageError, match="adversarial loss sees, and model=x has none"):
        _check_augment(model, SimpleNamespace(augment=options, loss=none, spec=tokens, model=options))


@pytest.mark.recipe
def test_validate_says_what_is_on():
    for name, words in (("none", None), ("ada", "rises or falls by 1 in 500 kimg"), ("diffaugment", "one channel"),
                        ("noise", "falling to 0 over 100 kimg")):
        text = report(compose("train", [*TINY, f"augment={name}"]), [])
        assert ("\naugment " in text) == (words is not None) and (words or "") in text
