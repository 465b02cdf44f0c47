//! How do log lines get out without anybody waiting for them?
//!
//! A line is queued, and one thread writes what is queued. Whoever reads standard output may stop
//! reading, and a client can have as many lines written as it likes: writing in place would let the
//! two stop the service, its probes and its stopping. `tracing-appender` does the same, but reports a
//! full queue at the end with `println!`, to the very reader that has stopped.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

/// Most lines that wait; at 700 bytes a line some 6 MB.
const MAX_WAITING: usize = 8192;

/// Most bytes that go out in one write.
const MAX_BATCH: usize = 64 * 1024;

/// Longest wait at the end for what is still queued.
const END: Duration = Duration::from_millis(500);

/// The near end of the queue: what it is given is a whole line each time.
#[derive(Clone)]
pub struct Writer {
    queue: SyncSender<Entry>,
    lost: Arc<AtomicUsize>,
}

enum Entry {
    Line(Vec<u8>),
    /// Answered once everything before it is written.
    End(SyncSender<()>),
}

impl Writer {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(out: File) -> io::Result<Self> {
        let (queue, entries) = mpsc::sync_channel(MAX_WAITING);
        let lost = Arc::new(AtomicUsize::new(0));
        let thread_lost = Arc::clone(&lost);
        thread::Builder::new().name("log".to_owned()).spawn(move || write(&entries, out, &thread_lost))?;
        Ok(Self { queue, lost })
    }

    /// Waits until all that is queued is written, for half a second at most.
    pub fn finish(&self) {
        let (done, written) = mpsc::sync_channel(1);
        let end = Instant::now() + END;
        while self.queue.try_send(Entry::End(done.clone())).is_err() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = written.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

impl Write for &Writer {
    /// Queues a line, or counts it as lost; never waits.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Entry::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what is queued, as much as there is at once, until the queue is gone. A write that fails
/// (a full disk, a closed pipe) loses its lines and nothing more.
fn write(entries: &Receiver<Entry>, mut out: File, lost: &AtomicUsize) {
    let mut batch = Vec::new();
    while let Ok(first) = entries.recv() {
        let mut next = Some(first);
        let mut ends = Vec::new();
        while let Some(entry) = next {
            match entry {
                Entry::Line(line) => batch.extend(line),
                Entry::End(done) => ends.push(done),
            }
            next = if batch.len() < MAX_BATCH { entries.try_recv().ok() } else { None };
        }
        let _ = out.write_all(&batch);
        batch.clear();
        let lines = lost.swap(0, Ordering::Relaxed);
        if lines > 0 {
            tracing::warn!(lines, "log lines were lost: standard output was not read fast enough");
        }
        for done in ends {
            let _ = done.send(());
        }
    }
}
