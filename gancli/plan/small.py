"""What a run's settings become for data that are few, or of no certain size; said in a sentence each."""

from typing import Any

from gancli.data.source import Source
from gancli.data.spec import DataSpec


def suit_to_data(config: dict[str, Any], source: Source, spec: DataSpec, ranks: int) -> list[str]:
    """Write into `config` the size that the source chose and the batch that the data fill; return what was done.

    What is written is what later commands and a continued run find, whatever becomes of the folder.

    Args:
        config: the groups `dataset` and `trainer` of the run, resolved.
    """
    done = []
    if source.chosen_size is not None:
        height, width = source.chosen_size
        config["dataset"]["size"] = height if height == width else [height, width]
        done.append(source.size_note)
    trainer = config["trainer"]
    parts = ranks * trainer["accumulate"]
    fits = spec.count // parts * parts
    if trainer["batch_size"] <= spec.count or not fits:  # with none, the check of the batch says so
        return done
    asked, trainer["batch_size"] = trainer["batch_size"], fits
    return [*done, f"The data hold {spec.count:,} examples, fewer than a batch of {asked}: trainer.batch_size={fits}."]
