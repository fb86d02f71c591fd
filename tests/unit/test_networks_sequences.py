"""The LSTM that writes sequences and the network that judges them, against closed forms in float64."""

from itertools import product

import pytest
import torch
from torch import nn

from gancli.networks import sequences
from gancli.networks.sequences import Reader, Writer, inverted


def writer(end=None, vocabulary=5, **sizes) -> Writer:
    torch.manual_seed(0)
    return Writer(vocabulary, 3, 4, end, std=1.0, **sizes).double()


def test_it_is_an_lstm():
    torch.manual_seed(1)
    model, cell = writer(), nn.LSTMCell(3, 4).double()
    with torch.no_grad():
        cell.weight_ih.copy_(model.inputs.weight)
        cell.weight_hh.copy_(model.recurrent.weight)
        cell.bias_ih.copy_(model.inputs.bias)
        cell.bias_hh.zero_()
    tokens = torch.randint(5, (6, 4))
    state, known, logs = None, torch.cat((torch.zeros(6, 1, dtype=torch.int64), tokens[:, :-1]), 1), []
    for place in range(4):
        state = cell(model.embedding(known[:, place]), state)
        logs.append(model.output(state[0]).log_softmax(1).gather(1, tokens[:, place, None]))
    torch.testing.assert_close(model.log_likelihood(tokens).double(), torch.cat(logs, 1), atol=1e-5, rtol=1e-5)


def test_weights_and_biases_start_as_the_papers():
    torch.manual_seed(0)
    deviations = {name: p.std().item() for name, p in Writer(5000, 32, 32).named_parameters()}
    assert len(deviations) == 6 and all(0.08 < value < 0.12 for value in deviations.values()), deviations


@pytest.mark.parametrize("end", [None, 0])
def test_all_sequences_together_have_the_probability_one(end):
    model = writer(end, vocabulary=3)
    every = torch.tensor(list(product(range(3), repeat=4)))
    if end is not None:  # behind an end there is nothing else
        every = every[[row[row.index(end):] == [end] * (4 - row.index(end)) if end in row else True for row in every.tolist()]]
    assert len(every) == (81 if end is None else 31)
    assert model.log_likelihood(every).sum(1).exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", [2, 3, 7, 50, 101])
def test_distribution_functions_are_inverted(size):
    torch.manual_seed(0)
    logits, u = torch.randn(400, size, dtype=torch.float64) * 3, torch.rand(400, dtype=torch.float64)
    expected = (logits.softmax(1).cumsum(1) <= u[:, None]).sum(1)
    assert torch.equal(inverted(logits, u), expected)
    edges = inverted(logits[:2], torch.tensor([0.0, 1.0]))
    assert edges[0] == 0 and edges[1] == size - 1


def test_uniform_numbers_write_sequences_as_often_as_they_are_likely():
    model = writer(0, vocabulary=3)
    grid = (torch.arange(24) + 0.5) / 24
    tokens, states = model.write(torch.cartesian_prod(grid, grid, grid).double())
    assert len(states) == 3 and tokens.shape == (24**3, 3)
    found, counts = tokens.unique(dim=0, return_counts=True)
    likely = model.log_likelihood(found).sum(1).exp()
    assert (counts / len(tokens) - likely).abs().max() < 0.05
    assert not ((tokens[:, :-1] == 0) & (tokens[:, 1:] != 0)).any()  # an end stays one


@pytest.mark.parametrize("end", [None, 0])
def test_roll_outs_are_what_writing_on_from_each_beginning_gives(end, monkeypatch):
    model, places = writer(end), 5
    monkeypatch.setattr(sequences, "AT_ONCE", 15)  # three rows at once
    tokens, states = model.write(torch.rand(3, places + 1, dtype=torch.float64))
    u = torch.rand(3, 2, places, places + 1, dtype=torch.float64)
    rolled = model.roll_out(tokens, states, u)
    assert rolled.shape == (places, 2, 3, places + 1)
    for n, r, p in product(range(3), range(2), range(places)):
        row = tokens[n, :p + 1].tolist()
        for place in range(p + 1, places + 1):
            if end is not None and end in row:
                row.append(end)
                continue
            state = model.first(1)
            for token in [0, *row]:
                state = model.step(model.read(torch.tensor([token])), state)
            row.append(inverted(model.output(state.hidden), u[n, r, p, place, None]).item())
        assert rolled[p, r, n].tolist() == row


def test_the_reader_slides_its_windows():
    torch.manual_seed(0)
    judge = Reader(5, 4, 3, [1, 3, 9], [2, 4, 8], 0.5).double().eval()
    assert judge.widths == [1, 3]
    tokens = torch.randint(5, (6, 4))
    embedded = judge.embedding(tokens).transpose(1, 2)  # [N, E, T]
    pooled = []
    for width, layer in zip(judge.widths, judge.windows, strict=True):
        weight = layer.weight.view(-1, 3, width)
        pooled.append(torch.conv1d(embedded, weight, layer.bias).relu().amax(2))
    x = torch.cat(pooled, 1)
    gate = judge.gate(x).sigmoid()
    expected = judge.output(gate * judge.transform(x).relu() + (1 - gate) * x).float()
    torch.testing.assert_close(judge(tokens), expected)
    judge.train()
    assert torch.equal(judge(tokens, drops=False), expected) and not torch.equal(judge(tokens), expected)
