//! Metrics of the process, among them those that Prometheus' client libraries have
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs>, *Process metrics*). What the platform does not have is left out.

use std::fmt;
use std::fs;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cpu_time::ProcessTime;
use memory_stats::memory_stats;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Reads the metrics when they are asked for. Their prefix is `process`.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    start: Instant,
    start_time: f64,
}

impl ProcessCollector {
    /// The process starts now.
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), start_time: since_1970() }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
        let mut write = |name: &str, help: &str, unit: Option<&Unit>, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
        };
        let help = "Time that the process started (in seconds since the UNIX epoch)";
        write("start_time", help, seconds, &ConstGauge::new(self.start_time))?;
        write("clock_time", "Current system time for this process", seconds, &ConstGauge::new(since_1970().floor()))?;
        let uptime = ConstCounter::new(self.start.elapsed().as_secs_f64());
        write("uptime", "Total time since the process started (in seconds)", seconds, &uptime)?;
        if let Ok(time) = ProcessTime::try_now() {
            let time = ConstCounter::new(time.as_duration().as_secs_f64());
            write("cpu", "Total user and system CPU time spent in seconds", seconds, &time)?;
        }
        if let Some(memory) = memory_stats() {
            let [resident, all] = [memory.physical_mem, memory.virtual_mem].map(gauge);
            write("resident_memory", "Resident memory size in bytes", bytes, &resident)?;
            write("virtual_memory", "Virtual memory size in bytes", bytes, &all)?;
        }
        if let Some(open) = open_files() {
            write("open_fds", "Number of open file descriptors", None, &gauge(open))?;
        }
        #[cfg(unix)]
        if let Ok(most) = rlimit::Resource::NOFILE.get_soft() {
            write("max_fds", "Maximum number of open file descriptors", None, &gauge(most))?;
        }
        if let Ok(threads) = fs::read_dir("/proc/self/task") {
            write("threads", "Number of OS threads in the process", None, &gauge(threads.count()))?;
        }
        if let Some([received, sent]) = network() {
            let help = "Number of bytes received by the process over the network";
            write("network_receive", help, bytes, &ConstCounter::new(received))?;
            let help = "Number of bytes sent by the process over the network";
            write("network_transmit", help, bytes, &ConstCounter::new(sent))?;
        }
        Ok(())
    }
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "reports the clock, and decides nothing by it")]
fn since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Larger values than an `i64` do not occur.
fn gauge(value: impl TryInto<i64>) -> ConstGauge<i64> {
    ConstGauge::new(value.try_into().unwrap_or(i64::MAX))
}

/// The open files, without the folder that lists them. Linux, macOS.
fn open_files() -> Option<usize> {
    let folder = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    Some(fs::read_dir(folder).ok()?.count().saturating_sub(1))
}

/// The bytes that the process's network namespace received and sent: `InOctets` and `OutOctets` of `IpExt`, whose names are in one
/// line and whose values in the next. Linux.
fn network() -> Option<[u64; 2]> {
    let text = fs::read_to_string("/proc/self/net/netstat").ok()?;
    let mut lines = text.lines().filter(|line| line.starts_with("IpExt: ")).map(str::split_ascii_whitespace);
    let (names, values) = (lines.next()?, lines.next()?);
    let found = |wanted| names.clone().zip(values.clone()).find(|(name, _)| *name == wanted)?.1.parse().ok();
    Some([found("InOctets")?, found("OutOctets")?])
}
