"""A running service as the kernel and its admin listener see it."""

import http.client
import os
import re
import statistics
import time

from service import PATIENCE


class Watched:
    """A running service, and what it holds."""

    def __init__(self, running):
        self.running, self.pid = running, running.process.pid
        # When it answers it has opened what it will keep open; this very connection takes a moment to end.
        self.admin("/live")
        time.sleep(0.3)
        # What it held, and when, in seconds since the start.
        self.memory, self.idle_descriptors = [], self.descriptors()

    def descriptors(self):
        # The process can't be dumped, which hides its own folder in /proc from other users.
        return self.metric("process_open_fds")

    def resident(self):
        """Memory held, in MiB."""
        with open(f"/proc/{self.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) / 1024

    def cpu(self):
        """Seconds of CPU time spent."""
        with open(f"/proc/{self.pid}/stat") as file:
            user, system = file.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def look(self, second):
        self.memory.append((second, self.resident()))
        status, _ = self.admin("/ready")
        assert status == 200, "not ready"

    def admin(self, path):
        connection = http.client.HTTPConnection(self.running.admin, timeout=PATIENCE)
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def metric(self, name):
        return sum(float(value) for value in re.findall(rf"^{re.escape(name)} (\S+)$", self.admin("/metrics")[1], re.MULTILINE))

    def mean(self, begin, end):
        return statistics.mean(held for second, held in self.memory if begin <= second < end)

    def descriptors_left_over(self, patience):
        """How many more are open than at the start, once there are none or as many seconds are over."""
        end = time.monotonic() + patience
        while (left := self.descriptors() - self.idle_descriptors) > 0 and time.monotonic() < end:
            time.sleep(0.1)
        return left
