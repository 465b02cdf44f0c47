"""model.py: simulates a large shop and prints the tables of docs/scale.md. `model.py --check` compares them with the page.

A fluid model in steps of 10 ms: numbers of requests, not single ones. All replicas that are up get the same share, so one of them is
computed. benches/scale/real.py checks with real processes that capacity grows with the number of replicas as it does here.
"""

import os
import re
import sys
from dataclasses import dataclass, replace

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/scale.md")
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
# In the code: the share of limits.requests_in_flight that may wait for the Login API (src/config/login.rs), and the script's tries and
# pauses in seconds (client/index.js), after `Retry-After: 1`.
SLOTS = 1 / 4
TRIES, RETRY_AFTER, BACKOFF = 4, 1.0, 0.5


@dataclass(frozen=True)
class Case:
    """One reconnection of all widgets. Times in seconds, rates in calls or requests a second."""

    replicas: int = 4
    cores: float = 1.0  # of each replica
    in_flight: int = 1024  # limits.requests_in_flight
    spread: float = 10.0  # the widgets ask within this time
    api_limit: float | None = None  # of the Login API; None: login.check_revocation is off
    api_latency: float = 0.05
    restarting: int = 0  # replicas that are not there
    rotated: bool = False  # every login token names a key that no replica has yet


@dataclass
class Result:
    issued: float = 0.0  # shares of the players
    after_retry: float = 0.0
    last: float = 0.0  # seconds until 99 % of those who get a token have it
    overloaded: float = 0.0  # refusals for each player, by their reason
    waiting: float = 0.0
    limited: float = 0.0


def simulate(case):
    """What happens to the players who are online when all their widgets ask again."""
    up = case.replicas - case.restarting
    steps = int((case.spread + 60) / STEP)
    arriving = [[0.0] * TRIES for _ in range(steps + int(20 / STEP))]
    for step in range(int(case.spread / STEP)):
        arriving[step][0] = ONLINE / up * STEP / case.spread
    asks = case.api_limit is not None
    cpu = case.cores * STEP / (CPU_ASKING if asks else CPU)
    latency = int(case.api_latency / STEP)
    queue, at_api, calls, allowed = [0.0] * TRIES, [], 0.0, 0.0
    result, issued_at = Result(), []

    def refuse(step, tries, count):
        """The script's next try: after Retry-After and half to one and a half times the backoff, which doubles."""
        if tries + 1 == TRIES or count <= 0:
            return
        backoff = BACKOFF * 2**tries
        first, last = (int((RETRY_AFTER + backoff * factor) / STEP) for factor in [0.5, 1.5])
        for later in range(first, last):
            arriving[step + later][tries + 1] += count / (last - first)

    for step in range(steps):
        # Accepted, as long as there are fewer than limits.requests_in_flight.
        came = arriving[step]
        free = max(case.in_flight - sum(queue) - calls, 0.0)
        accepted = min(1.0, free / sum(came)) if sum(came) else 1.0
        for tries, count in enumerate(came):
            queue[tries] += count * accepted
            refuse(step, tries, count * (1 - accepted))
            result.overloaded += count * (1 - accepted)
        # The first fetch of a new key takes one call; all wait for it.
        if case.rotated and step < latency:
            continue
        served = min(1.0, cpu / sum(queue)) if sum(queue) else 0.0
        done = [count * served for count in queue]
        queue = [count - gone for count, gone in zip(queue, done)]
        if asks:
            # A wait slot, then the Login API, which refuses what is over its limit.
            while at_api and at_api[0][0] <= step:
                _, answered, refused = at_api.pop(0)
                calls -= sum(answered) + sum(refused)
                for tries, count in enumerate(refused):
                    refuse(step, tries, count)
                issued_at.append((step, answered))
            free = max(case.in_flight * SLOTS - calls, 0.0)
            slot = min(1.0, free / sum(done)) if sum(done) else 1.0
            for tries, count in enumerate(done):
                refuse(step, tries, count * (1 - slot))
                result.waiting += count * (1 - slot)
            asked = [count * slot for count in done]
            allowed = min(allowed + case.api_limit / up * STEP, case.api_limit / up)  # a second's calls may come at once
            passed = min(1.0, allowed / sum(asked)) if sum(asked) else 1.0
            allowed -= sum(asked) * passed
            result.limited += sum(asked) * (1 - passed)
            calls += sum(asked)
            at_api.append((step + latency, [count * passed for count in asked], [count * (1 - passed) for count in asked]))
        else:
            issued_at.append((step, done))
    players = ONLINE / up
    total = sum(sum(counts) for _, counts in issued_at)
    seen = 0.0
    for step, counts in issued_at:
        seen += sum(counts)
        if seen >= 0.99 * total:
            result.last = step * STEP
            break
    result.issued = total / players
    result.after_retry = sum(sum(counts[1:]) for _, counts in issued_at) / players
    for name in ["overloaded", "waiting", "limited"]:
        setattr(result, name, getattr(result, name) / players)
    return result


def number(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def percent(share):
    return "none" if share < 0.0005 else f"{share:.1%}".replace("100.0%", "100%").replace("%", " %")


def table(headings, rows):
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


def load_table():
    rows = [
        ("all day, on average", PLAYERS * TOKENS / 86_400), ("the busiest hour", PEAK), ("all widgets at once, within 10 s", ONLINE / 10)]
    return table(
        ["Load", "Requests/s", "CPU cores", "CPU cores with `login.check_revocation`"],
        [[name, number(rate), f"{rate * CPU:.2f}", f"{rate * CPU_ASKING:.2f}"] for name, rate in rows])


def reconnection(case, name):
    result = simulate(case)
    reasons = {"00-11": result.overloaded, "00-07, no wait slot": result.waiting, "00-07, the Login API's limit": result.limited}
    first = max(reasons, key=reasons.get)
    return [
        name, percent(1 - result.issued), percent(result.after_retry), f"{result.last:.0f} s",
        first if reasons[first] > 0.0005 else "nothing"]


HEADINGS = ["Case", "Players without a token", "With one after a retry", "99 % of the tokens after", "What refused most"]


def plain_table():
    base = Case(replicas=4)
    cases = [
        (base, "4 replicas, within 10 s"), (replace(base, restarting=1), "one of them restarts meanwhile"),
        (replace(base, rotated=True), "the login's key changed right before"),
        (replace(base, restarting=1, rotated=True), "one restarts, and the key changed"), (replace(base, spread=3), "4 replicas, within 3 s"),
        (replace(base, spread=3, in_flight=8192), "the same, `limits.requests_in_flight = 8192`"),
        (replace(base, spread=3, replicas=12), "12 replicas, within 3 s"),
    ]
    return table(HEADINGS, [reconnection(case, name) for case, name in cases])


def revocation_table():
    base = Case(replicas=20, api_limit=100_000)
    cases = [
        (replace(base, api_limit=500), "20 replicas, the Login API allows 500 calls/s"), (replace(base, api_limit=5_000), "5,000 calls/s"),
        (replace(base, api_limit=20_000), "20,000 calls/s"), (base, "as many as are sent"),
        (replace(base, replicas=4), "the same, 4 replicas"),
        (replace(base, restarting=1, rotated=True), "20 replicas, one restarts and the key changed"),
        (replace(base, api_latency=0.5), "20 replicas, the Login API takes 0.5 s"),
        (replace(base, api_latency=0.5, in_flight=4096), "the same, `limits.requests_in_flight = 4096`"),
    ]
    return table(HEADINGS, [reconnection(case, name) for case, name in cases])


def main(*arguments):
    tables = [load_table(), plain_table(), revocation_table()]
    if arguments == ("--check",):
        with open(PAGE) as file:
            page = file.read()
        missing = [text for text in tables if text not in page]
        assert not missing, "docs/scale.md does not have this table:\n" + "\n".join(missing)
        for value in [PLAYERS, round(PEAK), round(ONLINE)]:
            assert re.search(rf"\b{value:,}\b", page), f"docs/scale.md does not have {value:,}"
        print(f"docs/scale.md has the {len(tables)} tables of the model")
    else:
        print("\n".join(tables))


if __name__ == "__main__":
    main(*sys.argv[1:])
