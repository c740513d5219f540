"""What the schemas of Kubernetes cannot say of the manifests: that they fit together, and how each pod is confined."""

import pathlib

import yaml

PLACE = pathlib.Path("packaging/kubernetes")


def documents():
    """Each with the file it stands in, but what kustomize reads itself."""
    for file in sorted(PLACE.rglob("*.yaml")):
        if file.name != "kustomization.yaml":
            for document in yaml.safe_load_all(file.read_text()):
                yield file, document


def pods():
    for file, document in documents():
        if document["kind"] in ("Deployment", "Job"):
            yield file, document["spec"]["template"]


def named(kind):
    return {document["metadata"]["name"] for _, document in documents() if document["kind"] == kind}


def labels(pod):
    return pod["metadata"]["labels"].items()


def ports(selector):
    """The names of the ports of all pods that are selected."""
    selected = [pod for _, pod in pods() if selector.items() <= labels(pod)]
    assert selected, f"no pod has the labels {selector}"
    return {port["name"] for pod in selected for container in pod["spec"]["containers"] for port in container.get("ports", [])}


def kustomizations_are_complete():
    for file in PLACE.rglob("kustomization.yaml"):
        listed = set(yaml.safe_load(file.read_text())["resources"])
        there = {other.name for other in file.parent.glob("*.yaml") if not other.name.endswith(".example.yaml")}
        assert listed == there - {file.name}, f"{file} lists {listed}, and there is {there}"


def pods_are_confined():
    for file, pod in pods():
        spec = pod["spec"]
        # Variables named after services are no settings, and refused.
        assert spec["enableServiceLinks"] is False, file
        assert spec["automountServiceAccountToken"] is False, file
        assert spec["securityContext"]["runAsNonRoot"] is True, file
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, file
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, file
            assert context["allowPrivilegeEscalation"] is False, file
            assert context["capabilities"] == {"drop": ["ALL"]}, file
            assert "memory" in container["resources"]["limits"], file


def settings_exist():
    known = {"configMapRef": named("ConfigMap"), "secretRef": named("Secret")}
    for file, pod in pods():
        for container in pod["spec"]["containers"]:
            for source in container.get("envFrom", []):
                for kind, reference in source.items():
                    assert reference["name"] in known[kind], f"{file}: {source}"
            for variable in container.get("env", []):
                assert variable["valueFrom"]["secretKeyRef"]["name"] in known["secretRef"], f"{file}: {variable}"


def probes_ask_the_operators_listener():
    for file, pod in pods():
        for container in pod["spec"]["containers"]:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if "ports" in container:
                    asked = container[probe]["httpGet"]
                    assert asked["port"] == "operations", f"{file}: {probe}"
                    assert asked["path"] == ("/readyz" if probe == "readinessProbe" else "/livez"), f"{file}: {probe}"


def selectors_select():
    for file, document in documents():
        spec = document.get("spec", {})
        match document["kind"]:
            case "Service":
                opened = {port["targetPort"] for port in spec["ports"]}
                assert opened == {"http"} <= ports(spec["selector"]), f"{file}: only what is public is a service"
            case "Deployment" | "PodDisruptionBudget":
                ports(spec["selector"]["matchLabels"])
            case "NetworkPolicy":
                for rule in spec.get("ingress", []):
                    opened = {port["port"] for port in rule["ports"]}
                    assert opened <= ports(spec["podSelector"]["matchLabels"]), f"{file}: {opened}"
                    assert "from" in rule or "operations" not in opened, f"{file}: anybody reaches the operators' listener"
            case "Ingress":
                for rule in spec["rules"]:
                    for path in rule["http"]["paths"]:
                        assert path["backend"]["service"]["name"] in named("Service"), file


def every_pod_has_a_network_policy():
    policies = [document["spec"] for _, document in documents() if document["kind"] == "NetworkPolicy"]
    for file, pod in pods():
        held = [policy for policy in policies if policy["podSelector"]["matchLabels"].items() <= labels(pod)]
        assert held, f"{file}: everybody may reach its pods"


kustomizations_are_complete()
pods_are_confined()
settings_exist()
probes_ask_the_operators_listener()
selectors_select()
every_pod_has_a_network_policy()
