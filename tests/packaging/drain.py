"""Whoever stops a process waits longer than the process takes for a drain, as its source says."""

import pathlib
import re

import yaml

# To release what it holds, and for a machine that is busy.
SPARE = 10


def drain(source):
    return int(re.search(r"^const DRAIN: Duration = Duration::from_secs\((\d+)\);", pathlib.Path(source).read_text(), re.M)[1])


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def waits():
    """Each with the place it is said at."""
    for file in pathlib.Path("packaging/systemd").glob("*.service"):
        if "\nRestart=" in (text := file.read_text()):
            yield file, seconds(re.search(r"^TimeoutStopSec=(.*)$", text, re.M)[1])
    for file in pathlib.Path("packaging").glob("compose*.yaml"):
        for name, service in yaml.safe_load(file.read_text())["services"].items():
            yield f"{file}: {name}", seconds(service["stop_grace_period"])
    for file in pathlib.Path("packaging/kubernetes").glob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text()):
            if document["kind"] == "Deployment":
                pod = document["spec"]["template"]["spec"]
                before = [container.get("lifecycle", {}).get("preStop") for container in pod["containers"]]
                slept = sum(int(hook["exec"]["command"][1]) for hook in before if hook)
                yield file, pod["terminationGracePeriodSeconds"] - slept


longest = max(drain("api/src/server.rs"), drain("worker/src/owner.rs"))
said = dict(waits())
assert len(said) >= 8, said
for place, waited in said.items():
    assert waited >= longest + SPARE, f"{place} waits for {waited} s, and a drain takes up to {longest} s"
