"""Tests the deployments in config/: the Kubernetes manifests, compose.yaml and the systemd unit.

The manifests must match the schemas of the API and each other, Compose must accept compose.yaml, systemd must rate the unit as little
exposed, and the service must accept the settings of all three.
"""

import glob
import ipaddress
import os
import re
import shutil
import subprocess
import tempfile

import kubernetes_validate
import yaml

from proxy import CONFIG
from service import BINARY, read, write

# The oldest supported release of Kubernetes, and the newest that kubernetes_validate has schemas for.
RELEASES = ["1.34", kubernetes_validate.latest_version()]
# Highest exposure level that systemd may report, from 0 to 10.
MOST_EXPOSURE = 2
# Readable only for the owner and the group of the service.
SECRET_MODE = 0o440
PROJECT = "0f6a7c5e-3b1d-4e0a-9a51-1f0c6f7d2b90"


def manifests():
    """The kustomization, every object by its kind and name, and the keys that the Secret must have."""
    objects, files = {}, {}
    for path in glob.glob(f"{CONFIG}/kubernetes/*.yaml"):
        files[os.path.basename(path)] = list(yaml.safe_load_all(read(path)))
    kustomization = files.pop("kustomization.yaml")[0]
    secret = re.findall(r"--from-(?:file|literal)=(\w+)=", read(f"{CONFIG}/kubernetes/kustomization.yaml"))
    assert sorted(kustomization["resources"]) == sorted(files), "each file is listed and exists"
    for document in (document for documents in files.values() for document in documents):
        key = document["kind"], document["metadata"]["name"]
        assert key not in objects, key
        objects[key] = document
    return kustomization, objects, secret


def check_schemas(objects):
    for (kind, _), document in objects.items():
        if kind != "ServiceMonitor":  # a custom resource
            for release in RELEASES:
                kubernetes_validate.validate(document, release, strict=True)


def check_pod(kustomization, objects):
    """The pod has the right settings, and all selectors select it. Returns its container and where its volumes are mounted."""
    name = {"app.kubernetes.io/name": "zendesk-token"}
    deployment = objects["Deployment", "zendesk-token"]["spec"]
    template = deployment["template"]
    pod, [container] = template["spec"], template["spec"]["containers"]
    assert deployment["selector"]["matchLabels"] == template["metadata"]["labels"] == name
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    own = container["securityContext"]
    assert own == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert not pod["automountServiceAccountToken"] and not pod["enableServiceLinks"]
    assert {"requests", "limits"} <= set(container["resources"])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 8001, "admin": 9001}
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
        path = container[probe]["httpGet"]
        assert path == {"path": "/ready" if probe == "readinessProbe" else "/live", "port": "admin"}
    for service in ["zendesk-token", "zendesk-token-admin"]:
        spec = objects["Service", service]["spec"]
        assert spec["selector"] == name and spec["ports"][0]["targetPort"] in ports
    public = objects["Service", "zendesk-token"]["spec"]["ports"]
    assert [port["targetPort"] for port in public] == ["http"], "only Prometheus reaches the admin listener"
    assert objects["PodDisruptionBudget", "zendesk-token"]["spec"]["selector"]["matchLabels"] == name
    policy = objects["NetworkPolicy", "zendesk-token"]["spec"]
    assert policy["podSelector"]["matchLabels"] == name and set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert all(rule["from"] and rule["ports"][0]["port"] in ports for rule in policy["ingress"])
    assert policy["egress"] == [], "with HS256 the service makes no calls"
    target = objects["HorizontalPodAutoscaler", "zendesk-token"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", "zendesk-token")
    monitor = objects["ServiceMonitor", "zendesk-token"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= objects["Service", "zendesk-token-admin"]["metadata"]["labels"].items()
    assert container["image"] == kustomization["images"][0]["name"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["secrets"]["secret"]["defaultMode"] == SECRET_MODE and pod["securityContext"]["fsGroup"]
    assert volumes["settings"]["configMap"]["name"] == kustomization["configMapGenerator"][0]["name"]
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    return container, {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}


def check_login_api_policy():
    """The rules in the comment of the network policy allow DNS and the Login API, and no address inside the cluster."""
    text = read(f"{CONFIG}/kubernetes/networkpolicy.yaml").replace("  egress: []\n", "")
    policy = yaml.safe_load(re.sub(r"^  #(?=egress:|  )", "  ", text, flags=re.MULTILINE))
    check_schemas({("NetworkPolicy", ""): policy})
    names, api = policy["spec"]["egress"]
    assert {port["port"] for port in names["ports"]} == {53} and [port["port"] for port in api["ports"]] == [443]
    blocks = [to["ipBlock"] for to in api["to"]]
    for inside in ["10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "fd00::1", "fe80::1"]:
        address = ipaddress.ip_address(inside)
        reaches = [block for block in blocks if address in ipaddress.ip_network(block["cidr"])]
        assert all(any(address in ipaddress.ip_network(net) for net in block.get("except", [])) for block in reaches), inside


def check_settings(container, mounts, keys):
    """The service accepts the settings, with secrets as the pod has them."""
    with tempfile.TemporaryDirectory() as folder:
        settings = read(f"{CONFIG}/kubernetes/settings.toml").replace(mounts["secrets"], folder)
        assert folder in settings, "secrets are read from the folder where they are mounted"
        secret = {key: PROJECT if key == "project_id" else os.urandom(32).hex() for key in keys}
        for key, value in secret.items():
            write(f"{folder}/{key}", value)
            os.chmod(f"{folder}/{key}", SECRET_MODE)
        write(f"{folder}/settings.toml", settings)
        references = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in container["env"] if "valueFrom" in entry}
        assert {reference["name"] for reference in references.values()} == {"zendesk-token"}
        environment = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
        environment |= {name: secret[reference["key"]] for name, reference in references.items()}
        assert os.path.dirname(environment["ZENDESK_TOKEN_CONFIG"]) == mounts["settings"]
        environment["ZENDESK_TOKEN_CONFIG"] = f"{folder}/settings.toml"
        output = check_by_service(environment)
        assert f"{PROJECT} " in output and "No errors, 0 warning(s)." in output, output


def check_by_service(environment):
    """The output of `zendesk-token check`, which must accept the settings."""
    result = subprocess.run([BINARY, "check"], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "http://0.0.0.0:8001/generate/token" in result.stdout and "http://0.0.0.0:9001/live" in result.stdout
    return result.stdout


def check_compose():
    """Compose accepts the file, the services accept their settings and trust Caddy, and Caddy knows all services."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/config")
        for name in ["compose.yaml", "Caddyfile"]:
            shutil.copy(f"{CONFIG}/{name}", f"{folder}/config")
        settings = {"LOGIN__SECRET": os.urandom(32).hex(), "CHAT__SECRET": os.urandom(32).hex(), "LOGIN__PROJECT_ID": "p"}
        write(f"{folder}/zendesk-token.env", "".join(f"ZENDESK_TOKEN_{name}={value}\n" for name, value in settings.items()))
        plugin = shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
        command = [*(["docker", "compose"] if plugin else ["docker-compose"]), "--file", f"{folder}/config/compose.yaml", "config"]
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "ZENDESK_TOKEN_SITE": "shop.example.com", "ZENDESK_TOKEN_SHOP": "10.0.0.5:8080"}
        composed = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert composed.returncode == 0, composed.stderr
    composed = yaml.safe_load(composed.stdout)
    services = composed["services"]
    for name, service in services.items():
        assert service["logging"]["driver"] == "json-file" and {"max-size", "max-file"} <= set(service["logging"]["options"]), name
    caddy = services.pop("caddy")
    assert caddy["environment"]["ZENDESK_TOKEN_SHOP"] == "10.0.0.5:8080"
    assert caddy["environment"]["ZENDESK_TOKEN_UPSTREAMS"].split() == [f"{name}:8001" for name in services]
    network = composed["networks"]["pages"]["ipam"]["config"][0]
    address = ipaddress.ip_address(caddy["networks"]["pages"]["ipv4_address"])
    assert address in ipaddress.ip_network(network["subnet"]) and address not in ipaddress.ip_network(network["ip_range"])
    for name, service in services.items():
        assert "ports" not in service and service["read_only"] and service["cap_drop"] == ["ALL"], name
        settings = service["environment"]
        assert settings["ZENDESK_TOKEN_PROXY__TRUSTED"] == str(address)
        assert settings["ZENDESK_TOKEN_LOGIN__PROJECT_ID"] == "p", "from zendesk-token.env"
        settings |= dict(re.findall(r"^ENV (\w+)=(\S+)$", read(f"{CONFIG}/../Dockerfile"), re.MULTILINE))
        check_by_service(settings)


def check_unit():
    """The settings read the secrets from where systemd puts them, and systemd rates the unit. Returns the rating."""
    unit = f"{CONFIG}/zendesk-token.service"
    credentials = re.findall(r"^LoadCredential=(\w+):/etc/zendesk-token/\1$", read(unit), re.MULTILINE)
    used = re.findall(r"/run/credentials/zendesk-token\.service/(\w+)", read(f"{CONFIG}/zendesk-token.toml"))
    assert credentials == used and len(used) == 2, used
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={MOST_EXPOSURE * 10}", unit]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.strip().splitlines()[-1].lstrip("→ ")


def main():
    kustomization, objects, secret = manifests()
    check_schemas(objects)
    check_login_api_policy()
    container, mounts = check_pod(kustomization, objects)
    check_settings(container, mounts, secret)
    print(f"{len(objects)} objects match the schemas of Kubernetes {' and '.join(RELEASES)}, and each other")
    if shutil.which("kubectl"):
        built = subprocess.run(["kubectl", "kustomize", f"{CONFIG}/kubernetes"], capture_output=True, text=True, check=True).stdout
        assert len(list(yaml.safe_load_all(built))) == len(objects) + 1, "plus the settings"
    check_compose()
    print("Compose and the service accept compose.yaml")
    print(check_unit())


if __name__ == "__main__":
    main()
