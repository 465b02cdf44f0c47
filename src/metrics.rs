//! What can be counted of this service, and how is it called?

use std::fmt::{self, Write};
use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Every metric. Clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    reloads: Family<Labels, Counter>,
    key_fetches: Family<Labels, Counter>,
    revocation_calls: Family<Labels, Counter>,
}

/// How something ended. An enum and no text, so that no client can add to the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Outcome {
    Done,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: Outcome,
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Done => "done",
            Self::Failed => "failed",
        })
    }
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("zendesk_token");
        let mut family = |name: &str, help: &str| {
            let family = Family::<Labels, Counter>::default();
            // Both are there from the start: a rate can't be taken of a series that begins at 1.
            for outcome in [Outcome::Done, Outcome::Failed] {
                drop(family.get_or_create(&Labels { outcome }));
            }
            registry.register(name, help, family.clone());
            family
        };
        let reloads = family("reloads", "Reloads of settings and secrets; after a failed one the old ones serve");
        let key_fetches = family("key_fetches", "Fetches of the login project's published keys (RS256)");
        let revocation_calls = family("revocation_calls", "Calls that ask the Login API whether a token was revoked");
        Self { registry: Arc::new(registry), reloads, key_fetches, revocation_calls }
    }

    /// Counts a reload.
    pub fn count_reload(&self, is_done: bool) {
        count(&self.reloads, is_done);
    }

    /// Counts a fetch of published keys.
    pub fn count_key_fetch(&self, is_done: bool) {
        count(&self.key_fetches, is_done);
    }

    /// Counts a call about revocation; done when the Login API gave an answer, whichever.
    pub fn count_revocation_call(&self, is_done: bool) {
        count(&self.revocation_calls, is_done);
    }

    /// Every metric in the text format of `OpenMetrics` 1.0.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn count(family: &Family<Labels, Counter>, is_done: bool) {
    let outcome = if is_done { Outcome::Done } else { Outcome::Failed };
    family.get_or_create(&Labels { outcome }).inc();
}
