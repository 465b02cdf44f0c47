//! Writes log lines to standard output on a separate thread, and counts lost lines.
//!
//! `tracing-appender` provides the thread and its queue. This module is the writer that the thread uses.

use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Most lines in the queue while nothing reads standard output, about 2 MiB. The library's default is 128,000.
const MAX_WAITING_LINES: usize = 4096;

/// Most bytes that are buffered before they are written: the capacity of a pipe.
const MAX_BUFFERED_BYTES: usize = 64 * 1024;

/// Pause after a write, in which lines collect. Without it, every request costs a write and wakes the thread.
const PAUSE: Duration = Duration::from_millis(2);

/// Longest wait at the end of the process for a reader that has stopped reading.
const END_TIMEOUT: Duration = Duration::from_millis(500);

/// Starts the thread that writes to `file`. Returns the writer for log lines, which never blocks, and a guard.
pub(super) fn start(file: File) -> (NonBlocking, OutputGuard) {
    let shared = Arc::new(Shared { dropped: OnceLock::new(), is_idle: Mutex::new(true), became_idle: Condvar::new() });
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(MAX_WAITING_LINES).thread_name("log");
    let (lines, worker) = builder.finish(Output::new(file, Arc::clone(&shared)));
    let _ = shared.dropped.set(lines.error_counter());
    (lines, OutputGuard { worker: Some(worker), shared })
}

/// State shared by the thread and its guard.
struct Shared {
    /// Lines that were dropped because the queue was full.
    dropped: OnceLock<ErrorCounter>,
    /// Whether each line taken from the queue is written or counted as lost, and the report of lost lines is in the queue.
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

/// When dropped, waits until the last lines are written, unless the reader has stopped reading.
pub(super) struct OutputGuard {
    worker: Option<WorkerGuard>,
    shared: Arc<Shared>,
}

impl Drop for OutputGuard {
    fn drop(&mut self) {
        let idle = self.shared.became_idle.wait_timeout_while(self.shared.idle(), END_TIMEOUT, |is_idle| !*is_idle);
        let is_stalled = idle.is_ok_and(|(_, waited)| waited.timed_out());
        // When the queue stays full, the drop of tracing-appender's guard prints to standard output: the process would
        // wait for the reader forever (tests/process/log_output.rs fails).
        if is_stalled {
            mem::forget(self.worker.take());
        }
    }
}

/// Writes to standard output. Lines that can't be written (full disk, closed pipe) are only counted.
///
/// Never returns an error: after one, the appender's worker would skip the flush and its shutdown.
struct Output {
    file: File,
    buffer: Vec<u8>,
    /// Whether the last line was cut off: the next output must start with a line break.
    is_torn: bool,
    /// Lines since the last report that were not completely written.
    unwritten: usize,
    /// How many of the queue's dropped lines were reported.
    reported: usize,
    shared: Arc<Shared>,
}

impl Write for Output {
    /// Takes one whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + line.len() > MAX_BUFFERED_BYTES {
            self.write_buffered();
        }
        if self.buffer.is_empty() {
            *self.shared.idle() = false;
        }
        self.buffer.extend_from_slice(line);
        Ok(line.len())
    }

    /// Writes the buffered lines. The worker calls this when the queue is empty.
    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if !self.write_buffered() || self.report() {
            *self.shared.idle() = true;
            self.shared.became_idle.notify_all();
        }
        thread::sleep(PAUSE);
        Ok(())
    }
}

impl Output {
    fn new(file: File, shared: Arc<Shared>) -> Self {
        let buffer = Vec::with_capacity(MAX_BUFFERED_BYTES);
        Self { file, buffer, is_torn: false, unwritten: 0, reported: 0, shared }
    }

    /// Writes the buffered lines, and counts those that were not completely written. Returns whether all were written.
    fn write_buffered(&mut self) -> bool {
        if self.is_torn && write(&mut self.file, b"\n") == 1 {
            self.is_torn = false;
        }
        let written = if self.is_torn { 0 } else { write(&mut self.file, &self.buffer) };
        let (done, left) = self.buffer.split_at(written);
        self.is_torn |= done.last().is_some_and(|last| *last != b'\n');
        self.unwritten += left.split(|byte| *byte == b'\n').count() - 1;
        let is_whole = left.is_empty();
        self.buffer.clear();
        is_whole
    }

    /// Logs how many lines were lost since the last report, if any. Returns `false` if the queue dropped the report.
    fn report(&mut self) -> bool {
        let dropped = self.shared.dropped();
        let lines = self.unwritten + dropped - self.reported;
        if lines == 0 {
            return true;
        }
        tracing::warn!(lines, "log lines were lost: standard output was not read fast enough, or could not be written");
        if self.shared.dropped() != dropped {
            // The queue was full and dropped the report. The next report counts the same lines.
            self.reported += 1;
            return false;
        }
        (self.unwritten, self.reported) = (0, dropped);
        true
    }
}

/// Writes as much as possible; returns the number of bytes.
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
