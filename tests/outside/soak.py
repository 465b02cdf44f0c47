"""Does the service hold out: good, bad and slow clients, reloads and restarts of the proxies, all at once and for minutes?

soak.py BINARY MINUTES PROXY…: two services behind each proxy, and one that speaks TLS itself. Fails when a good request fails, when
memory grows, or when descriptors are left over.
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
from service import SECRETS, Service, login_token, write
from watched import Watched

# Every so many seconds.
RELOAD, RESTART = 3, 20
# How long there are more clients than ever after, in seconds.
STORM = 45
# How far the last minute's memory may be from the second's, which has caches and threads as they will be.
GROWTH = 0.05
PRODUCTS = ["chat", "messaging", "help_center", "support_sdk"]
# The secret that the login's own takes turns with.
OTHER = os.urandom(32).hex()


def reload(folder, watched, turn):
    """Secrets swap places, the certificate is another, and once in a while the settings are wrong."""
    if turn % 5 == 4:
        write(f"{folder}/login", "short")
    else:
        current, previous = ("login", "other") if turn % 2 else ("other", "login")
        values = {"login": SECRETS["login"], "other": OTHER}
        write(f"{folder}/previous", values[previous])
        write(f"{folder}/login", values[current])
        certificate(f"{folder}/tls")
    for service_ in watched:
        service_.running.process.send_signal(signal.SIGHUP)


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
        with Upstreams(**settings) as upstreams, Service(**settings, **tls) as speaking_tls:
            watched = [Watched(running) for running in [*upstreams.services, speaking_tls]]
            proxies = [Proxy(program, folder, upstreams) for program in programs]
            try:
                tallies, places = under_load(folder, minutes * 60, watched, proxies)
            finally:
                for proxy in proxies:
                    proxy.stop()
            judge(minutes * 60, watched, tallies, places)


def under_load(folder, seconds, watched, proxies):
    context = multiprocessing.get_context("spawn")
    downs = [context.Value("d", 0) for _ in proxies]
    direct = [clients.Place(service_.running.public, is_tls) for service_, is_tls in zip(watched, [False, False, True])]
    behind = [clients.Place(f"127.0.0.1:{proxy.port}", True, down) for proxy, down in zip(proxies, downs)]
    tokens, results = [login_token(sub=f"player-{number}") for number in range(200)], context.Queue()
    secrets = {product: SECRETS[product] for product in PRODUCTS}
    # Good, bad and slow clients at each place. Never are there more than in the first minute: what grows after it is a leak, and not the
    # room that a crowd takes.
    groups = [
        (direct, (4, 0, 0), seconds), (behind, (3, 0, 0), seconds), (direct + behind, (0, 2, 12), seconds),
        (direct + behind, (2, 4, 60), STORM),
    ]
    workers = [
        context.Process(target=clients.run, args=(places, tokens, secrets, time_, counts, results)) for places, counts, time_ in groups
    ]
    for worker in workers:
        worker.start()
    begun, reloads, restarts = time.monotonic(), 0, 0
    while (second := time.monotonic() - begun) < seconds:
        for service_ in watched:
            service_.look(second)
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
    places = [f"{place.address} {product}" for place in direct + behind for product in PRODUCTS]
    return tallies, places


def judge(seconds, watched, tallies, places):
    total = {name: sum(tally[name] for tally in tallies) for name in ["cut", "bad", "slow"]}
    good = sum((tally["good"] for tally in tallies), Counter())
    failed = [failure for tally in tallies for failure in tally["failed"]]
    print(f"{good.total()} good requests, at least {min(good[place] for place in places)} of a product at a place, {len(failed)} failed; {total['bad']} bad ones, {total['slow']} slow clients; "
          f"{total['cut']} connections cut by a proxy that was stopped", *failed[:10], sep="\n")
    is_well = not failed and all(good[place] > seconds for place in places)
    for service_ in watched:
        second, last = service_.mean(60, 120), service_.mean(seconds - 60, seconds)
        left = service_.descriptors_left_over(120)  # longer than limits.idle_timeout
        reloads = [service_.metric(f'zendesk_token_reloads_total{{outcome="{outcome}"}}') for outcome in ("done", "failed")]
        print(f"memory {second:.1f} MiB in the second minute, {last:.1f} in the last ({last / second - 1:+.1%}), "
              f"most {max(held for _, held in service_.memory):.1f}; {left} descriptors left over; {reloads[0]:.0f} reloads, {reloads[1]:.0f} refused")
        is_well &= abs(last / second - 1) <= GROWTH and left <= 0 and min(reloads) > 0
        service_.running.stop()
    sys.exit(0 if is_well else "the service did not hold out")


if __name__ == "__main__":
    service.BINARY = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        soak(place, float(sys.argv[2]), sys.argv[3:])
