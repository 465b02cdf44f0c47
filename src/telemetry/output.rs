//! Writes log lines to standard output on a thread of their own, and counts those that are lost.
//!
//! `tracing-appender` brings the thread and its queue. This module is what that thread writes to.

use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Lines that wait while nobody reads, some 2 MiB. The library's default is 128,000.
const MAX_WAITING_LINES: usize = 4096;

/// Bytes that are gathered before they are written: what a pipe holds.
const MAX_GATHERED_BYTES: usize = 64 * 1024;

/// Pause after a write, in which lines gather. Without it, every request pays for a write and for waking the thread.
/// Nobody who reads along sees it.
const PAUSE: Duration = Duration::from_millis(2);

/// Longest wait at the end of the process for a reader that has stopped reading.
const END: Duration = Duration::from_millis(500);

/// Starts the thread that writes to `file`. Returns the writer for log lines, which never waits, and a guard that has
/// the last lines written when it is dropped.
pub(super) fn start(file: File) -> (NonBlocking, OutputGuard) {
    let shared = Arc::new(Shared { dropped: OnceLock::new(), is_idle: Mutex::new(true), became_idle: Condvar::new() });
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(MAX_WAITING_LINES).thread_name("log");
    let (lines, worker) = builder.finish(Output::new(file, Arc::clone(&shared)));
    // Nobody else sets it.
    let _ = shared.dropped.set(lines.error_counter());
    (lines, OutputGuard { worker: Some(worker), shared })
}

/// State shared by the thread and its guard.
struct Shared {
    /// Lines that found the queue full.
    dropped: OnceLock<ErrorCounter>,
    /// All lines that left the queue are written or counted as lost, and the report of lost lines is in the queue.
    is_idle: Mutex<bool>,
    became_idle: Condvar,
}

impl Shared {
    fn dropped(&self) -> usize {
        self.dropped.get().map_or(0, ErrorCounter::dropped_lines)
    }

    fn idle(&self) -> MutexGuard<'_, bool> {
        self.is_idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the last lines written when it is dropped, unless the reader has stopped reading.
pub(super) struct OutputGuard {
    worker: Option<WorkerGuard>,
    shared: Arc<Shared>,
}

impl Drop for OutputGuard {
    fn drop(&mut self) {
        let idle = self.shared.became_idle.wait_timeout_while(self.shared.idle(), END, |is_idle| !*is_idle);
        let is_stalled = idle.is_ok_and(|(_, waited)| waited.timed_out());
        // When the queue stays full, the drop of tracing-appender's guard prints to standard output: the process would
        // wait for the reader forever (tests/log_readers.rs fails).
        if is_stalled {
            mem::forget(self.worker.take());
        }
    }
}

/// Standard output. Lines that it does not take (a full disk, a closed pipe) are lost, and nothing more.
///
/// Never returns an error: the appender's worker would then skip the flush, and its own shutdown.
struct Output {
    file: File,
    gathered: Vec<u8>,
    /// The last line was written in part: what comes next must not go on with it.
    is_torn: bool,
    /// Lines that were not written to their end, since the last report.
    refused: usize,
    /// How many of the queue's dropped lines were reported.
    reported: usize,
    shared: Arc<Shared>,
}

impl Write for Output {
    /// Takes one whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.gathered.len() + line.len() > MAX_GATHERED_BYTES {
            self.write_gathered();
        }
        if self.gathered.is_empty() {
            *self.shared.idle() = false;
        }
        self.gathered.extend_from_slice(line);
        Ok(line.len())
    }

    /// Writes what was gathered. The worker calls this when the queue is empty.
    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        if !self.write_gathered() || self.report() {
            *self.shared.idle() = true;
            self.shared.became_idle.notify_all();
        }
        thread::sleep(PAUSE);
        Ok(())
    }
}

impl Output {
    fn new(file: File, shared: Arc<Shared>) -> Self {
        let gathered = Vec::with_capacity(MAX_GATHERED_BYTES);
        Self { file, gathered, is_torn: false, refused: 0, reported: 0, shared }
    }

    /// Writes the gathered lines, and counts those that were not written to their end. Returns whether all were written.
    fn write_gathered(&mut self) -> bool {
        if self.is_torn && write(&mut self.file, b"\n") == 1 {
            self.is_torn = false;
        }
        let written = if self.is_torn { 0 } else { write(&mut self.file, &self.gathered) };
        let (done, left) = self.gathered.split_at(written);
        self.is_torn |= done.last().is_some_and(|last| *last != b'\n');
        self.refused += left.split(|byte| *byte == b'\n').count() - 1;
        let is_whole = left.is_empty();
        self.gathered.clear();
        is_whole
    }

    /// Logs how many lines were lost since the last report, if any. Returns `false` if the queue dropped the report.
    fn report(&mut self) -> bool {
        let dropped = self.shared.dropped();
        let lines = self.refused + dropped - self.reported;
        if lines == 0 {
            return true;
        }
        tracing::warn!(lines, "log lines were lost: standard output was not read fast enough, or could not be written");
        if self.shared.dropped() != dropped {
            // The queue filled up while this thread wrote, and dropped the report. The next one counts the same lines.
            self.reported += 1;
            return false;
        }
        (self.refused, self.reported) = (0, dropped);
        true
    }
}

/// Writes as much as there is room for; returns how many bytes that was.
fn write(file: &mut File, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(bytes.split_at(written).1) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    written
}
