//! The signals that end the process or reload its settings.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

/// Resolves at the first SIGTERM or SIGINT. Catches both from this call on: as PID 1, a process only gets signals that it catches.
///
/// # Errors
/// The signals can't be caught.
#[cfg(unix)]
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Resolves at Ctrl-C or Ctrl-Break, when the console is closed, or when Windows shuts down.
///
/// # Errors
/// The events can't be caught.
#[cfg(windows)]
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut stop, mut close, mut shutdown) =
        (ctrl_c()?, ctrl_break()?, ctrl_close()?, ctrl_shutdown()?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = stop.recv() => {}
            _ = close.recv() => {}
            _ = shutdown.recv() => {}
        }
    })
}

/// SIGHUP, caught as long as this exists. Windows has no such signal.
pub(crate) struct Hangup(#[cfg(unix)] Signal);

impl Hangup {
    /// # Errors
    /// The signal can't be caught.
    #[cfg(unix)]
    pub(crate) fn catch() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "the same signature on every platform")]
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self())
    }

    /// Waits for the next signal.
    pub(crate) async fn recv(&mut self) {
        #[cfg(unix)]
        let _ = self.0.recv().await;
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    }
}
