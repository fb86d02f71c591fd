"""What `gan validate -m` tells of a sweep: a line for each job, and what all of them would take one after the other."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from gancli.config.compose import compose, jobs_of
from gancli.config.explain import TRANSLATED, explain
from gancli.engine.plan import Plan
from gancli.errors import UserError
from gancli.monitor.durations import clock, in_words
from gancli.plan.price import price
from gancli.plan.run import plan_run

CHEAP = {"seed", "lr", "betas"}  # keys that do not change what a run costs: such jobs share one measurement


def report(overrides: list[str], config_dir: Path | None, priced: bool) -> Iterator[str]:
    """Yield the lines; jobs that could not be trained say why.

    Raises:
        UserError: the command line does not compose, or no job of the sweep could be trained.
    """
    try:
        swept, jobs = jobs_of("train", overrides, config_dir)
    except TRANSLATED as error:
        raise explain(error, "train", overrides, config_dir) from None
    shared = set(jobs[0]).intersection(*jobs)
    known: dict[str, float] = {}
    valid, seconds, problems = 0, 0.0, set()
    for number, given in enumerate(jobs):
        name = f"{number:<4}{' '.join(word for word in given if word not in shared) or 'all trials'}"
        try:
            plan = plan_run(compose("train", given, config_dir), given)
            cost = _once(known, plan, lambda plan: price(plan).total_s) if priced else 0.0
        except UserError as error:
            problems.add(str(error))
            yield f"{name}: {error}"
            continue
        valid, seconds = valid + 1, seconds + cost
        absent = f"; {plan.absent[0]}" if plan.absent else ""
        yield f"{name}: valid, {plan.total_images / 1000:g} kimg{', about ' + in_words(cost) if priced else ''}{absent}"
    if not valid:
        raise UserError(f"No job of this sweep could be trained: {min(problems)}")
    yield _sum(swept.count, len(jobs), valid, seconds, priced)


def _once(known: dict[str, float], plan: Plan, measure: Callable[[Plan], float]) -> float:
    """Return a plan's cost, measured once for all plans that cost the same."""
    key = json.dumps(_costly(plan.config), sort_keys=True)
    if key not in known:
        known[key] = measure(plan)
    return known[key]


def _costly(node: object) -> object:
    """Return a configuration without what does not change its cost."""
    if isinstance(node, dict):
        return {key: _costly(value) for key, value in node.items() if key not in CHEAP}
    return node


def _sum(count: int, listed: int, valid: int, seconds: float, priced: bool) -> str:
    """Return the last line: how many jobs, and what they take together."""
    if listed == 1 and count > 1:  # a sampler chooses the values
        told = f"{count} jobs, whose values a sampler chooses"
        seconds *= count
    else:
        told = f"{valid} of {count} jobs could be trained"
    if not priced:
        return f"{told}; nothing was created (price=true tells hours)"
    return f"{told}; about {in_words(seconds)} one after the other, done at {clock(seconds)} if begun now; measured here"
