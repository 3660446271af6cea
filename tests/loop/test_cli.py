import contextlib
import json
import subprocess
import sys

import pytest


def loop(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "loop.cli", *map(str, arguments)], capture_output=True, text=True, cwd=cwd
    )


def refused(process, *words):
    """One plain sentence on stderr, exit 2."""
    assert process.returncode == 2, process.stderr
    assert process.stdout == ""
    lines = process.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("loop: ")
    for word in words:
        assert word in lines[0]


@pytest.fixture
def csv(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_help_loads_no_heavy_package():
    heavy = ("torch", "pymatgen", "pandas", "ase", "pydantic")
    code = f"import sys, loop.cli; print([name for name in {heavy} if name in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def test_every_command_has_help():
    for command in ("init", "run", "status", "rank", "map", "report", "doctor"):
        process = loop(command, "--help")
        assert process.returncode == 0
        assert "Usage" in process.stdout


def test_init_writes_a_configuration_once(tmp_path):
    folder = tmp_path / "c"
    assert loop("init", folder).returncode == 0
    written = (folder / "campaign.yaml").read_text()
    refused(loop("init", folder), "exists already", "--force")
    assert (folder / "campaign.yaml").read_text() == written


def test_status_of_no_campaign(tmp_path):
    refused(loop("status", tmp_path), "holds no campaign")


def test_report_of_no_campaign(tmp_path):
    refused(loop("report", tmp_path), "holds no campaign")


def test_an_unknown_key_stops_a_run_before_it_begins(tmp_path):
    (tmp_path / "campaign.yaml").write_text("probez: 3")
    refused(loop("run", "--dir", tmp_path), "unknown key 'probez'")
    assert not (tmp_path / "campaign.db").exists()


def test_an_unknown_level_of_theory_is_named(tmp_path):
    (tmp_path / "campaign.yaml").write_text("level_of_theory: PBEsol")
    refused(loop("run", "--dir", tmp_path), "'PBEsol' is unknown, choose from")


def test_elements_that_the_level_has_not_learned_end_a_run_before_it_begins(tmp_path):
    (tmp_path / "c.yaml").write_text("candidates: {cations: [Ra, Sn], anions: [S, Cl]}\n")
    refused(loop("run", "--config", "c.yaml", cwd=tmp_path), "level_of_theory 'chgnet'", "has not learned Ra")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("level_of_theory: PBEsol\n", ["'PBEsol' is unknown"]),
        ("known: {source: none.csv}\n", ["known.source", "none.csv"]),
        ("known: {source: materials_project}\n", ["known.source", "MP_API_KEY"]),
        ("competing: {source: none}\n", ["competing.source", "none"]),
        ("competing: {source: materials_project}\n", ["competing.source", "Materials Project"]),
        ("probes: {generators: [ordered, given]}\n", ["probes.generators", "'given' needs a folder", "probes.folder"]),
        ("probes: {generators: [substitution], folder: none}\n", ["probes.folder", "none"]),
    ],
    ids=["level", "known", "no-key", "competing", "no-client-or-key", "no-folder", "empty-folder"],
)
def test_what_cannot_run_leaves_no_folder_and_nothing_in_one(tmp_path, monkeypatch, settings, words):
    monkeypatch.delenv("MP_API_KEY", raising=False)
    (tmp_path / "c.yaml").write_text(settings)
    refused(loop("run", "--quiet", "--config", "c.yaml", "--dir", "new/c", cwd=tmp_path), *words)
    assert not (tmp_path / "new").exists()
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").touch()
    refused(loop("run", "--quiet", "--config", "c.yaml", "--dir", "there", cwd=tmp_path), *words)
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["mine.txt"]


def test_a_queue_that_is_none_leaves_no_folder(tmp_path):
    refused(loop("init", tmp_path / "c", "--cluster", "lsf"), "'lsf' is unknown")
    assert not (tmp_path / "c").exists()


def test_no_candidates_left(tmp_path):
    (tmp_path / "campaign.yaml").write_text("candidates: {required: [Li, Y], anions: [Cl, O]}\nknown: {source: k.csv}")
    (tmp_path / "k.csv").write_text("phase_field\nLi-Y-O-Cl\nLi-Al-O-Cl\n")
    refused(loop("run", "--quiet", "--dir", tmp_path), "no candidate fields are left")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fields\nLi-Sn-S-Cl\n", ["phase_field"]),
        ("phase_field\nLi-Xx-S-Cl\n", ["Xx"]),
        ("phase_field\n", ["no phase field"]),
        ("phase_field\nLi-Sn-Al-Cl\n", ["anion"]),
    ],
    ids=["no-column", "no-element", "empty", "one-anion"],
)
def test_bad_candidates_are_named(csv, tmp_path, text, words):
    out = tmp_path / "r.csv"
    refused(loop("rank", "--candidates", csv("c.csv", text), "--out", out), *words)
    assert not out.exists()


def test_a_missing_table_is_named(tmp_path):
    refused(loop("rank", "--candidates", tmp_path / "none.csv", "--out", tmp_path / "r.csv"), "none.csv")


def test_doctor_says_what_it_found():
    process = loop("doctor")
    assert process.returncode == 0
    assert "CHGNet weights" in process.stdout


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 256 KiB with nothing left on it."""
    mount = tmp_path / "full"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here (needs root)")
    try:
        with contextlib.suppress(OSError), open(mount / "filler", "wb", buffering=0) as handle:
            while True:
                handle.write(b"x" * 4096)
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.parametrize("command", [("init",), ("run", "--dir")], ids=["init", "run"])
def test_a_full_disk_is_a_failure_of_the_run(full_disk, command):
    process = loop(*command, full_disk)
    assert process.returncode == 1
    assert len(process.stderr.strip().splitlines()) == 1
    assert str(full_disk) in process.stderr


@pytest.fixture
def field_table(csv):
    rows = ["Li,0", "Sn,0", "S,0", "Cl,0", "Li2S,-4.5", "LiCl,-4.2", "SnS2,-1.5", "SnCl4,-4.5"]
    probes = [("Li3SnS3Cl", -10.2), ("Li2SnS2Cl2", -9.2), ("LiSnSCl3", -6.6), ("Li5SnS4Cl", -14.1), ("Li4SnS3Cl2", -13)]
    return csv(
        "energies.csv", "\n".join(["composition,total_energy_eV", *rows, *(f"{f},{e}" for f, e in probes)]) + "\n"
    )


def test_simulate_replays_a_field(field_table, tmp_path):
    out, picture = tmp_path / "out.json", tmp_path / "out.png"
    options = ("--seeds", 2, "--seed", 7, "--initial", 2, "--within", 30, "--json", out, "--plot", picture)
    process = loop("simulate", field_table, "--field", "Li-Sn-S-Cl", "--strategy", "hull", *options)
    assert process.returncode == 0, process.stderr
    facts = json.loads(out.read_text())
    assert [(run["seed"], run["strategy"]) for run in facts["runs"]] == [(7, "hull"), (8, "hull")]
    assert set(facts["mean"]["hull"]) == {"first", "half", "all"}
    assert picture.stat().st_size > 1000


def test_simulate_says_what_is_wrong(field_table, csv):
    refused(loop("simulate", field_table), "--field")
    refused(loop("simulate", field_table, "--field", "Li-Sn-S-Cl", "--strategy", "best"), "'best'", "hull")
    refused(loop("simulate", field_table, "--field", "Li-Sn-S-Br"), "Br")
    bare = csv("bare.csv", "composition,total_energy_eV\nLi3SnS3Cl,-9.9\n")
    refused(loop("simulate", bare, "--field", "Li-Sn-S-Cl"), "elemental reference")
    unusable = csv("unusable.csv", "composition,total_energy_eV\nLi2O,-1\n")
    refused(loop("simulate", unusable, "--field", "Li-Sn-S-Cl"), "no row that can be used", "row 2: Li2O holds O")


def test_simulate_sets_aside_what_it_cannot_use(field_table, csv, tmp_path):
    spoilt = csv("spoilt.csv", field_table.read_text() + "Li7SnS5Cl,nan\nLi2O,-14\nQq3,-1\n")
    out, again = tmp_path / "out.json", tmp_path / "again.json"
    options = ("--field", "Li-Sn-S-Cl", "--seeds", 1, "--initial", 2, "--within", 30)
    process = loop("simulate", spoilt, *options, "--json", out)
    assert process.returncode == 0, process.stderr
    said = " ".join((process.stdout + process.stderr).split())
    for line in ("row 15: the energy 'nan' is no finite number", "row 16: Li2O holds O", "row 17: 'Qq3' is no formula"):
        assert line in said
    loop("simulate", field_table, *options, "--json", again)
    assert json.loads(out.read_text())["runs"] == json.loads(again.read_text())["runs"]


def test_simulate_sets_aside_rows_of_a_prior(field_table, csv, tmp_path):
    good = "composition,e_above_hull\nLi3SnS3Cl,0.01\n"
    out, again = tmp_path / "out.json", tmp_path / "again.json"
    options = ("--field", "Li-Sn-S-Cl", "--seeds", 1, "--initial", 0, "--within", 30, "--strategy", "hull")
    spoilt = csv("spoilt-prior.csv", good + "Li2O,0.1\nLi5SnS4Cl,nan\n")
    process = loop("simulate", field_table, *options, "--prior", spoilt, "--json", out)
    assert process.returncode == 0, process.stderr
    said = " ".join((process.stdout + process.stderr).split())
    assert "row 3: Li2O holds O" in said
    assert "row 4: the energy 'nan' is no finite number" in said
    loop("simulate", field_table, *options, "--prior", csv("prior.csv", good), "--json", again)
    assert json.loads(out.read_text())["runs"] == json.loads(again.read_text())["runs"]
    refused(loop("simulate", field_table, *options, "--strategy", "lowest"), "'lowest'", "--prior")


def test_simulate_replays_the_choice_of_fields(csv, tmp_path):
    known = [f"{a}-{m}-S-Cl" for a in ("Li", "Na", "K") for m in ("Mg", "Al", "Sn", "Zr")]
    train = csv("train.csv", "\n".join(["phase_field", *known]) + "\n")
    table = csv("table.csv", "formula,e_above_hull\nLiMgSBr,0.01\nLiMgSBr2,0.4\nNaAlSBr2,0.5\n")
    out = tmp_path / "out.json"
    options = ("--cycles", 2, "--batch", 5, "--anion-pairs", "S-Cl, S-Br", "--json", out)
    process = loop("simulate", "--fields", table, "--train", train, *options)
    assert process.returncode == 0, process.stderr
    runs = json.loads(out.read_text())["runs"]
    assert [(run["feedback"], run["evaluated"], len(run["found"])) for run in runs] == [(False, 10, 2), (True, 10, 2)]
    refused(loop("simulate", "--fields", table, "--train", train, "--strategy", "hull"), "'hull'", "across fields")
