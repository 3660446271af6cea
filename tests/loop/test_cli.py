import contextlib
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


def test_no_candidates_left(tmp_path):
    (tmp_path / "campaign.yaml").write_text("candidates: {required: [Li, Y], anions: [Cl, O]}\nknown: {source: k.csv}")
    (tmp_path / "k.csv").write_text("phase_field\nLi-Y-O-Cl\nLi-Al-O-Cl\n")
    refused(loop("run", "--dir", tmp_path), "no candidate fields are left")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fields\nLi-Sn-S-Cl\n", ["phase_field"]),
        ("phase_field\nLi-Xx-S-Cl\n", ["Xx"]),
        ("phase_field\n", ["empty"]),
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
