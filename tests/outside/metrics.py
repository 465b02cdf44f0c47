"""metrics.py PROMETHEUS PROMTOOL: tests the metrics, the alert rules and the dashboard with a real Prometheus.

Prometheus scrapes the service on loopback and answers every query of the dashboard.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse

from proxy import CONFIG, free_port
from service import Service, ask, exchange, login_token, read, wait_until, write

HERE = os.path.dirname(os.path.abspath(__file__))


def queries():
    """Every query of the dashboard, with values for its variables."""
    dashboard = json.loads(read(f"{CONFIG}/grafana-dashboard.json"))
    fill = {"$__rate_interval": "1m", "$instance": ".*"}
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in fill.items():
                expression = expression.replace(name, value)
            yield expression


def names(text):
    return set(re.findall(r"\b(?:zendesk_token|process)_[a-z_]+\b", text))


def served(text):
    """The names of all metrics in a response."""
    return {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}


def check_queries(service, prometheus):
    """Starts Prometheus, and sends it every query of the dashboard."""
    with tempfile.TemporaryDirectory() as folder:
        scrape = {"job_name": "zendesk-token", "scrape_interval": "1s", "static_configs": [{"targets": [service.admin]}]}
        settings = {"scrape_configs": [scrape], "rule_files": [os.path.abspath(f"{CONFIG}/prometheus-rules.yaml")]}
        write(f"{folder}/prometheus.yml", json.dumps(settings))
        address = f"127.0.0.1:{free_port()}"
        command = [prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

        def query(expression):
            """The series of the result."""
            status, _, text = ask(address, f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
            assert status in (200, 503), text  # 503: it is starting
            return status == 200 and json.loads(text)["data"]["result"]

        def is_up():
            try:
                return query("up == 1")
            except OSError:
                return False

        try:
            wait_until(is_up, "Prometheus scrapes the service")
            wait_until(lambda: query('zendesk_token_exchanges_total{product="messaging",outcome="issued"} == 3'), "three tokens are counted")
            # Without RS256, TLS and refusals these series have no values.
            seen = [expression for expression in queries() if not re.search("key_age|certificate", expression) and not expression.endswith("> 0")]
            # A rate needs two scrapes.
            wait_until(lambda: all(query(expression) for expression in seen), "every query has a result")
            for expression in queries():
                query(expression)
        finally:
            process.terminate()
            process.wait()


def main(prometheus, promtool):
    subprocess.run([promtool, "check", "rules", f"{CONFIG}/prometheus-rules.yaml"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([promtool, "test", "rules", f"{HERE}/prometheus-rules-test.yaml"], check=True, stdout=subprocess.DEVNULL)
    print("each alert fires when it should, and only then")
    with Service() as service:
        for _ in range(3):
            assert exchange(service.public, "messaging", login_token())[0] == 200
        known = served(ask(service.admin, "/metrics")[2]) | {"zendesk_token_key_age_seconds", "zendesk_token_certificate_expiry_timestamp_seconds"}
        rules = " ".join(line for line in read(f"{CONFIG}/prometheus-rules.yaml").splitlines() if not line.lstrip().startswith("#"))
        used = names(rules) | names(" ".join(queries()))
        assert used <= known, used - known
        check_queries(service, prometheus)
        service.stop()
    print("Prometheus reads the metrics, and the dashboard and the alerts use only metrics that exist")


if __name__ == "__main__":
    main(*sys.argv[1:])
