"""The progress of several pieces of work after each other."""

from gancli.explore import stages
from gancli.explore.stages import Stages


def test_each_piece_of_work_has_its_own_total(monkeypatch):
    made = []

    class Screen:
        live = None

        def __init__(self, label, total, **options):
            self.shown = [(label, total)]
            made.append(self)

        def update(self, done):
            self.shown.append(done)

        def close(self):
            self.shown.append("closed")

    monkeypatch.setattr(stages, "Screen", Screen)
    with Stages() as told:
        for done, total in ((5, 10), (10, 10), (20, 60), (40, 60)):  # held-out data, then those of training
            told.decoding(done, total)
    assert [screen.shown for screen in made] == [[("decoding", 10), 5, "closed"], [("decoding", 60), 20, 40, "closed"]]
