"""model.py: simulates a large shop and prints the tables of docs/scale.md. `model.py --check` compares them with the page.

A fluid model in steps of 10 ms: numbers of requests, not single ones. All replicas that are up get the same share, so one of them is
computed. benches/scale/real.py compares its wait slots and the Login API's limit with one, two and four real processes.
"""

import os
import sys
from dataclasses import dataclass, replace

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
PAGE = "docs/scale.md"
STEP = 0.01  # seconds

# The shop.
PLAYERS = 10_000_000  # a day
TOKENS = 10  # for each player: page loads, and renewals while a chat is open
BUSIEST = 0.10  # of the day's requests come in one hour
VISIT = 20 * 60  # seconds that a player stays
PEAK = PLAYERS * TOKENS * BUSIEST / 3600  # requests a second
ONLINE = PLAYERS * BUSIEST * VISIT / 3600  # players at the same time

# The service: CPU time of a request, and of one that also asks the Login API, as real.py measured them.
CPU, CPU_ASKING = 100e-6, 450e-6
# The share of limits.requests_in_flight that may wait for the Login API.
SLOTS = 1 / 4
# The script's tries, and its pauses in seconds: after `Retry-After`, and a backoff that doubles.
TRIES, RETRY_AFTER, BACKOFF = 4, 1.0, 0.5
# Where these numbers are in the code.
IN_THE_CODE = {
    "src/config/login.rs": "requests_in_flight / 4 / names.len()", "src/http/error.rs": 'HeaderValue::from_static("1")',
    "client/index.js": "MAX_TRIES = 4,", "client/index.js ": "500 * 2 ** (tries - 1) * (0.5 + Math.random())",
}


@dataclass(frozen=True)
class Case:
    """One reconnection of all widgets. Times in seconds, rates in calls or requests a second."""

    replicas: int = 4  # of one core each
    connections: int = 4096  # limits.connections
    in_flight: int = 1024  # limits.requests_in_flight
    spread: float = 10.0  # the widgets ask within this time
    api_limit: float | None = None  # of the Login API; None: login.check_revocation is off
    latency: float = 0.05  # of the Login API
    restarting: int = 0  # replicas that are not there
    rotated: bool = False  # every login token names a key that no replica has yet


@dataclass
class Result:
    """Shares of the players, and refusals for each player by what refused."""

    issued: float
    after_retry: float
    last: float  # seconds until 99 % of those who get a token have it
    refused: dict


def simulate(case):
    """What happens to the players who are online when all their widgets ask again."""
    up = case.replicas - case.restarting
    asks = case.api_limit is not None
    steps, slots = int((case.spread + 60) / STEP), case.in_flight * SLOTS
    latency, cpu = round(case.latency / STEP), STEP / (CPU_ASKING if asks else CPU)
    arriving = [[0.0] * TRIES for _ in range(steps + int(20 / STEP))]
    for step in range(int(case.spread / STEP)):
        arriving[step][0] = ONLINE / up * STEP / case.spread
    queue, at_api, calls, allowed = [0.0] * TRIES, [], 0.0, 0.0
    refused, issued = dict.fromkeys(["a closed connection", "wait slots", "the Login API's limit"], 0.0), []

    def refuse(step, counts, why, retry_after=RETRY_AFTER):
        """The script tries again after Retry-After and half to one and a half times the backoff."""
        refused[why] += sum(counts)
        for tries, count in enumerate(counts[:-1]):
            first, last = (round((retry_after + BACKOFF * 2**tries * factor) / STEP) for factor in [0.5, 1.5])
            for later in range(first, last):
                arriving[step + later][tries + 1] += count / (last - first)

    def split(counts, room):
        """As many as there is room for, and the rest."""
        share = min(1.0, max(room, 0.0) / sum(counts)) if sum(counts) else 1.0
        return [count * share for count in counts], [count * (1 - share) for count in counts]

    for step in range(steps):
        # What the CPU has not begun waits in its connection. Above limits.connections the proxy answers 502, without Retry-After.
        came, closed = split(arriving[step], case.connections - sum(queue) - calls)
        refuse(step, closed, "a closed connection", 0)
        queue = [waiting + count for waiting, count in zip(queue, came)]
        if case.rotated and step < latency:
            # All wait in slots until the new key is there.
            queue, rest = split(queue, slots)
            refuse(step, rest, "wait slots")
            continue
        done, queue = split(queue, cpu)
        if not asks:
            issued.append((step, done))
            continue
        while at_api and at_api[0][0] <= step:
            _, answered, limited = at_api.pop(0)
            calls -= sum(answered) + sum(limited)
            refuse(step, limited, "the Login API's limit")
            issued.append((step, answered))
        asked, rest = split(done, slots - calls)
        refuse(step, rest, "wait slots")
        allowed = min(allowed + case.api_limit / up * STEP, case.api_limit / up)  # a second's calls may come at once
        answered, limited = split(asked, allowed)
        allowed -= sum(answered)
        calls += sum(asked)
        at_api.append((step + latency, answered, limited))
    players, total, seen, last = ONLINE / up, sum(sum(counts) for _, counts in issued), 0.0, 0.0
    for step, counts in issued:
        seen += sum(counts)
        if seen >= 0.99 * total:
            last = step * STEP
            break
    after_retry = sum(sum(counts[1:]) for _, counts in issued)
    return Result(total / players, after_retry / players, last, {why: count / players for why, count in refused.items()})


def number(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def percent(share):
    return "none" if share < 0.0005 else f"{share:.1%}".replace("%", " %")


def table(headings, rows):
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


def load_table():
    rows = [
        ("all day, on average", PLAYERS * TOKENS / 86_400), ("the busiest hour", PEAK), ("all widgets at once, within 10 s", ONLINE / 10)]
    return table(
        ["Load", "Requests/s", "CPU cores", "CPU cores with `login.check_revocation`"],
        [[name, number(rate), f"{rate * CPU:.2f}", f"{rate * CPU_ASKING:.2f}"] for name, rate in rows])


def cases_table(cases):
    rows = []
    for case, name in cases:
        result = simulate(case)
        why = max(result.refused, key=result.refused.get)
        most = why if result.refused[why] > 0.0005 else "nothing"
        rows.append([name, percent(1 - result.issued), percent(result.after_retry), f"{result.last:.0f} s", most])
    return table(["Case", "Players without a token", "With one after a retry", "99 % of the tokens after", "What refused most"], rows)


def plain_table():
    base = Case(replicas=5)
    return cases_table([
        (base, "5 replicas, within 10 s"), (replace(base, restarting=1), "one of them restarts meanwhile"),
        (replace(base, rotated=True), "the login's key changed right before"),
        (replace(base, restarting=1, rotated=True), "one restarts, and the key changed"), (replace(base, restarting=2), "two of them are down"),
        (replace(base, spread=3), "5 replicas, within 3 s"), (replace(base, spread=3, replicas=13), "13 replicas, within 3 s"),
    ])


def revocation_table():
    base = Case(replicas=20, api_limit=100_000)
    return cases_table([
        (replace(base, api_limit=500), "20 replicas, the Login API allows 500 calls/s"), (replace(base, api_limit=5_000), "5,000 calls/s"),
        (replace(base, api_limit=20_000), "20,000 calls/s"), (base, "as many as are sent"),
        (replace(base, restarting=1, rotated=True), "the same, one restarts and the key changed"), (replace(base, replicas=10), "10 replicas"),
        (replace(base, latency=0.5), "20 replicas, the Login API takes 0.5 s"),
        (replace(base, latency=0.5, in_flight=4096), "the same, `limits.requests_in_flight = 4096`"),
    ])


def read(path):
    with open(f"{ROOT}/{path.strip()}") as file:
        return file.read()


def main(*arguments):
    tables = [load_table(), plain_table(), revocation_table()]
    if arguments != ("--check",):
        print("\n".join(tables))
        return
    for path, text in IN_THE_CODE.items():
        assert text in read(path), f"{path.strip()} does not have {text}"
    for text in [*tables, *(f"{value:,.0f}" for value in [PLAYERS, PEAK, ONLINE])]:
        assert text in read(PAGE), f"{PAGE} does not have this:\n{text}"
    print(f"{PAGE} has the {len(tables)} tables of the model")


if __name__ == "__main__":
    main(*sys.argv[1:])
