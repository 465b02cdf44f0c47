//! How do log lines get out without anybody waiting for them?
//!
//! A line is put behind those that wait, and one thread writes all that wait at once. Whoever reads
//! standard output may stop reading, and a client can have as many lines written as it likes: writing
//! in place would let the two stop the service, its probes and its stopping. A channel to a thread, as
//! `tracing-appender` has it, wakes the thread for every line, which costs more than the write; and
//! that crate reports a full queue at the end with `println!`, to the very reader that has stopped.

use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Most bytes that wait: some 4,000 lines.
const MAX_WAITING: usize = 2 * 1024 * 1024;

/// Pause after a write, in which lines gather. Short enough that nobody who reads along sees it.
const PAUSE: Duration = Duration::from_millis(2);

/// Longest wait at the end for what has not been written.
const END: Duration = Duration::from_millis(500);

/// The near end: what it is given is a whole line each time.
#[derive(Clone)]
pub struct Writer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// The thread has something to do.
    filled: Condvar,
    /// The thread has done it.
    written: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    lost: usize,
    is_thread_asleep: bool,
    is_thread_writing: bool,
}

impl Writer {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(out: File) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let far_end = Arc::clone(&shared);
        thread::Builder::new().name("log".to_owned()).spawn(move || far_end.write_to(out))?;
        Ok(Self(shared))
    }

    /// Waits until all that waits is written, for half a second at most.
    pub fn finish(&self) {
        let is_under_way = |waiting: &mut Waiting| !waiting.bytes.is_empty() || waiting.is_thread_writing;
        drop(self.0.written.wait_timeout_while(self.0.lock(), END, is_under_way));
    }
}

impl Write for &Writer {
    /// Puts a line behind those that wait, or counts it as lost; never waits for the reader.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        if waiting.bytes.len() + line.len() > MAX_WAITING {
            waiting.lost += 1;
        } else {
            waiting.bytes.extend_from_slice(line);
        }
        if mem::take(&mut waiting.is_thread_asleep) {
            self.0.filled.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits, for the rest of the process, and says what was lost behind the first lines that can be written again.
    fn write_to(&self, file: File) {
        let (mut bytes, mut out) = (Vec::new(), Output { file, lost: 0, is_torn: false });
        loop {
            out.lost += self.take(&mut bytes);
            let is_whole = out.write_lines(&bytes);
            bytes.clear();
            if is_whole && out.lost > 0 {
                let lines = mem::take(&mut out.lost);
                tracing::warn!(
                    lines,
                    "log lines were lost: standard output was not read fast enough, or could not be written"
                );
            }
            self.lock().is_thread_writing = false;
            self.written.notify_all();
            thread::sleep(PAUSE);
        }
    }

    /// Waits until there is something, and takes all of it. Says how many lines were lost since.
    fn take(&self, bytes: &mut Vec<u8>) -> usize {
        let mut waiting = self.lock();
        while waiting.bytes.is_empty() {
            waiting.is_thread_asleep = true;
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        mem::swap(bytes, &mut waiting.bytes);
        waiting.is_thread_writing = true;
        mem::take(&mut waiting.lost)
    }
}

/// Standard output. Lines that it does not take (a full disk, a closed pipe) are lost, and nothing more.
struct Output {
    file: File,
    lost: usize,
    /// The last line was written in part: what comes next must not go on with it.
    is_torn: bool,
}

impl Output {
    /// Writes lines, and counts those that were not written to their end. Says whether all were.
    fn write_lines(&mut self, lines: &[u8]) -> bool {
        if self.is_torn && self.write(b"\n") == 1 {
            self.is_torn = false;
        }
        let written = if self.is_torn { 0 } else { self.write(lines) };
        let (done, left) = lines.split_at(written);
        self.is_torn |= done.last().is_some_and(|last| *last != b'\n');
        self.lost += left.split(|byte| *byte == b'\n').count() - 1;
        left.is_empty()
    }

    /// Writes as much as there is room for; says how much that was.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write(bytes.split_at(written).1) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        written
    }
}
