"""soak.py BINARY MINUTES PROXY…: runs the service under load, with good, bad and slow clients, reloads and restarts of the proxies.

Two services behind each proxy, and one with TLS of its own. Fails if a good request fails, if memory grows, or if descriptors leak.
"""

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter

import clients
import service
from proxy import Proxy, Upstreams, certificate
from server import Server
from service import PATHS, SECRETS, Service, login_token, write
from watched import Watched

# Seconds between two reloads, and between two restarts of a proxy.
RELOAD, RESTART = 3, 20
# Seconds at the start in which there are the most clients.
STORM = 45
# Largest relative difference of memory between the second and the last minute. After one minute, caches and threads have their size.
GROWTH = 0.05
# The login secret that is used in turn with SECRETS["login"].
OTHER = os.urandom(32).hex()


def reload(folder, watched, turn):
    """Swaps the secrets and replaces the certificate, or makes the settings invalid every fifth time."""
    if turn % 5 == 4:
        write(f"{folder}/login", "short")
    else:
        current, previous = ("login", "other") if turn % 2 else ("other", "login")
        values = {"login": SECRETS["login"], "other": OTHER}
        write(f"{folder}/previous", values[previous])
        write(f"{folder}/login", values[current])
        certificate(f"{folder}/tls")
    for instance in watched:
        instance.running.process.send_signal(signal.SIGHUP)


def restart(proxies, downs):
    index = random.randrange(len(proxies))
    downs[index].value = time.time() + 3600
    proxies[index].stop()
    proxies[index].start()
    downs[index].value = time.time()


def soak(folder, minutes, programs):
    os.mkdir(f"{folder}/tls")
    certificate(f"{folder}/tls")
    write(f"{folder}/login", SECRETS["login"])
    write(f"{folder}/previous", OTHER)
    settings = {
        "login__secret": "", "login__secret_file": f"{folder}/login", "login__previous_secret_file": f"{folder}/previous",
        "login__check_revocation": "true", "proxy__trusted": "127.0.0.1", "log__level": "info", "rate_limit__per_second": "100000",
    }
    tls = {"tls__certificate": f"{folder}/tls/cert.pem", "tls__key": f"{folder}/tls/cert.pem.key"}
    with Server(lambda *_: 204) as login_api:
        settings["login__api_url"] = login_api.url
        with Upstreams(**settings) as upstreams, Service(**settings, **tls) as with_tls:
            watched = [Watched(running) for running in [*upstreams.services, with_tls]]
            proxies = [Proxy(program, folder, upstreams) for program in programs]
            try:
                tallies, names = under_load(folder, minutes * 60, watched, proxies)
            finally:
                for proxy in proxies:
                    proxy.stop()
            judge(minutes * 60, watched, tallies, names)


def under_load(folder, seconds, watched, proxies):
    context = multiprocessing.get_context("spawn")
    downs = [context.Value("d", 0) for _ in proxies]
    direct = [clients.Endpoint(instance.running.public, is_tls) for instance, is_tls in zip(watched, [False, False, True])]
    behind = [clients.Endpoint(f"127.0.0.1:{proxy.port}", True, down) for proxy, down in zip(proxies, downs)]
    tokens, results = [login_token(sub=f"player-{number}") for number in range(200)], context.Queue()
    secrets = {product: SECRETS[product] for product in PATHS}
    # Numbers of good, bad and slow clients for each endpoint. Most of them are there in the first minute, so that growth after it is a leak.
    groups = [
        (direct, (4, 0, 0), seconds), (behind, (3, 0, 0), seconds), (direct + behind, (0, 2, 12), seconds),
        (direct + behind, (2, 4, 60), STORM),
    ]
    workers = [
        context.Process(target=clients.run, args=(endpoints, tokens, secrets, time_, counts, results)) for endpoints, counts, time_ in groups
    ]
    for worker in workers:
        worker.start()
    begun, reloads, restarts = time.monotonic(), 0, 0
    while (second := time.monotonic() - begun) < seconds:
        for instance in watched:
            instance.look(second)
        if second > (reloads + 1) * RELOAD:
            reload(folder, watched, reloads)
            reloads += 1
        if second > (restarts + 1) * RESTART:
            restart(proxies, downs)
            restarts += 1
        time.sleep(0.5)
    tallies = [results.get(timeout=10 * clients.PATIENCE) for _ in workers]
    for worker in workers:
        worker.join(clients.PATIENCE)
    return tallies, [f"{endpoint.address} {product}" for endpoint in direct + behind for product in PATHS]


def judge(seconds, watched, tallies, names):
    total = {name: sum(tally[name] for tally in tallies) for name in ["cut", "bad", "slow"]}
    good = sum((tally["good"] for tally in tallies), Counter())
    failed = [failure for tally in tallies for failure in tally["failed"]]
    print(f"{good.total()} good requests, at least {min(good[name] for name in names)} for each product and endpoint, {len(failed)} failed; "
          f"{total['bad']} bad requests, {total['slow']} slow clients; {total['cut']} connections cut by restarts of proxies", *failed[:10], sep="\n")
    is_good = not failed and all(good[name] > seconds for name in names)
    for instance in watched:
        second, last = instance.mean(60, 120), instance.mean(seconds - 60, seconds)
        left = instance.descriptors_left_over(120)  # longer than limits.idle_timeout
        reloads = [instance.metric(f'zendesk_token_reloads_total{{outcome="{outcome}"}}') for outcome in ("done", "failed")]
        print(f"memory {second:.1f} MiB in the second minute, {last:.1f} in the last ({last / second - 1:+.1%}), "
              f"at most {max(mib for _, mib in instance.memory):.1f}; {left} descriptors left over; {reloads[0]:.0f} reloads, {reloads[1]:.0f} failed")
        is_good &= abs(last / second - 1) <= GROWTH and left <= 0 and min(reloads) > 0
        instance.running.stop()
    sys.exit(0 if is_good else "the service did not pass")


if __name__ == "__main__":
    service.BINARY = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        os.chmod(temporary, 0o755)
        soak(temporary, float(sys.argv[2]), sys.argv[3:])
