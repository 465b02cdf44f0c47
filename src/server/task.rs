//! Who ends what runs beside?

use std::convert::Infallible;
use std::future::Future;

use tokio::task::AbortHandle;

/// A task that ends with its owner.
pub struct Task(AbortHandle);

impl Task {
    /// Starts it.
    pub(super) fn spawn(work: impl Future<Output = Infallible> + Send + 'static) -> Self {
        Self(tokio::spawn(work).abort_handle())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
