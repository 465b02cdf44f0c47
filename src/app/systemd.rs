//! Reports the state of the service to systemd (`Type=notify-reload`, `sd_notify(3)`). Nothing is sent if systemd does not ask for it.

#[cfg(target_os = "linux")]
use sd_notify::{NotifyState, notify};

/// The listeners accept connections, or a reload has ended.
pub(super) fn ready() {
    #[cfg(target_os = "linux")]
    send(&[NotifyState::Ready]);
}

/// A reload begins.
pub(super) fn reloading() {
    #[cfg(target_os = "linux")]
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        send(&[NotifyState::Reloading, now]);
    }
}

/// The shutdown begins.
pub(super) fn stopping() {
    #[cfg(target_os = "linux")]
    send(&[NotifyState::Stopping]);
}

#[cfg(target_os = "linux")]
fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = notify(states) {
        tracing::warn!(%error, "systemd can't be notified");
    }
}
