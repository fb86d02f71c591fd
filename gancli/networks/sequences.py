"""Networks on sequences of tokens: an LSTM that writes them and a convolutional network that judges them (Yu 2017).

Legend: N sequences, T tokens of each, V vocabulary, E embedding, U units, P places of a sequence, R roll-outs of each.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gancli.networks.layers import Dropout

AT_ONCE = 1 << 20  # probabilities in memory at once on a CPU: they stay in its cache
AT_ONCE_ELSEWHERE = 1 << 26


class State(NamedTuple):
    """What an LSTM remembers of the tokens so far."""

    hidden: Tensor  # [N, U]
    cell: Tensor  # [N, U]


class Writer(nn.Module):
    """An LSTM that gives each token's probabilities by those before it.

    Token 0 stands in front of every sequence.  What follows the token that ends a text is that token again, without a
    choice.
    """

    def __init__(self, vocabulary: int, embedding: int, units: int, end: int | None = None, std: float = 0.1) -> None:
        """Create the weights, biases among them, from N(0, std^2).

        Args:
            end: the token that ends a text; None where all sequences are equally long.
        """
        super().__init__()
        self.vocabulary, self.units, self.end = vocabulary, units, end
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.inputs = nn.Linear(embedding, 4 * units)  # of the gates: input, forget, cell, output
        self.recurrent = nn.Linear(units, 4 * units, bias=False)
        self.output = nn.Linear(units, vocabulary)
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0.0, std)

    def first(self, n: int) -> State:
        """Return the state in front of n sequences."""
        nothing = self.output.weight.new_zeros(n, self.units)
        return State(nothing, nothing)

    def step(self, read: Tensor, state: State) -> State:
        """Return the state after further tokens, of which [N, 4 U] was read (an LSTM with forget gates, no peepholes)."""
        enters, stays, new, leaves = (read + self.recurrent(state.hidden)).chunk(4, 1)
        cell = stays.sigmoid() * state.cell + enters.sigmoid() * new.tanh()
        return State(leaves.sigmoid() * cell.tanh(), cell)

    def read(self, tokens: Tensor) -> Tensor:
        """Return what tokens [...] say to the gates, [..., 4 U]."""
        return self.inputs(self.embedding(tokens))

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """Return log p(y_t | y_1 .. y_t-1) in nats of each token, [N, T] float32; 0 where it is no choice."""
        before = torch.cat((torch.zeros_like(tokens[:, :1]), tokens[:, :-1]), 1)
        state, hidden = self.first(len(tokens)), []
        for read in self.read(before).unbind(1):
            state = self.step(read, state)
            hidden.append(state.hidden)
        logits = self.output(torch.stack(hidden, 1).flatten(0, 1)).float()  # [N * T, V]
        logs = -cross_entropy(logits, tokens.flatten(), reduction="none").view_as(tokens)
        return logs * self.chosen(tokens)

    def chosen(self, tokens: Tensor) -> Tensor:
        """Return 1 for each token up to a text's end, the end among them, and 0 behind it, [N, T] float32."""
        if self.end is None:
            return torch.ones_like(tokens, dtype=torch.float32)
        ended = (tokens == self.end).cumsum(1)
        return (ended - (tokens == self.end).long() == 0).float()

    def choose(self, hidden: Tensor, u: Tensor) -> Tensor:
        """Return the tokens [N] that uniform numbers u [N] choose: those at which the distribution functions pass them."""
        size = max(1, (AT_ONCE if hidden.device.type == "cpu" else AT_ONCE_ELSEWHERE) // self.vocabulary)
        parts = [inverted(self.output(some).float(), numbers) for some, numbers in zip(hidden.split(size), u.split(size))]
        return torch.cat(parts)

    def write(self, u: Tensor) -> tuple[Tensor, list[State]]:
        """Return the sequences [N, T] that uniform numbers u [N, T] choose, and the states in which each token was chosen."""
        tokens, states, state = torch.zeros_like(u[:, 0], dtype=torch.int64), [], self.first(len(u))
        ended, written = torch.zeros_like(tokens, dtype=torch.bool), []
        for numbers in u.unbind(1):
            state = self.step(self.read(tokens), state)
            states.append(state)
            tokens, ended = self._next(state, numbers, ended)
            written.append(tokens)
        return torch.stack(written, 1), states

    def roll_out(self, tokens: Tensor, states: Sequence[State], u: Tensor) -> Tensor:
        """Complete every beginning of sequences, all places and roll-outs at once, from the states that `write` was in.

        A beginning of p tokens is not read again: its roll-outs join the others where the sequence was p tokens long.

        Args:
            tokens: [N, T], as `write` returned them with their states.
            u: uniform numbers [N, R, T - 1, T].

        Returns:
            [T - 1, R, N, T], row p - 1 the sequences whose first p tokens are the given ones.
        """
        n, roll_outs, places, length = u.shape
        whole = tokens.expand(places, roll_outs, n, length).clone()
        numbers = u.permute(2, 1, 0, 3)  # [T - 1, R, N, T]
        state, chosen = self.first(0), tokens[:0, 0]
        ended = torch.zeros_like(chosen, dtype=torch.bool)
        for place in range(1, length):
            state = self.step(self.read(chosen), state)
            state = State(*(torch.cat((old, new.repeat(roll_outs, 1))) for old, new in zip(state, states[place])))
            ended = torch.cat((ended, self._over(tokens[:, :place]).repeat(roll_outs)))
            chosen, ended = self._next(state, numbers[:place, :, :, place].flatten(), ended)
            whole[:place, :, :, place] = chosen.view(place, roll_outs, n)
        return whole

    def _next(self, state: State, u: Tensor, ended: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens [N] that u [N] chooses in a state, and which sequences have ended with them."""
        chosen = self.choose(state.hidden, u)
        if self.end is None:
            return chosen, ended
        chosen = torch.where(ended, self.end, chosen)
        return chosen, chosen == self.end

    def _over(self, tokens: Tensor) -> Tensor:
        """Return which beginnings [N, T] hold a text's end, [N]."""
        return torch.zeros_like(tokens[:, 0], dtype=torch.bool) if self.end is None else (tokens == self.end).any(1)


def inverted(logits: Tensor, u: Tensor) -> Tensor:
    """Return the categories [N] at which the distribution functions of logits [N, V] first exceed u [N] in [0, 1).

    The sums of blocks are searched first and then one block, which takes half the time of summing up everything.
    """
    n, size = logits.shape
    block = math.isqrt(size - 1) + 1
    weights = (logits - logits.amax(1, keepdim=True)).exp()
    weights = nn.functional.pad(weights, (0, -size % block)).view(n, -1, block)
    sums = weights.sum(2).cumsum(1)
    wanted = u[:, None] * sums[:, -1:]
    place = torch.searchsorted(sums, wanted, right=True).clamp_(max=sums.shape[1] - 1)  # [N, 1]
    before = torch.where(place > 0, sums.gather(1, (place - 1).clamp_(min=0)), 0.0)
    inside = weights.gather(1, place[:, :, None].expand(-1, 1, block))[:, 0].cumsum(1)
    within = torch.searchsorted(inside, wanted - before, right=True).clamp_(max=block - 1)
    return (place * block + within).squeeze(1).clamp_(max=size - 1)


class Reader(nn.Module):
    """A convolutional network that judges sequences: windows of several widths and a highway layer (Kim 2014, Yu 2017)."""

    def __init__(self, vocabulary: int, length: int, embedding: int, widths: Sequence[int], filters: Sequence[int],
                 dropout: float) -> None:
        """Create the weights as the authors' code does; windows wider than a sequence are left out."""
        super().__init__()
        windows = [(width, count) for width, count in zip(widths, filters, strict=True) if width <= length]
        size = sum(count for _, count in windows)
        self.widths = [width for width, _ in windows]
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.windows = nn.ModuleList(nn.Linear(width * embedding, count) for width, count in windows)
        self.transform, self.gate = nn.Linear(size, size), nn.Linear(size, size)
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(size, 2)
        nn.init.uniform_(self.embedding.weight, -1.0, 1.0)
        for layer in (*self.windows, self.output):
            nn.init.trunc_normal_(layer.weight, 0.0, 0.1, -0.2, 0.2)
            nn.init.constant_(layer.bias, 0.1)
        for layer in (self.transform, self.gate):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, tokens: Tensor, drops: bool = True) -> Tensor:
        """Return the logits of generated and real of sequences [N, T], [N, 2] float32.

        Args:
            drops: whether dropout is on while training.
        """
        embedded = self.embedding(tokens)  # [N, T, E]
        pooled = [layer(embedded.unfold(1, width, 1).flatten(2)).amax(1) for width, layer in zip(self.widths, self.windows)]
        features = torch.cat(pooled, 1).relu()  # the largest of what passed a ReLU
        gate = self.gate(features).sigmoid()
        features = gate * self.transform(features).relu() + (1 - gate) * features
        return self.output(self.dropout(features) if drops else features).float()
