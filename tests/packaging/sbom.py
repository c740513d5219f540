"""The bill of materials names what is linked, each with a licence and a checksum, and nothing that only tests need."""

import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINKED = {"poem", "reqwest", "sea-orm", "libsqlite3-sys", "ring", "mimalloc"}
FOR_TESTS = {"tests", "rcgen", "standardwebhooks", "hdrhistogram"}
OWN = {"api", "entity", "migration", "relay", "worker"}

document = json.loads(subprocess.run([ROOT / "packaging" / "sbom"], check=True, capture_output=True).stdout)
components = {it["name"]: it for it in document["components"]}
complaints = [f"{name} is linked and not named" for name in LINKED - components.keys()]
complaints += [f"{name} is named, though only tests need it" for name in FOR_TESTS & components.keys()]
for it in document["components"]:
    missing = {"licenses", "hashes"} - it.keys() if it["name"] not in OWN else set()
    complaints += [f"{it['bom-ref']} has no {what}" for what in missing]
references = {it["bom-ref"] for it in document["components"]} | {document["metadata"]["component"]["bom-ref"]}
complaints += [f"{it} is needed and not named" for of in document["dependencies"] for it in of["dependsOn"] if it not in references]
assert not complaints, "\n".join(complaints)
