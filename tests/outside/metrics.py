"""Does a real Prometheus read the metrics, and do the dashboard and the alert rules ask for what there is?

metrics.py PROMETHEUS PROMTOOL: starts both services on loopback, scrapes, and asks every question of the dashboard.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

from proxy import CONFIG, free_port
from service import PATIENCE, Service, login_token

HERE = os.path.dirname(os.path.abspath(__file__))


def questions():
    """Every question of the dashboard, with its variables filled in."""
    with open(f"{CONFIG}/grafana-dashboard.json") as file:
        dashboard = json.load(file)
    fill = {"$__rate_interval": "1m", "$instance": ".*"}
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in fill.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


def ask(address, expression):
    """What Prometheus answers to a question, as a list of series."""
    url = f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return json.load(answer)["data"]["result"]


def names(text):
    return set(re.findall(r"\b(?:zendesk_token|process)_[a-z_]+\b", text))


def served(text):
    """The names of all series in an exposition."""
    return {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}


def until(what, question):
    end = time.monotonic() + PATIENCE
    while not (answer := question()):
        assert time.monotonic() < end, f"never {what}"
        time.sleep(0.2)
    return answer


def scraped(service, prometheus):
    """Has Prometheus scrape the service, and asks it everything that the dashboard would."""
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/prometheus.yml", "w") as file:
            scrape = {"job_name": "zendesk-token", "scrape_interval": "1s", "static_configs": [{"targets": [service.admin]}]}
            json.dump({"scrape_configs": [scrape], "rule_files": [os.path.abspath(f"{CONFIG}/prometheus-rules.yaml")]}, file)
        address = f"127.0.0.1:{free_port()}"
        command = [prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            def is_up():
                try:
                    return ask(address, "up == 1")
                except OSError:
                    return None
            until("scraped", is_up)
            until("counted", lambda: ask(address, 'zendesk_token_exchanges_total{product="messaging",outcome="issued"} == 3'))
            # A rate wants two scrapes; there is no age of keys with HS256, no certificate without TLS, and where nothing was refused there is nothing to see.
            seen = [expression for _, expression in questions() if not re.search("key_age|certificate", expression) and not expression.endswith("> 0")]
            until("answered", lambda: all(ask(address, expression) for expression in seen))
            for _, expression in questions():
                ask(address, expression)
        finally:
            process.terminate()
            process.wait()


def main(prometheus, promtool):
    subprocess.run([promtool, "check", "rules", f"{CONFIG}/prometheus-rules.yaml"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([promtool, "test", "rules", f"{HERE}/prometheus-rules-test.yaml"], check=True, stdout=subprocess.DEVNULL)
    print("the alerts ring when they should, and not else")
    with Service() as service:
        for _ in range(3):
            request = urllib.request.Request(f"http://{service.public}/messaging/token", headers={"Cookie": f"token={login_token()}"})
            urllib.request.urlopen(request, timeout=PATIENCE).read()
        with urllib.request.urlopen(f"http://{service.admin}/metrics", timeout=PATIENCE) as answer:
            there = served(answer.read().decode()) | {"zendesk_token_key_age_seconds", "zendesk_token_certificate_expiry_timestamp_seconds"}
        with open(f"{CONFIG}/prometheus-rules.yaml") as file:
            rules = " ".join(line for line in file if not line.lstrip().startswith("#"))
        asked = names(rules) | names(" ".join(expression for _, expression in questions()))
        assert asked <= there, asked - there
        scraped(service, prometheus)
        service.stop()
    print("Prometheus reads them, and the dashboard asks for nothing that is not there")


if __name__ == "__main__":
    main(*sys.argv[1:])
