//! What does the kernel say of this process?
//!
//! Names and meanings: prometheus.io, *Writing client libraries*, "Process metrics".

use std::fmt;

use procfs::process::{LimitValue, Process};
use procfs::{ProcError, WithCurrentSystemInfo, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads `/proc/self` at each scrape.
#[derive(Debug)]
pub(super) struct ProcessCollector;

struct Figures {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    open_files: u64,
    most_files: u64,
    /// Nothing where only processes are to be seen of `/proc` (systemd's `ProcSubset=pid`).
    start_seconds: Option<f64>,
}

impl Collector for ProcessCollector {
    /// Says nothing where there is no `/proc`.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Ok(figures) = Figures::read() else { return Ok(()) };
        let mut tell = |name, help, metric: &dyn Tell| metric.tell(&mut encoder, name, help);
        tell("process_cpu_seconds", "Seconds of CPU time spent", &ConstCounter::new(figures.cpu_seconds))?;
        tell("process_resident_memory_bytes", "Bytes of memory held", &gauge(figures.resident_bytes))?;
        tell("process_virtual_memory_bytes", "Bytes of address space", &gauge(figures.virtual_bytes))?;
        tell("process_open_fds", "File descriptors open", &gauge(figures.open_files))?;
        tell("process_max_fds", "File descriptors that may be open", &gauge(figures.most_files))?;
        match figures.start_seconds {
            Some(at) => tell("process_start_time_seconds", "Start of the process, since 1970", &ConstGauge::new(at)),
            None => Ok(()),
        }
    }
}

/// A metric that is written where it is made.
trait Tell {
    fn tell(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result;
}

impl<M: EncodeMetric> Tell for M {
    fn tell(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result {
        let encoder = encoder.encode_descriptor(name, help, None, self.metric_type())?;
        self.encode(encoder)
    }
}

fn gauge(count: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX))
}

impl Figures {
    #[expect(clippy::cast_precision_loss, reason = "whole ticks and seconds, far below 2^52")]
    fn read() -> Result<Self, ProcError> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks = ticks_per_second() as f64;
        let most_files = match process.limits()?.max_open_files.soft_limit {
            LimitValue::Value(most) => most,
            LimitValue::Unlimited => u64::MAX,
        };
        Ok(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            resident_bytes: stat.rss_bytes().get(),
            virtual_bytes: stat.vsize,
            open_files: u64::try_from(process.fd_count()?).unwrap_or(u64::MAX),
            most_files,
            start_seconds: procfs::boot_time_secs().ok().map(|boot| boot as f64 + stat.starttime as f64 / ticks),
        })
    }
}
