"""Measures a running service: memory, CPU time, open files and metrics."""

import os
import re
import statistics
import time

from service import ask, read


class Watched:
    """A running service, and its memory over time."""

    def __init__(self, running):
        self.running, self.pid = running, running.process.pid
        # The first answer shows that it has opened all files that stay open; this connection takes a moment to close.
        self.admin("/live")
        time.sleep(0.3)
        # Pairs of seconds since the start and MiB.
        self.memory, self.idle_descriptors = [], self.descriptors()

    def descriptors(self):
        # From the metrics: its folder in /proc is hidden from other users.
        return int(self.metric("process_open_fds"))

    def resident(self):
        """Resident memory in MiB."""
        return int(re.search(r"VmRSS:\s+(\d+)", read(f"/proc/{self.pid}/status"))[1]) / 1024

    def cpu(self):
        """CPU time in seconds."""
        user, system = read(f"/proc/{self.pid}/stat").rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def look(self, second):
        self.memory.append((second, self.resident()))
        assert self.admin("/ready")[0] == 200, "not ready"

    def admin(self, path):
        status, _, text = ask(self.running.admin, path, Connection="close")
        return status, text

    def metric(self, name):
        return sum(float(value) for value in re.findall(rf"^{re.escape(name)} (\S+)$", self.admin("/metrics")[1], re.MULTILINE))

    def mean(self, begin, end):
        return statistics.mean(mib for second, mib in self.memory if begin <= second < end)

    def descriptors_left_over(self, patience):
        """How many more are open than at the start; waits up to `patience` seconds for none."""
        end = time.monotonic() + patience
        while (left := self.descriptors() - self.idle_descriptors) > 0 and time.monotonic() < end:
            time.sleep(0.1)
        return left
