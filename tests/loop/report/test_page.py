import dataclasses
import re

import pandas as pd
import pytest

from loop.records import CampaignRecord, CycleRecord
from loop.report.charts import bump_chart, latent_map, traces
from loop.report.citations import citations
from loop.report.field_maps import draw_fields
from loop.report.found import near_hull
from loop.report.page import build_report
from loop.report.readable import mev, plain, sentence, whole
from loop.report.tables import probe_table
from loop.report.view import page_view
from loop.units import cpu_time

EMPTY = CampaignRecord(name="new", settings={"seed": 1}, settings_hash="0", versions={}, data={})


def text_of(page):
    return page.read_text(encoding="utf-8")


def test_one_page_with_maps_and_tables_beside_it(record, tmp_path):
    page = build_report(record, tmp_path / "report")
    made = {str(path.relative_to(tmp_path / "report")) for path in (tmp_path / "report").rglob("*") if path.is_file()}
    assert made >= {"index.html", "maps/Li-Sn-S-Cl.png", "maps/Li-Sn-S-Cl.svg", "maps/Li-Sn-S-Br.png"}
    assert made >= {"tables/probes_Li-Sn-S-Cl.csv", "tables/ranking_cycle_1.csv", "tables/ranking_cycle_2.csv"}
    html = text_of(page)
    assert html.count('src="data:image/webp') == 2
    assert "chgnet-0.3.0" in html
    assert "2 cycles completed" in html
    assert "contact below 0.6 of the radii" in html
    assert "prototype search" in html
    assert page.stat().st_size < 15e6


def test_maps_drawn_by_two_processes_are_those_drawn_by_one(record, tmp_path):
    one, two = (draw_fields(record, tmp_path / str(n), processes=n) for n in (1, 2))
    assert one == two
    for path in sorted((tmp_path / "1").glob("*.png")):
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_only_maps_that_show_something_else_or_are_gone_are_drawn_again(record, tmp_path):
    def drawn_again(record):
        before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        maps = draw_fields(record, tmp_path)
        return maps, {path.name for path in tmp_path.iterdir() if path.stat().st_mtime_ns != before.get(path.name)}

    first, made = drawn_again(record)
    assert made == {f"Li-Sn-S-{halogen}.{kind}" for halogen in ("Cl", "Br") for kind in ("png", "svg")}
    assert drawn_again(record) == (first, set())
    other, *rest = record.fields
    changed = dataclasses.replace(other, competing_source="another list")
    assert drawn_again(dataclasses.replace(record, fields=(changed, *rest)))[1] == {
        f"{other.phase_field}.png",
        f"{other.phase_field}.svg",
    }
    (tmp_path / f"{rest[0].phase_field}.svg").unlink()
    assert f"{rest[0].phase_field}.svg" in drawn_again(record)[1]


def test_the_page_asks_no_network_for_anything(record, tmp_path):
    html = text_of(build_report(record, tmp_path))
    loaded = re.findall(r"""(?:src|href)=["']?(?!data:|#|maps/|tables/|structures/)([^"' >]+)""", html)
    assert [address for address in loaded if not address.startswith("https://doi.org/")] == []
    assert "default-src 'none'" in html


def test_an_empty_campaign_says_so(tmp_path):
    html = text_of(build_report(EMPTY, tmp_path))
    assert "This campaign is empty: no cycle has begun." in html
    assert "no probe has an energy" in html


def test_a_campaign_in_progress_says_so_and_shows_what_there_is(record, tmp_path):
    running = CycleRecord(number=3, state="running", n_training=1141, n_candidates=2)
    html = text_of(build_report(dataclasses.replace(record, cycles=(*record.cycles, running)), tmp_path))
    assert "In progress: 2 cycles completed, one is running." in html
    assert "Li<sub>3</sub>SnS<sub>3</sub>Cl" in html


def test_a_field_without_any_energy_has_no_map_and_says_why(record, tmp_path):
    bare = dataclasses.replace(record.fields[0], verdict="open", probes=pd.DataFrame(), competing=pd.DataFrame())
    html = text_of(build_report(dataclasses.replace(record, fields=(bare,)), tmp_path))
    assert "no map of Li-Sn-S-Cl: nothing was computed" in html


def test_what_users_write_stays_text(record, make_field, tmp_path):
    note = "<script>alert('note')</script>"
    fields = (make_field(note=note),)
    html = text_of(build_report(dataclasses.replace(record, name=note, fields=fields), tmp_path))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_the_best_composition_comes_first(record):
    found = page_view(record).found
    assert [probe.e_above_competing for probe in found] == sorted(probe.e_above_competing for probe in found)
    assert len(found) == 8
    assert not any("Li6SnS4" in probe.formula for probe in found)


def test_energies_of_the_page_by_hand(record):
    found = {probe.formula: probe for probe in page_view(record).found}
    # Li3SnS3Cl = LiCl + Li2SnS3: (2 x -2.0 + 6 x -1.0) / 8 = -1.25 eV/atom, its own energy
    assert found["Li3SnS3Cl"].e_above_competing == pytest.approx(0.0, abs=1e-9)
    # Li5SnS4Cl = LiCl + Li2SnS3 + Li2S: (2 x -2.0 + 6 x -1.0 + 3 x -1.2) / 11; computed -1.15
    assert found["Li5SnS4Cl"].e_above_competing == pytest.approx(-1.15 + 13.6 / 11, abs=1e-9)
    # Li4SnS2Cl4 = 4 LiCl + SnS2: (8 x -2.0 + 3 x -0.6) / 11; computed -1.62, below it
    assert found["Li4SnS2Cl4"].e_above_competing == pytest.approx(-1.62 + 17.8 / 11, abs=1e-9)
    assert found["Li4SnS2Cl4"].e_above_hull == 0.0
    assert near_hull(record.fields[0], record) == ["Li4SnS2Cl4", "Li3SnS3Cl"]


def test_csv_of_probes_holds_failures_and_full_precision(record, tmp_path):
    build_report(record, tmp_path)
    table = pd.read_csv(tmp_path / "tables" / "probes_Li-Sn-S-Cl.csv")
    assert len(table) == 5
    assert table["state"].value_counts().to_dict() == {"done": 4, "failed": 1}
    expected = probe_table(record.fields[0])["e_above_hull"]
    assert table["e_above_hull"].dropna().tolist() == pytest.approx(expected.dropna().tolist(), abs=1e-12)
    assert "structure" not in table


@pytest.mark.parametrize(
    ("value", "signed", "text"), [(0.0254, False, "25.4"), (-0.003, True, "−3.0"), (None, False, "–")]
)
def test_energies_are_read_in_mev(value, signed, text):
    assert mev(value, signed) == text


def test_nothing_and_truth_are_said_in_words():
    assert plain({"log odds": None, "collapsed": False}) == "log odds –; collapsed no"


@pytest.mark.parametrize(
    ("note", "said"),
    [("lies -44 meV/atom below Li-B-N-O", "Lies −44 meV/atom below Li-B-N-O."), ("Done.", "Done."), ("", "")],
)
def test_notes_become_sentences(note, said):
    assert sentence(note) == said


def test_names_are_not_broken_and_stay_text():
    assert whole("Li-P-O <b>-") == "<span>Li-P-O</span> <span>&lt;b&gt;-</span>"


def test_ranks_of_the_baselines_stand_beside_our_own(record):
    names = list(page_view(record).ranked.columns)
    assert names[:3] == ["phase_field", "rank", "score"]
    assert names[3:5] == ["rank by popularity", "rank by known pairs"]


def test_the_page_says_what_to_make_next(record, tmp_path):
    html = text_of(build_report(record, tmp_path))
    told = re.sub(r"(<[^>]+>|\s)+", " ", html[html.index('class="next">') :].split("</div>")[0])
    assert "Li 4 SnS 2 Br 4 in Li-Sn-S-Br : −1.8 meV/atom from 0.73 LiBr + 0.27 SnS 2 , error about ±20." in told


def test_what_a_new_phase_pushes_off_the_hull_is_not_to_be_made(record, make_field):
    # within 25 meV/atom of the competing phases but 0.1 eV/atom above the hull that another new phase lowers
    field = make_field()
    probes = field.probes.assign(
        e_above_hull=field.probes["e_above_hull"].where(field.probes["composition"] != "Li3 Sn1 S3 Cl1", 0.1)
    )
    view = page_view(dataclasses.replace(record, fields=(dataclasses.replace(field, probes=probes),)))
    assert [probe.formula for probe in view.near] == ["Li4SnS2Cl4", "Li3SnS3Cl"]
    assert [probe.formula for probe in view.to_make] == ["Li4SnS2Cl4"]


def test_what_lacks_an_element_of_its_field_is_not_to_be_made(record, make_field):
    field = make_field()
    probes = field.probes.replace({"composition": {"Li4 Sn1 S2 Cl4": "Li4 Sn1 S4"}})
    view = page_view(dataclasses.replace(record, fields=(dataclasses.replace(field, probes=probes),)))
    assert [probe.formula for probe in view.near] == ["Li4SnS4", "Li3SnS3Cl"]
    assert [probe.formula for probe in view.to_make] == ["Li3SnS3Cl"]
    assert view.found[0].formula == "Li4SnS4"
    assert view.nearest == view.to_make[0]


def test_nothing_is_to_be_made_where_the_hull_lacks_a_salt(record, make_field, tmp_path):
    field = make_field()
    competing = field.competing.assign(
        energy_per_atom=field.competing["energy_per_atom"].where(field.competing["formula"] != "LiCl")
    )
    lacking = dataclasses.replace(record, fields=(dataclasses.replace(field, competing=competing),))
    assert page_view(lacking).near
    assert page_view(lacking).to_make == []
    told = re.sub(r"<[^>]+>", "", text_of(build_report(lacking, tmp_path)))
    assert "Nothing in Li-Sn-S-Cl: its hull lacks LiCl, without an energy" in told


def test_the_page_says_when_there_is_nothing_to_make(record, tmp_path):
    strict = dataclasses.replace(record, settings={"verdicts": {"stable_below": -1.0}})
    assert "Nothing yet. The nearest," in text_of(build_report(strict, tmp_path))


def test_an_exploration_tells_of_no_ranking(record, tmp_path):
    cycle = dataclasses.replace(record.cycles[0], ranking=pd.DataFrame(), n_training=0, n_candidates=0)
    html = text_of(build_report(dataclasses.replace(record, cycles=(cycle,), data={}), tmp_path))
    assert "No ranking here, 3 min in all." in html
    for absent in ("candidates ranked", "Known phase fields</summary>", "matminer", "Magpie"):
        assert absent not in html


@pytest.mark.parametrize(
    ("hours", "told"), [(0.002, "7 CPU-seconds"), (0.5, "30 CPU-minutes"), (2.0, "2.00 CPU-hours")]
)
def test_cpu_time_is_told_in_a_unit_that_says_something(hours, told):
    assert cpu_time(hours) == told


def test_priors_of_the_settings_are_told(record, tmp_path):
    settings = {"priors": [{"field": "Li-Sn-S", "shift": -1.0, "note": "<b>soft</b> anions"}]}
    html = text_of(build_report(dataclasses.replace(record, settings=settings), tmp_path))
    assert "Li-Sn-S -1.0 (&lt;b&gt;soft&lt;/b&gt; anions)" in html


def test_latent_map_places_known_fields_and_candidates(record):
    chart = str(latent_map(record))
    places = re.findall(r'class="(\w+)" cx="([\d.]+)" cy="([\d.]+)" r="[\d.]+"><title>([^<]+)', chart)
    # x from 0 to 2 over 600, y from 0 to 2 over 400, both 20 from the edge
    assert places == [
        ("known", "20.0", "20.0", "Li-Ge-S-Cl, known"),
        ("q0", "320.0", "420.0", "Li-Sn-S-Br, rank 1, positive"),
        ("q1", "620.0", "220.0", "Li-Zn-S-Cl, rank 2"),
        ("q3", "320.0", "120.0", "Li-Ge-S-Br, rank 3"),
    ]


def test_names_on_the_latent_map_do_not_cover_one_another(record):
    crowded = dataclasses.replace(record.cycles[-1], latent=record.cycles[-1].latent.assign(y=[0.0, 2.0, 2.0, 2.0]))
    chart = str(latent_map(dataclasses.replace(record, cycles=(crowded,))))
    labels = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)" class="halo">([^<]+)', chart)
    assert {text.split()[0] for *_, text in labels} == {"Li-Sn-S-Br", "Li-Zn-S-Cl", "Li-Ge-S-Br"}
    heights = sorted(float(y) for _, y, _, text in labels if "Zn" not in text)  # the two at x = 320
    assert heights[1] - heights[0] >= 17


def test_ranks_are_followed_over_the_cycles(record):
    followed = {trace.phase_field: trace for trace in traces(record)}
    assert followed["Li-Sn-S-Cl"].ranks == ((1, 1),)  # explored in the first cycle, no candidate of the second
    assert followed["Li-Sn-S-Br"].ranks == ((1, 4), (2, 1))
    assert followed["Li-Sn-S-Br"].verdict == "positive"
    assert "Li-Sn-S-Br: rank 4 in cycle 1, rank 1 in cycle 2; positive" in bump_chart(record)


def test_budget_adds_up(record):
    spent = page_view(record).spent
    # per cycle: 4 probes at 11.5 s, 9 competing phases at 4 s, one failure without a time
    assert [row.cpu_hours for row in spent] == pytest.approx([(4 * 11.5 + 9 * 4) / 3600] * 2)
    assert [(row.done, row.without, row.near) for row in spent] == [(13, 1, 2), (13, 1, 2)]


def test_citations_follow_what_was_used(record):
    cited = {each.doi for each in citations(record)}
    assert {
        "10.1038/s41467-021-25343-7",
        "10.1039/D5DD00019J",
        "10.1038/s42256-023-00716-3",
    } <= cited
    assert "10.1021/acs.jctc.4c00190" not in cited  # SevenNet was not


def test_a_formula_by_analogy_is_told_wherever_its_phase_is_shown(record, tmp_path):
    field = record.fields[0]
    is_guess = field.competing["formula"] == "Li2SnS3"
    competing = field.competing.assign(choice=is_guess.map({True: "formula by analogy with Na2SnS3", False: ""}))
    source = "known formulas; further formulas by analogy for Li-Sn-S"
    guessed = dataclasses.replace(field, competing=competing, competing_source=source)
    record = dataclasses.replace(record, fields=(guessed,))
    text = build_report(record, tmp_path).read_text()
    (row,) = re.findall(r"<tr><th[^>]*>Li<sub>2</sub>SnS<sub>3</sub></th>.*formula by analogy.*</tr>", text)
    assert "formula by analogy with Na<sub>2</sub>SnS<sub>3</sub>" in row
    assert any("Li2SnS3" in tip and "by analogy with Na2SnS3" in tip for tip in re.findall(r'data-tip="([^"]*)"', text))
    assert "10.1021/ic102031h" in {each.doi for each in citations(record)}
