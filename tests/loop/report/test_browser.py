"""The page in headless Chromium, opened from disk."""

import dataclasses
import itertools
import json
import shutil
import time

import pytest
from pymatgen.core import Composition, Structure

from loop.report.interactive import write_interactive
from loop.report.page import build_report
from loop.report.points import points_from_record
from vae.phase_fields import PhaseField

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1300,900"):
        options.add_argument(flag)
    downloads = tmp_path_factory.mktemp("downloads")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    driver.downloads = downloads
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def path(record, make_field, tmp_path_factory):
    """The page of a campaign whose user writes markup into a note."""
    fields = (make_field(note="<script>document.title = 'taken over'</script>"), *record.fields[1:])
    return build_report(dataclasses.replace(record, fields=fields), tmp_path_factory.mktemp("report"))


@pytest.fixture
def page(browser, path):
    browser.get_log("performance")
    browser.get(path.as_uri())
    return browser


def elements(page, selector):
    return page.find_elements("css selector", selector)


def column(page, table, index):
    script = """
    const rows = [...document.getElementById(arguments[0]).tBodies[0].rows].filter(row => !row.hidden);
    return rows.map(row => row.cells[arguments[1]].textContent.trim());
    """
    return page.execute_script(script, table, index)


def downloaded(page, name):
    for _ in range(100):
        if (page.downloads / name).is_file():
            return (page.downloads / name).read_text(encoding="utf-8")
        time.sleep(0.05)
    raise AssertionError(f"{name} was not downloaded")


def test_nothing_is_asked_of_the_network_and_nothing_complains(page):
    told = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in told if each["method"] == "Network.requestWillBeSent"]
    assert asked
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
    assert page.get_log("browser") == []


def test_every_map_is_there_with_a_spot_for_every_place(page):
    images = elements(page, "figure.map img")
    assert [page.execute_script("return arguments[0].naturalWidth", image) > 500 for image in images] == [True, True]
    assert all("meV/atom above the hull" in image.get_attribute("alt") for image in images)
    # 4 probes and 5 compounds of the 9 competing phases have a place
    assert [len(figure.find_elements("css selector", ".spot")) for figure in elements(page, "figure.map")] == [9, 9]


def test_the_users_note_stays_text(page):
    assert page.title.startswith("Li electrolytes")
    assert "<script>document.title" in page.find_element("id", "field-Li-Sn-S-Cl").text


def test_a_click_on_a_heading_sorts_by_number_and_again_reverses(page):
    heading = elements(page, "#found-table thead th")[2]
    heading.find_element("css selector", "button").click()
    values = [float(text.replace("−", "-")) for text in column(page, "found-table", 2)]
    assert values == sorted(values)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.find_element("css selector", "button").click()
    assert [float(text.replace("−", "-")) for text in column(page, "found-table", 2)] == sorted(values, reverse=True)


def test_search_leaves_the_rows_that_match_all_words(page):
    field = elements(page, "input[data-search=found-table]")[0]
    field.send_keys("li-sn-s-br Li5SnS4Br")
    assert column(page, "found-table", 0) == ["Li5SnS4Br"]
    assert elements(page, "[data-count=found-table]")[0].text == "1 of 8 rows"


def test_csv_holds_the_rows_that_are_shown(page):
    elements(page, "input[data-search=failures-table]")[0].send_keys("Li-Sn-S-Cl")
    elements(page, "button[data-csv=failures-table]")[0].click()
    lines = downloaded(page, "failures.csv").splitlines()
    assert lines[0] == "Composition,Field,Role,State,Reason,Cycle"
    assert len(lines) == 2
    assert "contact below 0.6 of the radii" in lines[1]


def test_a_structure_opens_and_its_cif_parses_to_the_same_atoms(page, make_field):
    elements(page, "#found-table button[data-structure='Li-Sn-S-Cl Li3SnS3Cl']")[0].click()
    dialog = page.find_element("id", "viewer")
    assert dialog.get_attribute("open") is not None
    assert "8 atoms in the cell" in dialog.text
    painted = """
    const canvas = document.getElementById('viewer-canvas');
    return new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size;
    """
    assert page.execute_script(painted) > 50
    page.find_element("id", "viewer-cif").click()
    read = Structure.from_str(downloaded(page, "Li-Sn-S-Cl_Li3SnS3Cl.cif"), fmt="cif")
    field = make_field()
    row = next(
        row
        for row in field.probes.to_dict("records")
        if row["structure"] and Composition(row["composition"]).reduced_formula == "Li3SnS3Cl"
    )
    written = Structure.from_dict(row["structure"])
    assert read.composition == written.composition
    assert read.lattice.parameters == pytest.approx(written.lattice.parameters, abs=1e-4)
    assert sorted(map(tuple, read.distance_matrix.round(3).tolist())) == sorted(
        map(tuple, written.distance_matrix.round(3).tolist())
    )
    page.find_element("id", "viewer-close").click()


def test_a_spot_tells_its_energy_and_opens_its_structure_by_keyboard(page):
    spot = elements(page, "#field-Li-Sn-S-Cl .spot[data-structure='Li-Sn-S-Cl Li5SnS4Cl']")[0]
    page.execute_script("arguments[0].focus()", spot)
    assert "86.4 meV/atom above the hull" in page.find_element("id", "tip").text
    spot.send_keys("\ue007")  # Enter
    assert "Li5SnS4Cl" in page.find_element("id", "viewer-title").text
    page.find_element("id", "viewer-close").click()


def contrast(page, selector):
    """WCAG contrast of an element's text against the nearest opaque ground behind it."""
    script = """
    let e = document.querySelector(arguments[0]); const ink = getComputedStyle(e).color;
    while (e && getComputedStyle(e).backgroundColor === 'rgba(0, 0, 0, 0)') e = e.parentElement;
    const ground = e ? getComputedStyle(e).backgroundColor : 'rgb(255, 255, 255)';
    return [ink, ground].map(colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number));
    """
    light = []
    for colour in page.execute_script(script, selector):
        linear = [(c / 255) / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(page, scheme):
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    for selector in ("h1", "nav a", ".small", "caption", ".verdict.positive", "#found-table th", "dt"):
        assert contrast(page, selector) >= 4.5, selector
    ground = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


def test_nothing_hangs_over_the_edge_of_a_phone(page):
    phone = {"width": 420, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    width = page.execute_script("return document.documentElement.scrollWidth")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert width <= 420


def test_a_screen_reader_finds_its_way(page):
    levels = [int(each.tag_name[1]) for each in elements(page, "main h2, main h3, header h1")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(image.get_attribute("alt") for image in elements(page, "img"))
    assert all(chart.get_attribute("aria-label") for chart in elements(page, "svg.chart"))
    assert all(table.find_elements("css selector", "caption") for table in elements(page, "table"))
    labelled = "return [...document.querySelectorAll('input')].every(i => i.labels.length === 1)"
    assert page.execute_script(labelled)


def test_the_interactive_map_shows_a_structure_and_asks_no_network(browser, make_field, tmp_path):
    field = make_field()
    path = write_interactive(points_from_record(field), PhaseField.parse(field.phase_field), tmp_path / "m.html")
    browser.get_log("performance")
    browser.get(path.as_uri())
    told = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in told if each["method"] == "Network.requestWillBeSent"]
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
    assert browser.get_log("browser") == []
    traces = browser.execute_script("return document.getElementById('map').data.map(trace => [trace.type, trace.name])")
    assert ["scatter", "calculation"] in traces
    browser.execute_script(
        "const map = document.getElementById('map'); const trace = map.data.find(t => t.name === 'calculation');"
        "map.emit('plotly_click', {points: [{customdata: trace.customdata[trace.customdata.indexOf('Li5SnS4Cl')]}]});"
    )
    assert "Li5SnS4Cl" in browser.find_element("id", "viewer-title").text
