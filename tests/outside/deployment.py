"""Are the deployments under config/ what Kubernetes, Compose, systemd and the service itself take?

The manifests against the API's own schemas, against each other, and their settings against the service; the composition by Compose and
by the service; the unit against systemd's judgement of how exposed it is.
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
from service import BINARY

# The oldest release that the project of Kubernetes still keeps up, and the newest that the schemas know.
RELEASES = ["1.34", kubernetes_validate.latest_version()]
# Exposure that systemd may find, of 10.
MOST_EXPOSURE = 2


def manifests():
    """Every object, under its kind and name, and the kustomization that puts them together."""
    objects, files = {}, {}
    for path in glob.glob(f"{CONFIG}/kubernetes/*.yaml"):
        with open(path) as file:
            files[os.path.basename(path)] = list(yaml.safe_load_all(file))
    kustomization = files.pop("kustomization.yaml")[0]
    assert sorted(kustomization["resources"]) == sorted(files), "each file is named, and is there"
    for document in (document for documents in files.values() for document in documents):
        key = document["kind"], document["metadata"]["name"]
        assert key not in objects, key
        objects[key] = document
    return kustomization, objects


def check_schemas(objects):
    for (kind, _), document in objects.items():
        if kind != "ServiceMonitor":  # the operator's own
            for release in RELEASES:
                kubernetes_validate.validate(document, release, strict=True)


def check_pod(kustomization, objects):
    """The pod is what it should be, and everything that points at it points at it."""
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
    assert [port["targetPort"] for port in public] == ["http"], "the admin listener is nobody's but Prometheus'"
    assert objects["PodDisruptionBudget", "zendesk-token"]["spec"]["selector"]["matchLabels"] == name
    policy = objects["NetworkPolicy", "zendesk-token"]["spec"]
    assert policy["podSelector"]["matchLabels"] == name and set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert all(rule["from"] and rule["ports"][0]["port"] in ports for rule in policy["ingress"])
    target = objects["HorizontalPodAutoscaler", "zendesk-token"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", "zendesk-token")
    monitor = objects["ServiceMonitor", "zendesk-token"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= objects["Service", "zendesk-token-admin"]["metadata"]["labels"].items()
    assert container["image"] == kustomization["images"][0]["name"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["settings"]["configMap"]["name"] == kustomization["configMapGenerator"][0]["name"]
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    return container, {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}


def check_settings(container, mounts):
    """The service itself takes the settings, with secrets where the pod has them."""
    with tempfile.TemporaryDirectory() as folder, open(f"{CONFIG}/kubernetes/settings.toml") as file:
        settings = file.read().replace(mounts["secrets"], folder)
        assert folder in settings, "secrets are read where they are mounted"
        for name in ["login_secret", "chat_secret"]:
            with open(f"{folder}/{name}", "w") as secret:
                secret.write(os.urandom(32).hex())
        with open(f"{folder}/settings.toml", "w") as file:
            file.write(settings)
        environment = {entry["name"]: entry["value"] for entry in container["env"]}
        assert os.path.dirname(environment["ZENDESK_TOKEN_CONFIG"]) == mounts["settings"]
        environment["ZENDESK_TOKEN_CONFIG"] = f"{folder}/settings.toml"
        checked = subprocess.run([BINARY, "check"], env=environment, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        assert "http://0.0.0.0:8001/generate/token" in checked.stdout and "http://0.0.0.0:9001/live" in checked.stdout


def check_compose():
    """Compose takes the file, the service takes its settings, and Caddy is told of all the services and believed by them."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ["compose.yaml", "Caddyfile"]:
            os.makedirs(f"{folder}/config", exist_ok=True)
            shutil.copy(f"{CONFIG}/{name}", f"{folder}/config")
        with open(f"{folder}/zendesk-token.env", "w") as file:
            file.write(f"ZENDESK_TOKEN_LOGIN__SECRET={os.urandom(32).hex()}\nZENDESK_TOKEN_CHAT__SECRET={os.urandom(32).hex()}\n"
                       "ZENDESK_TOKEN_LOGIN__PROJECT_ID=p\nZENDESK_TOKEN_CORS__ORIGINS=https://shop.example.com\n")
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0 if shutil.which("docker") else False
        command = [*(["docker", "compose"] if plugin else ["docker-compose"]), "--file", f"{folder}/config/compose.yaml", "config"]
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "ZENDESK_TOKEN_SITE": "support-token.example.com"}
        composed = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert composed.returncode == 0, composed.stderr
    composition = yaml.safe_load(composed.stdout)
    services = composition["services"]
    caddy = services.pop("caddy")
    assert caddy["environment"]["ZENDESK_TOKEN_UPSTREAMS"].split() == [f"{name}:8001" for name in services]
    network = composition["networks"]["pages"]["ipam"]["config"][0]
    address = ipaddress.ip_address(caddy["networks"]["pages"]["ipv4_address"])
    assert address in ipaddress.ip_network(network["subnet"]) and address not in ipaddress.ip_network(network["ip_range"])
    for name, service in services.items():
        assert "ports" not in service and service["read_only"] and service["cap_drop"] == ["ALL"], name
        settings = service["environment"]
        assert settings["ZENDESK_TOKEN_PROXY__TRUSTED"] == str(address)
        assert settings["ZENDESK_TOKEN_LOGIN__PROJECT_ID"] == "p", "the file of README.md"
        # As the image has it.
        settings["PORT"] = "8001"
        checked = subprocess.run([BINARY, "check"], env=settings, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        assert "http://0.0.0.0:8001/generate/token" in checked.stdout and "http://0.0.0.0:9001/live" in checked.stdout


def check_unit():
    """The secrets are read where systemd puts them, and it finds little that the service could do to the machine."""
    unit = f"{CONFIG}/zendesk-token.service"
    with open(unit) as file, open(f"{CONFIG}/zendesk-token.toml") as settings:
        credentials = re.findall(r"^LoadCredential=(\w+):/etc/zendesk-token/\1$", file.read(), re.MULTILINE)
        read = re.findall(r"/run/credentials/zendesk-token\.service/(\w+)", settings.read())
    assert credentials == read and len(read) == 2, read
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={MOST_EXPOSURE * 10}", unit]
    judged = subprocess.run(command, capture_output=True, text=True)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    return judged.stdout.strip().splitlines()[-1].lstrip("→ ")


def main():
    kustomization, objects = manifests()
    check_schemas(objects)
    container, mounts = check_pod(kustomization, objects)
    check_settings(container, mounts)
    print(f"{len(objects)} objects keep the schemas of Kubernetes {' and '.join(RELEASES)}, and fit together")
    if shutil.which("kubectl"):
        built = subprocess.run(["kubectl", "kustomize", f"{CONFIG}/kubernetes"], capture_output=True, text=True, check=True).stdout
        assert len(list(yaml.safe_load_all(built))) == len(objects) + 1, "and the settings"
    check_compose()
    print("Compose and the service take the composition")
    print(check_unit())


if __name__ == "__main__":
    main()
