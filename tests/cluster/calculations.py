"""Calculations for a LaunchPad in tests: how they are made, submitted and computed."""

import os
from pathlib import Path

import pytest

from dft.cluster import StillOpen
from dft.cluster.executor import FireWorksExecutor
from dft.cluster.healing import HealSettings
from dft.cluster.submission import Tag
from dft.execute import FlowTask, LocalExecutor

TAG = Tag("campaign-1", "first")


def task(key, maker, inputs=(("x",),), **facts):
    return FlowTask(
        key, print, maker=maker, inputs=inputs, output=Path(f"outputs/{key}.json"), name=f"test {key}", **facts
    )


def executor(cluster, tag=TAG, wait=False, **settings):
    return FireWorksExecutor(cluster, tag, LocalExecutor(1), HealSettings(**settings), wait=wait, sleep=lambda s: None)


def submit(cluster, tasks, tag=TAG, **settings):
    started = []
    with pytest.raises(StillOpen):
        list(executor(cluster, tag, **settings).run(tasks, started.append))
    return started


def work(site, monkeypatch, n=0):
    """Be a worker until nothing is left."""
    from fireworks import FWorker
    from fireworks.core.rocket_launcher import rapidfire

    folder = site.folder / "launches"
    folder.mkdir(exist_ok=True)
    before = os.getcwd()
    try:
        rapidfire(site.mongo.launchpad(), FWorker(), str(folder), nlaunches=n, sleep_time=1, strm_lvl="ERROR")
    finally:
        os.chdir(before)


def states(cluster):
    return sorted(document["state"] for document in cluster.find("fireworks", {}, "state"))
