"""From options to batches on the training device: `open_source`, `load_data`, `Data`.

Legend: N batch, C channels, H height, W width, P coordinates, T tokens, A attributes, D examples of a domain, L labeled ones.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.data.crops import Crops, cropped
from gancli.data.crops import told as told_of_crops
from gancli.data.labeled import choose, partly_labeled, told
from gancli.data.listing import exists
from gancli.data.oracle import Oracle
from gancli.data.order import LABELED, Draws, Order
from gancli.data.second import in_two_domains
from gancli.data.source import Source
from gancli.data.spec import Batch, DataSpec
from gancli.data.store import Decoded, Progress, decode
from gancli.errors import UsageError, UserError
from gancli.options import typed
from gancli.ranks import shards
from gancli.registry import datasets

DEVICE_SHARE = 0.25  # of an accelerator's free memory that the decoded data may take
FIRST_SEED = 20140610  # of the fixed examples in grids: the same in every run


def data_folder(data_dir: str | os.PathLike | None) -> Path:
    """Return the folder that data sets are read from and downloaded to; null means $GAN_DATA, then the cache."""
    chosen = data_dir or os.environ.get("GAN_DATA") or "~/.cache/gancli/data"
    folder = Path(os.path.abspath(os.path.expanduser(chosen)))
    if exists(folder) and not folder.is_dir():
        raise UserError(f"data_dir={folder} is a file: give the folder that holds the data sets.")
    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"data_dir={folder} cannot be read: change its permissions, or give another folder.")
    return folder


def open_source(values: Mapping[str, Any], data_dir: str | os.PathLike | None) -> Source:
    """Return the source that the options (group `dataset`) name; nothing is read yet, nothing created.

    Raises:
        UsageError: unknown name, option, type or range.
        UserError: the folder is missing, empty or unreadable.
    """
    name = values["name"] if "name" in values else None
    if not isinstance(name, str):
        raise UsageError("dataset.name is missing: choose a data set, for example dataset=digits.")
    component = datasets.get(name)
    options = typed(component.options, values, "dataset")
    return in_two_domains(component.build(options, data_folder(data_dir)), getattr(options, "second", None))


def load_data(values: Mapping[str, Any], data_dir: str | os.PathLike | None, device: torch.device | str, seed: int,
              progress: Progress | None = None) -> "Data":
    """Return the decoded data, ready to give batches on `device`; downloads and decodes where it must."""
    source = open_source(values, data_dir)
    source.prepare()
    source.inspect()
    whole = source.look()
    decoded = decode(source, whole, getattr(source.options, "store", "memory"), progress or (lambda done, total: None))
    whole = replace(whole, count=max(len(examples) for examples in decoded.examples))
    spec = partly_labeled(cropped(whole, source.options), source.options)
    notes = (*source.notes, *filter(None, [source.size_note]), *told_of_crops(spec, whole))
    data = Data(spec, decoded, torch.device(device), seed, getattr(source.options, "flip", False), notes,
                getattr(source.options, "crops", None) is not None)
    if hasattr(source, "centers"):
        data.mixture = source.centers(), source.stds(), source.weights()
    if hasattr(source, "oracle"):
        data.oracle = source.oracle()
    data.split = getattr(source.options, "split", "all")
    data.second = getattr(source.options, "second", None)
    return data


def check_batch(spec: DataSpec, n: int) -> None:
    """Raise a UserError if a batch of `n` is larger than the data set."""
    if n > spec.count:
        raise UserError(f"A batch of {n} is larger than the data set of {spec.count}: "
                        f"give trainer.batch_size={spec.count} or less.")


class Data:
    """A decoded data set and the endless, stateless order in which it is shown.

    `spec.count` counts what could be decoded; `fingerprint` is a checksum over every decoded byte; `notes` are
    sentences for the run's log; `skipped` names broken files.  `labeled_rows` [L] are those of the first domain's
    examples whose labels batches may tell, None where that is all of them; `labels` and `first` tell every label.
    """

    def __init__(self, spec: DataSpec, decoded: Decoded, device: torch.device, seed: int, flip: bool = False,
                 notes: tuple[str, ...] = (), crops: bool = False) -> None:
        """Hold the decoded data.

        Args:
            flip: mirror half of the images.
            crops: examples are crops of the spec's shape out of the decoded images.
        """
        self.spec = spec
        self.fingerprint = decoded.digest
        self.skipped = tuple(decoded.skipped)
        self.store_path = decoded.path
        self.labeled_rows: Tensor | None = None
        self.notes = (*notes, *skipped_note(decoded.skipped))
        self.device = device
        self.split = "all"  # which part of the data set this is
        self.second: str | None = None  # how the second domain was made of images of the first kind
        self.mixture: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None  # a toy's centers, deviations, weights
        self.oracle: Oracle | None = None  # what drew the sequences, where that is known
        flip = flip and spec.is_image
        self._examples = [torch.from_numpy(examples) for examples in decoded.examples]  # [D, H, W, C], [D, P] or [D, T]
        self.on_device = device.type == "cpu" or fits(self._examples, device)
        if self.on_device:
            self._examples = [examples.to(device) for examples in self._examples]
        self._labels = None if decoded.labels is None else torch.from_numpy(decoded.labels).to(device)
        self._attributes = None if decoded.attributes is None else torch.from_numpy(decoded.attributes).to(device)
        self._crops = [Crops(len(images), images.shape[1:3], spec.shape[1:], max(1, spec.reduction)) if crops else None
                       for images in self._examples]
        domains = [0] if spec.paired else range(len(self._examples))
        orders = [Order(len(self._examples[domain]), seed, domain, device, flip) if cuts is None
                  else Draws(cuts.total, seed, domain, device, flip) for domain in domains for cuts in (self._crops[domain],)]
        self._orders = orders * len(self._examples) if spec.paired else orders
        if spec.labeled:
            labels = torch.from_numpy(decoded.labels)
            self.labeled_rows = choose(labels, spec.labeled, len(spec.classes), seed)
            self.notes += told(self.labeled_rows, labels, spec, seed)
            self._labeled_order = Order(spec.labeled, seed, LABELED, device, flip, among=self.labeled_rows)

    def batch(self, images: int, n: int, parts: int = 1) -> Batch:
        """Return this rank's share of the `n` examples that follow after `images` shown: its slice of each of `parts`.

        Paired domains share order and flips.  Where only some labels are known, as many labeled examples come beside
        these, in an order of their own.
        """
        taken = [_mine(order.take(images, n), parts) for order in self._orders]
        domains = tuple(self._assembled(domain, *rows) for domain, rows in enumerate(taken))
        if self.labeled_rows is None:
            return self._with_labels(domains, taken[0][1])
        rows = _mine(self._labeled_order.take(images, n), parts)
        labeled = self._with_labels((self._assembled(0, *rows),), rows[1])
        return replace(self._with_labels(domains, taken[0][1]), labels=None, labeled=labeled)

    def first(self, n: int) -> Batch:
        """Return `n` fixed examples, never mirrored: one of each class in turn where there are labels."""
        rows = [torch.randperm(len(examples), generator=torch.Generator().manual_seed(FIRST_SEED))
                for examples in self._examples]  # equal for paired domains, whose lengths are equal
        if self._labels is not None:
            rows[0] = in_turn(rows[0], self._labels.cpu())
        rows = [some[torch.arange(n) % len(some)] for some in rows]
        rows = [some if crops is None else crops.at_some_place(some, FIRST_SEED)
                for some, crops in zip(rows, self._crops, strict=True)]
        domains = tuple(self._assembled(domain, some, some.to(self.device), None) for domain, some in enumerate(rows))
        return self._with_labels(domains, rows[0].to(self.device))

    @property
    def counts(self) -> tuple[int, ...]:
        """The examples of each domain."""
        return tuple(len(examples) if crops is None else crops.count
                     for examples, crops in zip(self._examples, self._crops, strict=True))

    def examples(self, rows: Tensor, domain: int = 0) -> Tensor:
        """Return the examples of a domain at `rows` [N] (on the CPU), never mirrored."""
        return self._assembled(domain, rows, rows.to(self.device), None)

    def domains(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the examples of every domain at `rows` [N] (on the CPU), which are each other's partners in paired data."""
        return tuple(self.examples(rows, domain) for domain in range(len(self.spec.domains)))

    def labels(self, rows: Tensor) -> Tensor | None:
        """Return the classes [N] int64 of the first domain's examples at `rows` [N] (on the CPU), on the device."""
        return self._with_labels((), rows.to(self.device)).labels

    def attributes(self, rows: Tensor) -> Tensor | None:
        """Return the attributes [N, A] of the first domain's examples at `rows` [N] (on the CPU), on the device."""
        return self._with_labels((), rows.to(self.device)).attributes

    def _with_labels(self, domains: tuple[Tensor, ...], rows: Tensor) -> Batch:
        """Return the examples as a batch with the labels and attributes that the first domain has at `rows`."""
        rows = rows if self._crops[0] is None else self._crops[0].image_of(rows)
        return Batch(domains, None if self._labels is None else self._labels.index_select(0, rows),
                     None if self._attributes is None else self._attributes.index_select(0, rows).float())

    def _assembled(self, domain: int, host_rows: Tensor, rows: Tensor, flips: Tensor | None) -> Tensor:
        """Return the rows as float32 [N, C, H, W] in [-1, 1] (channels last in memory) or [N, P], or as int64 [N, T]."""
        examples, crops = self._examples[domain], self._crops[domain]
        if crops is not None:
            chosen = crops.cut(examples, rows if self.on_device else host_rows).to(self.device)
        elif self.on_device:
            chosen = examples.index_select(0, rows)
        else:  # pinned memory comes from torch's caching allocator, which waits for copies still under way
            chosen = torch.empty((len(rows), *examples.shape[1:]), dtype=examples.dtype,
                                 pin_memory=self.device.type == "cuda")
            torch.index_select(examples, 0, host_rows, out=chosen)
            chosen = chosen.to(self.device, non_blocking=True)
        if not self.spec.is_image:
            return chosen.long() if self.spec.kind == "tokens" else chosen
        if flips is not None:
            chosen = mirrored(chosen, flips)
        return normalized(chosen)


def _mine(drawn: tuple[Tensor | None, ...], parts: int) -> list[Tensor | None]:
    """Return this rank's slice of the rows and flips that an order gives."""
    return [None if whole is None else shards.mine(whole, parts) for whole in drawn]


def normalized(pixels: Tensor) -> Tensor:
    """Return uint8 [N, H, W, C] as float32 [N, C, H, W] in [-1, 1], channels last in memory."""
    return pixels.float().mul_(1 / 127.5).sub_(1).permute(0, 3, 1, 2)


def mirrored(pixels: Tensor, flips: Tensor) -> Tensor:
    """Return uint8 [N, H, W, C] with the images mirrored where `flips` [N].

    Both ways are made and whole rows picked: five times as fast on a CPU as torch.where, and nothing waits.
    """
    n = len(pixels)
    return torch.cat([pixels, pixels.flip(2)]).index_select(0, torch.arange(n, device=pixels.device) + n * flips)


def in_turn(rows: Tensor, labels: Tensor) -> Tensor:
    """Return `rows` reordered so that the classes take turns, each class in the order of `rows`."""
    chosen = labels[rows]
    by_class = torch.argsort(chosen, stable=True)
    counts = torch.bincount(chosen)
    starts = torch.cumsum(counts, 0) - counts
    turn = torch.empty_like(by_class)
    turn[by_class] = torch.arange(len(rows)) - starts[chosen[by_class]]
    return rows[torch.argsort(turn * len(counts) + chosen)]


def skipped_note(skipped: list[str]) -> list[str]:
    """Return a sentence that names the first broken files, if there are any."""
    if not skipped:
        return []
    more = f" and {len(skipped) - 5} more" if len(skipped) > 5 else ""
    return [f"Skipped {len(skipped)} that could not be decoded: {', '.join(skipped[:5])}{more}."]


def fits(examples: list[Tensor], device: torch.device) -> bool:
    """Whether the examples may live on the accelerator."""
    needed = sum(part.numel() * part.element_size() for part in examples)
    if device.type == "cuda":
        return needed <= DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return needed <= DEVICE_SHARE * torch.mps.recommended_max_memory()
    return False
