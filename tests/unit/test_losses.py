"""Every adversarial rule equals its closed form on hand-made logits, keeps its gradient in the tails, and combines."""

import math

import pytest
import torch
from omegaconf import OmegaConf

from gancli.losses.adversarial import LARGEST_EXPONENT, bounded_exp, rule_of
from gancli.losses.objective import Objective
from gancli.losses.options import DIVERGENCES, RULES, LossOptions
from gancli.losses.penalties import clip_weights, dragan_penalty, gradient_penalty, zero_centered_penalty
from gancli.options import typed

REAL, FAKE = [2.0, -1.0, 0.5], [-0.5, 1.5, 0.25]


def options(rule: str, **changes) -> LossOptions:
    values = OmegaConf.merge(OmegaConf.load("conf/stabilizer/off.yaml"), {"name": rule, "rule": rule}, changes)
    return typed(LossOptions, values, "loss")


def mean(function, values):
    return sum(function(v) for v in values) / len(values)


def log_sigmoid(s):
    return math.log(1 / (1 + math.exp(-s)))


def log_one_minus(s):
    return math.log(1 - 1 / (1 + math.exp(-s)))


BCE = mean(lambda s: -log_sigmoid(s), REAL) + mean(lambda s: -log_one_minus(s), FAKE)
CLOSED = {  # rule: (discriminator, generator) on REAL and FAKE, written as the papers write them
    "minimax": (BCE, mean(log_one_minus, FAKE)),
    "nonsaturating": (BCE, -mean(log_sigmoid, FAKE)),
    "maximum_likelihood": (BCE, -mean(math.exp, FAKE)),
    "lsgan": (0.5 * mean(lambda s: (s - 1) ** 2, REAL) + 0.5 * mean(lambda s: s**2, FAKE),
              0.5 * mean(lambda s: (s - 1) ** 2, FAKE)),
    "hinge": (mean(lambda s: max(0, 1 - s), REAL) + mean(lambda s: max(0, 1 + s), FAKE), -mean(float, FAKE)),
    "wgan": (mean(float, FAKE) - mean(float, REAL), -mean(float, FAKE)),
    "rpgan": (mean(lambda p: -log_sigmoid(p[0] - p[1]), list(zip(REAL, FAKE))),
              mean(lambda p: -log_sigmoid(p[1] - p[0]), list(zip(REAL, FAKE)))),
}
CONJUGATES = {  # divergence: (output activation g_f, conjugate f*) exactly as in Nowozin 2016, tables 2 and 6
    "kl": (lambda v: v, lambda t: math.exp(t - 1)),
    "reverse_kl": (lambda v: -math.exp(-v), lambda t: -1 - math.log(-t)),
    "js": (lambda v: math.log(2) - math.log(1 + math.exp(-v)), lambda t: -math.log(2 - math.exp(t))),
    "pearson": (lambda v: v, lambda t: t**2 / 4 + t),
    "hellinger": (lambda v: 1 - math.exp(-v), lambda t: t / (1 - t)),
    "total_variation": (lambda v: 0.5 * math.tanh(v), lambda t: t),
}


def test_every_rule_and_divergence_is_tested():
    assert set(CLOSED) == set(RULES) - {"fgan", "none"} and len(CLOSED) == 7
    assert set(CONJUGATES) == set(DIVERGENCES) and len(CONJUGATES) == 6


@pytest.mark.parametrize("name", CLOSED)
def test_rule_equals_its_closed_form(name):
    rule = rule_of(options(name))
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    assert rule.discriminator(real, fake).item() == pytest.approx(CLOSED[name][0], rel=1e-5)
    assert rule.generator(fake, real).item() == pytest.approx(CLOSED[name][1], rel=1e-5)


@pytest.mark.parametrize("name", CONJUGATES)
def test_divergence_equals_its_closed_form(name):
    g, f_star = CONJUGATES[name]
    rule = rule_of(options("fgan", divergence=name, saturating=True))
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    bound = mean(g, REAL) - mean(lambda v: f_star(g(v)), FAKE)
    assert rule.discriminator(real, fake).item() == pytest.approx(-bound, rel=1e-5)
    assert rule.generator(fake).item() == pytest.approx(-mean(lambda v: f_star(g(v)), FAKE), rel=1e-5)
    alternative = rule_of(options("fgan", divergence=name))
    assert alternative.generator(fake).item() == pytest.approx(-mean(g, FAKE), rel=1e-5)


OPTIMAL = {  # divergence: the output v at which g_f(v) = f'(u), for the ratio u = p / q (Nowozin 2016, table 1)
    "kl": lambda u: 1 + math.log(u),
    "reverse_kl": math.log,
    "js": math.log,
    "pearson": lambda u: 2 * (u - 1),
    "hellinger": lambda u: math.log(u) / 2,
}


@pytest.mark.parametrize("ratio", [0.01, 0.5, 1.0, 3.0, 50.0])
@pytest.mark.parametrize("name", OPTIMAL)
def test_score_of_a_divergence_is_the_probability_of_real(name, ratio):
    optimal = torch.tensor(OPTIMAL[name](ratio), dtype=torch.float64, requires_grad=True)
    rule, bound = (rule_of(options("fgan", divergence=name, saturating=saturating)) for saturating in (False, True))
    (-ratio * rule.generator(optimal) + bound.generator(optimal)).backward()
    assert optimal.grad.item() == pytest.approx(0, abs=1e-9)  # the bound p g_f(v) - q f*(g_f(v)) is largest there
    assert rule.score(optimal.detach()).item() == pytest.approx(ratio / (1 + ratio))


def test_score_of_a_divergence_in_the_tails():
    outputs = torch.tensor([-1e4, -3.0, 1e4])
    for name in OPTIMAL:
        low, *_, high = rule_of(options("fgan", divergence=name)).score(outputs).tolist()
        assert low == pytest.approx(0, abs=1e-6) and high == pytest.approx(1, abs=1e-3)
    assert rule_of(options("fgan", divergence="total_variation")).score(outputs).equal(outputs)
    assert set(OPTIMAL) | {"total_variation"} == set(DIVERGENCES)


@pytest.mark.parametrize("name", [name for name in DIVERGENCES if name != "total_variation"])
def test_encoder_does_not_saturate_unless_asked(name):
    """Where the discriminator is sure of a real pair (s = 10), the encoder has a gradient; that of the bound may vanish."""
    gradients = []
    for saturating in (False, True):
        s = torch.tensor([10.0], requires_grad=True)
        rule_of(options("fgan", divergence=name, saturating=saturating)).encoder(s).backward()
        gradients.append(s.grad.item())
    assert gradients[0] > 0.99
    if name in ("js", "reverse_kl", "hellinger"):
        assert gradients[1] == pytest.approx(math.exp(-10), rel=1e-3)


def test_minimax_is_not_nonsaturating():
    """Where the discriminator is sure (s = -30), one gradient has vanished and the other has not."""
    gradients = {}
    for name in ("minimax", "nonsaturating"):
        s = torch.tensor([-30.0], requires_grad=True)
        rule_of(options(name)).generator(s).backward()
        gradients[name] = s.grad.item()
    assert abs(gradients["minimax"]) < 1e-12
    assert gradients["nonsaturating"] == pytest.approx(-1)


@pytest.mark.parametrize("s", [-1e4, -200.0, -18.5, 18.5, 200.0, 1e4])
@pytest.mark.parametrize("name", [*CLOSED, *(f"fgan/{d}" for d in DIVERGENCES)])
def test_tails_stay_finite(name, s):
    rule, _, divergence = name.partition("/")
    rule = rule_of(options(rule, **({"divergence": divergence} if divergence else {})))
    real = torch.tensor([s, -s], requires_grad=True)
    fake = torch.tensor([-s, s], requires_grad=True)
    losses = [rule.discriminator(real, fake), rule.generator(fake, real)]
    for loss in losses if rule.relativistic else [*losses, rule.encoder(real)]:
        gradients = torch.autograd.grad(loss, (real, fake), allow_unused=True)
        assert loss.isfinite() and all(g is None or g.isfinite().all() for g in gradients)


def test_tails_of_the_logistic_rules_are_exact():
    s = torch.tensor([-200.0])
    assert rule_of(options("nonsaturating")).generator(s).item() == 200
    assert rule_of(options("minimax")).discriminator(-s, -s).item() == 200
    assert rule_of(options("minimax")).discriminator(s, s).item() == 200


def test_bounded_exp_is_exp_and_then_its_tangent():
    v = torch.tensor([-50.0, 0.0, 19.0, 20.0, 21.0], dtype=torch.float64)
    expected = [*torch.tensor([-50.0, 0.0, 19.0, 20.0], dtype=torch.float64).exp().tolist(), 2 * math.exp(LARGEST_EXPONENT)]
    assert bounded_exp(v).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", [*CLOSED, "fgan"])
def test_encoder_pulls_real_pairs_towards_fake(name):
    """A step of the encoder's loss moves D(x, E(x)) to where the generator's own loss pushes D(G(z), z) from."""
    rule = rule_of(options(name))
    real = torch.tensor([0.3], requires_grad=True)
    (rule.generator(torch.tensor([0.1]), real) + rule.encoder(real)).backward()
    assert real.grad.item() > 0  # descent lowers the outputs on real pairs


def test_label_smoothing_moves_only_the_real_target():
    rule = rule_of(options("nonsaturating", label_smoothing=0.1))
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    expected = mean(lambda s: -0.9 * log_sigmoid(s) - 0.1 * log_one_minus(s), REAL) + mean(lambda s: -log_one_minus(s), FAKE)
    assert rule.discriminator(real, fake).item() == pytest.approx(expected, rel=1e-5)


def linear_judge(weight):
    return lambda x: (x.flatten(1) * weight).sum(1)


def test_gradient_penalty_of_a_linear_judge_is_exact():
    """|grad| of a linear critic is its weight's norm everywhere: 5 for (3, 4), 0.5 for (0.3, 0.4)."""
    real, fake = (torch.randn(8, 2),), (torch.randn(8, 2),)
    steep, flat = linear_judge(torch.tensor([3.0, 4.0])), linear_judge(torch.tensor([0.3, 0.4]))
    assert gradient_penalty(steep, real, fake, one_sided=False).item() == pytest.approx(16)
    assert gradient_penalty(steep, real, fake, one_sided=True).item() == pytest.approx(16)
    assert gradient_penalty(flat, real, fake, one_sided=False).item() == pytest.approx(0.25)
    assert gradient_penalty(flat, real, fake, one_sided=True).item() == 0
    assert dragan_penalty(steep, real).item() == pytest.approx(16)
    assert zero_centered_penalty(steep, real).item() == pytest.approx(12.5)


def test_penalty_of_a_pair_takes_both_gradients_and_ignores_labels():
    def judge(x, z, labels):
        assert not labels.is_floating_point()
        return 3 * x.flatten(1).sum(1) + 4 * z.flatten(1).sum(1)

    labels = torch.arange(6)
    pair = (torch.randn(6, 1), torch.randn(6, 1), labels)
    assert zero_centered_penalty(judge, pair).item() == pytest.approx(12.5)
    assert gradient_penalty(judge, pair, pair, one_sided=False).item() == pytest.approx(16)


def test_penalty_of_a_patch_judge_is_of_the_mean_over_patches():
    def judge(x):
        return (5 * x).expand(-1, 1, 4, 4)  # x: [N, 1, 1, 1]

    assert zero_centered_penalty(judge, (torch.randn(3, 1, 1, 1),)).item() == pytest.approx(12.5)


def test_penalties_reach_the_weights_through_second_derivatives():
    layer = torch.nn.Linear(2, 1)
    penalty = gradient_penalty(lambda x: layer(x).squeeze(1), (torch.randn(4, 2),), (torch.randn(4, 2),), False)
    gradient, = torch.autograd.grad(penalty, layer.weight)
    norm = layer.weight.norm()
    assert torch.allclose(gradient, 2 * (norm - 1) * layer.weight / norm, atol=1e-5)


def test_lazy_penalty_is_applied_every_interval_with_its_weight_multiplied():
    judge = linear_judge(torch.tensor([3.0, 4.0]))
    x = (torch.zeros(2, 2),)
    values = []
    for turn in range(8):
        loss, scalars, *_ = Objective(options("wgan", r1={"weight": 2.0, "interval": 4})).discriminator(judge, x, x, turn)
        assert ("r1" in scalars) == (turn % 4 == 0)
        values.append(loss.item())
    assert values == pytest.approx([100, 0, 0, 0, 100, 0, 0, 0])


def test_one_pass_equals_two():
    judge = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1), torch.nn.Flatten(0))
    real, fake = (torch.randn(5, 4),), (torch.randn(5, 4),)
    objective = Objective(options("hinge"))
    two, *_ = objective.discriminator(judge, real, fake, 0)
    objective.one_pass = True
    one, scalars, *_ = objective.discriminator(judge, real, fake, 0)
    assert torch.allclose(one, two) and set(scalars) == {"adversarial", "D(x)", "D(G(z))"}


def test_clip_weights():
    layer = torch.nn.Linear(3, 3)
    clip_weights([layer], 0.01)
    assert max(p.abs().max().item() for p in layer.parameters()) <= 0.01
