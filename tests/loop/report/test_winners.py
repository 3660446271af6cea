from dataclasses import replace

from loop.report.page import build_report
from loop.report.view import page_view
from loop.report.winners import winners


def test_generators_are_counted_most_often_first(record):
    one = page_view(record).found[0]
    generators = ("prototype: AFLOW B1", "ordered lattice: fcc", "", "ordered lattice: hcp", "ordered lattice: fcc")
    found = [replace(one, generator=generator) for generator in generators]
    assert winners(found) == "3 ordered lattice (2 fcc; 1 hcp), 1 prototype (1 AFLOW B1)"
    assert winners([]) == ""


def test_the_page_says_which_generator_won(record, tmp_path):
    build_report(record, tmp_path)
    text = (tmp_path / "index.html").read_text()
    said = winners(page_view(record).found)
    assert (f"Where the lowest structures came from: {said}." in text) == bool(said)
