"""Tests the deployments in config/: the Kubernetes manifests, the Compose files and the systemd unit.

The manifests must match the schemas of the API and each other, Compose must accept its files, systemd must rate the unit as little
exposed, and the service must accept the settings of all. The two instances of a deployment for two brands must run at once, and each must
issue tokens for its own brand only.
"""

import contextlib
import copy
import glob
import ipaddress
import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from types import SimpleNamespace

import jwt
import kubernetes_validate
import yaml

from proxy import CONFIG, HOSTS, OWN_HOST, PREFIX, SITE, Proxy, caddy_brands, free_port
from server import Server
from service import BINARY, KEY_ID, PATHS, SECRETS, Service, ask, exchange, login_token, read, write

# The oldest supported release of Kubernetes, and the newest that kubernetes_validate has schemas for.
RELEASES = ["1.34", kubernetes_validate.latest_version()]
# Highest exposure level that systemd may report, from 0 to 10.
MOST_EXPOSURE = 2
# Readable only for the owner and the group of the service.
SECRET_MODE = 0o440
PROJECT = "0f6a7c5e-3b1d-4e0a-9a51-1f0c6f7d2b90"
COOKIE = "__Host-token"
# The brands in config/kubernetes-brands, with the product in the settings of each.
KUBERNETES_BRANDS = {"brand-a": "chat", "brand-b": "messaging"}


def keys_of_secret(text):
    """The keys of the Secret that a `kubectl create secret` in the text creates."""
    return re.findall(r"--from-(?:file|literal)=(\w+)=", text)


def manifests():
    """The kustomization, every object by its kind and name, and the keys that the Secret must have."""
    objects, files = {}, {}
    for path in glob.glob(f"{CONFIG}/kubernetes/*.yaml"):
        files[os.path.basename(path)] = list(yaml.safe_load_all(read(path)))
    kustomization = files.pop("kustomization.yaml")[0]
    secret = keys_of_secret(read(f"{CONFIG}/kubernetes/kustomization.yaml"))
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
        secret = new_secret(keys)
        output = check_by_service(environment_of_pod(container, mounts, read(f"{CONFIG}/kubernetes/settings.toml"), secret, folder))
        assert f"{PROJECT} " in output and "No errors, 0 warning(s)." in output, output


def new_secret(keys, project=PROJECT):
    return {key: project if key == "project_id" else os.urandom(32).hex() for key in keys}


def environment_of_pod(container, mounts, settings, secret, folder):
    """The environment of a pod's container. What the pod mounts is in the folder."""
    assert mounts["secrets"] in settings, "secrets are read from the folder where they are mounted"
    for key, value in secret.items():
        write(f"{folder}/{key}", value)
        os.chmod(f"{folder}/{key}", SECRET_MODE)
    write(f"{folder}/settings.toml", settings.replace(mounts["secrets"], folder))
    references = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in container["env"] if "valueFrom" in entry}
    assert {reference["name"] for reference in references.values()} == {"zendesk-token"}
    environment = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    environment |= {name: secret[reference["key"]] for name, reference in references.items()}
    assert os.path.dirname(environment["ZENDESK_TOKEN_CONFIG"]) == mounts["settings"]
    return environment | {"ZENDESK_TOKEN_CONFIG": f"{folder}/settings.toml"}


def check_by_service(environment):
    """The output of `zendesk-token check`, which must accept the settings."""
    result = subprocess.run([BINARY, "check"], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert re.search("http://0.0.0.0:8001/(generate|messaging)/token", result.stdout) and "http://0.0.0.0:9001/live" in result.stdout
    return result.stdout


def kustomize(name):
    """The objects that kustomize builds from a folder in config/: by namespace, and then by kind and name."""
    result = subprocess.run(["kubectl", "kustomize", f"{CONFIG}/{name}"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    namespaces = {}
    for document in yaml.safe_load_all(result.stdout):
        objects = namespaces.setdefault(document["metadata"]["namespace"], {})
        # The name of the ConfigMap ends with a hash of its content.
        key = document["kind"], document["metadata"]["name"] if document["kind"] != "ConfigMap" else ""
        assert key not in objects, key
        objects[key] = document
    return namespaces


def check_kustomize(objects, container, mounts):
    """kustomize builds the base, and the overlay for two brands: the base in two namespaces, each with settings of its own."""
    [base] = kustomize("kubernetes").values()
    assert set(base) == {*objects, ("ConfigMap", "")}, "plus the settings"
    overlay = kustomize("kubernetes-brands")
    assert set(overlay) == set(KUBERNETES_BRANDS)
    for brand, objects in overlay.items():
        check_schemas(objects)
        expected = copy.deepcopy(base)
        for document in expected.values():
            document["metadata"]["namespace"] = brand
        expected["ConfigMap", ""] = own = objects["ConfigMap", ""]
        volumes = expected["Deployment", "zendesk-token"]["spec"]["template"]["spec"]["volumes"]
        next(volume for volume in volumes if volume["name"] == "settings")["configMap"]["name"] = own["metadata"]["name"]
        assert objects == expected, f"{brand}: the namespace and the settings are the only differences from the base"
    settings = {brand: objects["ConfigMap", ""]["data"]["settings.toml"] for brand, objects in overlay.items()}
    check_settings_of_brands(settings, container, mounts)


def check_settings_of_brands(settings, container, mounts):
    """The service accepts the settings of both brands, with the secrets that the documented commands create, and runs both at once."""
    header = read(f"{CONFIG}/kubernetes-brands/kustomization.yaml")
    commands = dict(re.findall(r"^#   kubectl --namespace (\S+) create secret generic zendesk-token \\\n(.*)", header, re.MULTILINE))
    assert set(commands) == set(re.findall(r"^#   kubectl create namespace (\S+)$", header, re.MULTILINE)) == set(KUBERNETES_BRANDS)
    brands = []
    with contextlib.ExitStack() as folders:
        for brand, product in KUBERNETES_BRANDS.items():
            secret = new_secret(keys_of_secret(commands[brand]), str(uuid.uuid4()))
            folder = folders.enter_context(tempfile.TemporaryDirectory())
            environment = environment_of_pod(container, mounts, settings[brand].replace("app_…", KEY_ID), secret, folder)
            output = check_by_service(environment)
            assert "No errors, 0 warning(s)." in output, output
            brands.append(Brand(environment, secret["login_secret"], secret["project_id"], product, secret[f"{product}_secret"]))
        with running(brands):
            check_apart(brands)


@dataclass
class Brand:
    """The environment of an instance, and what it contains: the login project's secret and id, the product and its secret. The address is
    known while the instance runs."""

    environment: dict
    login_secret: str
    project: str
    product: str
    secret: str
    address: str = ""

    def login_token(self):
        claims = jwt.decode(login_token(xsolla_login_project_id=self.project), options={"verify_signature": False})
        return jwt.encode(claims, self.login_secret, "HS256")

    def has_signed(self, token):
        with contextlib.suppress(jwt.InvalidSignatureError):
            return bool(jwt.decode(token, self.secret, ["HS256"]))


@contextlib.contextmanager
def running(brands, port=0):
    """Runs the instances of all brands at once, on loopback: each with an address of its own, all with the same port if one is given."""
    # Instead of the settings that Service has of its own.
    changes = dict.fromkeys(["origins", "messaging__key_id", *(f"{name}__secret" for name in SECRETS)]) | {"limits__drain_delay": "0s"}
    admin_port = port and free_port()
    with contextlib.ExitStack() as services:
        for host, brand in zip(HOSTS, brands, strict=True):
            changes |= {"listen": f"{host}:{port}", "admin__listen": f"{host}:{admin_port}"}
            brand.address = services.enter_context(Service(environment=brand.environment, **changes)).public
        yield SimpleNamespace(addresses=[brand.address for brand in brands], admin_port=admin_port)


def check_apart(brands):
    """Each brand's login token becomes a token that is signed with its own secret, and the other instance refuses it."""
    for brand, other in zip(brands, reversed(brands)):
        status, body = exchange(brand.address, brand.product, brand.login_token(), COOKIE)
        assert status == 200 and brand.has_signed(body["token"]) and not other.has_signed(body["token"]), body
        status, body = exchange(brand.address, brand.product, other.login_token(), COOKIE)
        assert (status, body["code"]) == (401, "00-01"), body
        if brand.product != other.product:
            assert exchange(brand.address, other.product, brand.login_token(), COOKIE)[0] == 404, "the other brand's product"


def compose(files, environment_files, **more):
    """What Compose makes of files in config/."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/config")
        for name in [*files, "Caddyfile"]:
            shutil.copy(f"{CONFIG}/{name}", f"{folder}/config")
        for file, settings in environment_files.items():
            write(f"{folder}/{file}.env", "".join(f"ZENDESK_TOKEN_{name}={value}\n" for name, value in settings.items()))
        plugin = shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
        options = [option for name in files for option in ["--file", f"{folder}/config/{name}"]]
        command = [*(["docker", "compose"] if plugin else ["docker-compose"]), *options, "config"]
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "ZENDESK_TOKEN_SITE": "shop.example.com", "ZENDESK_TOKEN_SHOP": "10.0.0.5:8080"}
        composed = subprocess.run(command, env=environment | more, capture_output=True, text=True)
        assert composed.returncode == 0, composed.stderr
    return yaml.safe_load(composed.stdout)


def check_composed(composed):
    """The services accept their settings and trust Caddy. Returns Caddy, and the environment of each service by its name."""
    services = composed["services"]
    for name, service in services.items():
        assert service["logging"]["driver"] == "json-file" and {"max-size", "max-file"} <= set(service["logging"]["options"]), name
    caddy = services.pop("caddy")
    assert caddy["environment"]["ZENDESK_TOKEN_SHOP"] == "10.0.0.5:8080"
    network = composed["networks"]["pages"]["ipam"]["config"][0]
    address = ipaddress.ip_address(caddy["networks"]["pages"]["ipv4_address"])
    assert address in ipaddress.ip_network(network["subnet"]) and address not in ipaddress.ip_network(network["ip_range"])
    image = dict(re.findall(r"^ENV (\w+)=(\S+)$", read(f"{CONFIG}/../Dockerfile"), re.MULTILINE))
    for name, service in services.items():
        assert "ports" not in service and service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["environment"]["ZENDESK_TOKEN_PROXY__TRUSTED"] == str(address)
        check_by_service(service["environment"] | image)
    return caddy, {name: service["environment"] for name, service in services.items()}


def new_settings(**more):
    return {"LOGIN__SECRET": os.urandom(32).hex(), "CHAT__SECRET": os.urandom(32).hex(), "LOGIN__PROJECT_ID": "p", **more}


def check_compose():
    """Compose accepts the file, and Caddy knows all services."""
    caddy, services = check_composed(compose(["compose.yaml"], {"zendesk-token": new_settings()}))
    assert caddy["environment"]["ZENDESK_TOKEN_UPSTREAMS"].split() == [f"{name}:8001" for name in services]
    for settings in services.values():
        assert settings["ZENDESK_TOKEN_LOGIN__PROJECT_ID"] == "p", "from zendesk-token.env"


def check_compose_for_brands(program):
    """Compose merges both files. Each instance has its own settings and those that both share, and Caddy sends each shop's pages to it."""
    text = read(f"{CONFIG}/compose-brands.yaml")
    files = re.findall(r"--file config/(\S+)", text)
    assert files == ["compose.yaml", "compose-brands.yaml"]
    variables = {f"ZENDESK_TOKEN_{name}_B": value for name, value in {"SITE": "brand-b.example.com", "SHOP": "10.0.0.6:8080"}.items()}
    own = {brand: new_settings(LOGIN__PROJECT_ID=brand) for brand in ["brand-a", "brand-b"]}
    shared = {"LOGIN__COOKIE": COOKIE, "LOGIN__PROJECT_ID": "each brand has its own"}
    composed = compose(files, own | {"zendesk-token": shared}, **variables)
    caddy, services = check_composed(composed)
    assert variables.items() <= caddy["environment"].items()
    upstreams = [caddy["environment"][f"ZENDESK_TOKEN_UPSTREAMS{suffix}"] for suffix in ["", "_B"]]
    assert upstreams == [f"{name}:8001" for name in services] and caddy["ports"], upstreams
    mounted = {volume.split(":")[1] if isinstance(volume, str) else volume["target"] for volume in caddy["volumes"]}
    assert {"/etc/caddy/Caddyfile", "/etc/caddy/Caddyfile.brands"} <= mounted and caddy["command"][-1] in mounted, caddy["command"]
    brands = []
    for environment, (brand, settings) in zip(services.values(), own.items(), strict=True):
        assert environment["ZENDESK_TOKEN_LIMITS__DRAIN_DELAY"] == "0s" and environment["ZENDESK_TOKEN_LOGIN__PROJECT_ID"] == brand
        brands.append(Brand(environment, settings["LOGIN__SECRET"], brand, "chat", settings["CHAT__SECRET"]))
    with running(brands, free_port()) as upstreams:
        check_apart(brands)
        check_hosts(program, upstreams, brands)


def check_hosts(program, upstreams, brands):
    """Caddy sends the requests for each shop's host to that brand's instance, and to that shop."""
    shops = [Server(lambda *_, name=name: (200, name.encode())) for name in ["the shop", "the second shop"]]
    with tempfile.TemporaryDirectory() as folder, shops[0], shops[1]:
        first, second = (shop.url.removeprefix("http://") for shop in shops)
        with Proxy(program, folder, upstreams, first, lambda *parts: caddy_brands(*parts, second)) as proxy:
            for host, shop, brand, other in zip([SITE, OWN_HOST], ["the shop", "the second shop"], brands, reversed(brands)):
                tell = lambda path, **headers: ask(proxy.connect(host=host), path, **headers)
                status, _, body = tell(f"{PREFIX}{PATHS['chat']}", Cookie=f"{COOKIE}={brand.login_token()}", Accept="text/plain")
                assert status == 200 and brand.has_signed(body) and not other.has_signed(body), body
                assert tell(f"{PREFIX}{PATHS['chat']}", Cookie=f"{COOKIE}={other.login_token()}")[0] == 401
                assert tell("/")[2] == shop


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


def missing(what):
    """A test can't run here; with CI=true that is a failure."""
    print(f"skipped: {what}")
    if os.environ.get("CI") == "true":
        sys.exit(1)


def main():
    kustomization, objects, secret = manifests()
    check_schemas(objects)
    check_login_api_policy()
    container, mounts = check_pod(kustomization, objects)
    check_settings(container, mounts, secret)
    print(f"{len(objects)} objects match the schemas of Kubernetes {' and '.join(RELEASES)}, and each other")
    if shutil.which("kubectl"):
        check_kustomize(objects, container, mounts)
        print("kustomize builds the base, and for two brands; the instances of both run at once, each with its own secrets")
    else:
        missing("kubectl, which has kustomize")
    check_compose()
    print("Compose and the service accept compose.yaml")
    caddy = shutil.which("caddy")
    assert caddy, "no caddy: tests/all installs it"
    check_compose_for_brands(caddy)
    print("Compose and the service accept compose-brands.yaml; the instances of both brands run at once, behind one Caddy")
    print(check_unit())


if __name__ == "__main__":
    main()
