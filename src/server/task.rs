//! A Tokio task that is aborted when its handle is dropped.

use std::convert::Infallible;
use std::future::Future;

use tokio::task::AbortHandle;

pub(crate) struct Task(AbortHandle);

impl Task {
    pub(crate) fn spawn(work: impl Future<Output = Infallible> + Send + 'static) -> Self {
        Self(tokio::spawn(work).abort_handle())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
