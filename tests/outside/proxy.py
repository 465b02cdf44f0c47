"""Runs a reverse proxy on loopback, with its configuration from config/ and a new certificate."""

import http.client
import os
import re
import socket
import ssl
import subprocess
import time
from contextlib import AbstractContextManager

from service import PATIENCE, Service, read, wait_until, write

# OpenSSL without the distribution's minimum TLS version, so that the proxy's configuration must set one.
OPENSSL = """openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = permissive
[permissive]
MinProtocol = TLSv1
CipherString = DEFAULT:@SECLEVEL=0
"""
CONFIG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../config")
# The shop's host, the service's path there, and the alternative: a host for the service alone.
SITE, PREFIX, OWN_HOST = "shop.example.com", "/support-token", "support-token.example.com"
# Addresses of the browser and of a CDN. The proxy is on 127.0.0.1, which the service trusts.
CLIENT, CDN = "127.0.0.2", "127.0.0.4"
HOSTS = ["127.0.0.1", "127.0.0.3"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificate(folder):
    """Makes a certificate for both hosts in cert.pem, and its key in cert.pem.key, where HAProxy expects it."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "cert.pem.key", "-out", "cert.pem", "-days", "2",
         "-subj", f"/CN={SITE}", "-addext", f"subjectAltName=DNS:{SITE},DNS:{OWN_HOST},IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"],
        cwd=folder, check=True, capture_output=True)


class Upstreams(AbstractContextManager):
    """Two services on two addresses, as on two machines, until the end of the `with` block."""

    def __init__(self, **settings):
        self.settings = settings
        self.port, self.admin_port = free_port(), free_port()
        self.addresses = [f"{host}:{self.port}" for host in HOSTS]
        self.services = [self.start(index) for index in range(len(HOSTS))]

    def start(self, index):
        return Service(listen=self.addresses[index], admin__listen=f"{HOSTS[index]}:{self.admin_port}", **self.settings)

    def restart(self, index):
        self.services[index].stop()
        time.sleep(0.3)
        self.services[index] = self.start(index)

    def __exit__(self, *_):
        for service in self.services:
            service.__exit__()


def changed(name, changes):
    """A file of config/ with the changes that a test needs. Each old text must be in the file exactly once."""
    text = read(f"{CONFIG}/{name}")
    for old, new in changes:
        assert text.count(old) == 1, f"{name}: {old}"
        text = text.replace(old, new)
    return text


def nginx(proxy, upstreams):
    temporary = "".join(f"    {kind}_temp_path {proxy.folder}/{kind};\n" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    text = changed("nginx.conf", [
        ("#server 127.0.0.1:8002", f"server {upstreams.addresses[1]}"), ("server 127.0.0.1:8001", f"server {upstreams.addresses[0]}"),
        ("listen 443 ssl", f"listen 127.0.0.1:{proxy.port} ssl"), ("/etc/ssl/shop.pem", f"{proxy.folder}/cert.pem"),
        ("/etc/ssl/shop.key", f"{proxy.folder}/cert.pem.key"), ("127.0.0.1:8080", str(proxy.shop)),
        ("#set_real_ip_from 203.0.113.0/24", f"set_real_ip_from {CDN}"), ("#real_ip_header", "real_ip_header"),
        ("#real_ip_recursive", "real_ip_recursive"),
        # Temporary files and logs in the test's folder.
        ("http {", f"pid {proxy.folder}/nginx.pid;\ndaemon off;\nhttp {{\n    access_log off;\n{temporary}"),
    ])
    if not proxy.shop:
        text = text.partition("        # The shop.\n")[0] + "    }\n}\n"
        text = text.replace(f"server_name {SITE}", f"server_name {OWN_HOST}").replace("        location /support-token/ {", "        location / {")
    return text


def caddy(proxy, upstreams):
    proxy.environment |= {
        "ZENDESK_TOKEN_SITE": f"{SITE}:{proxy.port}", "ZENDESK_TOKEN_UPSTREAMS": " ".join(upstreams.addresses),
        "ZENDESK_TOKEN_ADMIN_PORT": str(upstreams.admin_port), "ZENDESK_TOKEN_SHOP": str(proxy.shop),
    }
    # No certificate from outside, and only one listener.
    offline = "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n\tservers {"
    tls = f"\ttls {proxy.folder}/cert.pem {proxy.folder}/cert.pem.key {{"
    text = changed("Caddyfile", [
        ("{\n\tservers {", offline), ("\ttls {", tls), ("#trusted_proxies 203.0.113.0/24", f"trusted_proxies {CDN}"),
    ])
    if not proxy.shop:
        before, _, rest = text.partition("{$ZENDESK_TOKEN_SITE")
        alone = re.sub("^#", "", rest.partition("# Alternative")[2].partition("\n")[2], flags=re.MULTILINE)
        text = before + alone.replace(" {\n", f":{proxy.port} {{\n{tls}\n\t}}\n")
    return text


def caddy_brands(proxy, upstreams, second_shop):
    """Caddy for two shops: the first service has a path of SITE, and the second one a path of OWN_HOST."""
    first, second = upstreams.addresses
    write(f"{proxy.folder}/Caddyfile", caddy(proxy, upstreams))
    proxy.environment |= {
        "ZENDESK_TOKEN_UPSTREAMS": first, "ZENDESK_TOKEN_UPSTREAMS_B": second,
        "ZENDESK_TOKEN_SITE_B": f"{OWN_HOST}:{proxy.port}", "ZENDESK_TOKEN_SHOP_B": second_shop,
    }
    return changed("Caddyfile.brands", [("\ttls {", f"\ttls {proxy.folder}/cert.pem {proxy.folder}/cert.pem.key {{")])


def haproxy(proxy, upstreams):
    default = "shop" if proxy.shop else "zendesk_token"
    return changed("haproxy.cfg", [
        ("#server second 127.0.0.1:8002", f"server second {upstreams.addresses[1]}"), ("127.0.0.1:8001", upstreams.addresses[0]),
        ("bind :443", f"bind 127.0.0.1:{proxy.port}"), ("/etc/ssl/shop.pem", f"{proxy.folder}/cert.pem"),
        ("127.0.0.1:8080", proxy.shop or "127.0.0.1:8080"), ("#http-request set-src", "http-request set-src"), ("203.0.113.0/24", CDN),
        ("    default_backend shop", f"    default_backend {default}"),
    ])


KINDS = {"nginx": nginx, "caddy": caddy, "haproxy": haproxy}


class Proxy(AbstractContextManager):
    """A proxy in front of two upstreams, until the end of the `with` block: at the shop's host if `shop` is the shop's address, else at a
    host for the service alone. `configure` makes its configuration; without it, the configuration is the program's in KINDS."""

    def __init__(self, program, folder, upstreams, shop=None, configure=None):
        self.name, self.shop, self.host = os.path.basename(program), shop, SITE if shop else OWN_HOST
        self.folder = f"{folder}/{self.name}-{self.host}"
        self.port = free_port()
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.folder, "OPENSSL_CONF": f"{self.folder}/openssl.conf"}
        os.mkdir(self.folder)
        write(f"{self.folder}/openssl.conf", OPENSSL)
        certificate(self.folder)
        file = f"{self.folder}/config"
        write(file, (configure or KINDS[self.name])(self, upstreams))
        self.command = {
            "nginx": [program, "-e", f"{self.folder}/error.log", "-p", self.folder, "-c", file],
            "caddy": [program, "run", "--adapter", "caddyfile", "--config", file],
            "haproxy": [program, "-W", "-f", file],
        }[self.name]
        self.context = ssl.create_default_context(cafile=f"{self.folder}/cert.pem")
        self.start()

    def start(self):
        with open(f"{self.folder}/output", "a") as output:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=output, stderr=output)

        def is_listening():
            assert self.process.poll() is None, self.output()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(is_listening, lambda: f"{self.name} listens: {self.output()}")

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def output(self):
        return re.sub(r"\s+", " ", read(f"{self.folder}/output"))[-2000:]

    def connect(self, client=CLIENT, context=None, host=None):
        """A TLS connection from the browser's address, to the proxy's host unless another one is given."""
        raw = socket.create_connection(("127.0.0.1", self.port), PATIENCE, source_address=(client, 0))
        connection = http.client.HTTPConnection(f"{host or self.host}:{self.port}")
        connection.sock = (context or self.context).wrap_socket(raw, server_hostname=host or self.host)
        return connection

    def __exit__(self, *_):
        self.stop()
