//! What is counted of an exchange?

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

/// What is counted of every exchange, looked up once.
#[derive(Debug)]
pub struct ExchangeSeries {
    pub(super) products: Vec<ProductSeries>,
    pub(super) keys: Vec<(&'static str, Counter)>,
}

#[derive(Debug)]
pub(super) struct ProductSeries {
    pub(super) product: &'static str,
    pub(super) outcomes: Vec<(&'static str, Counter)>,
    pub(super) duration: Histogram,
}

impl ExchangeSeries {
    /// Counts the answer to whoever asked for a product's token: how it ended, how long it took, and the key that
    /// verified the login where one did. What is none of the words that the series were made of is not counted.
    pub fn count(&self, product: &str, outcome: &str, took: Duration, key: Option<&str>) {
        if let Some(series) = self.products.iter().find(|series| series.product == product) {
            count_word(&series.outcomes, outcome);
            series.duration.observe(took.as_secs_f64());
        }
        if let Some(key) = key {
            count_word(&self.keys, key);
        }
    }
}

fn count_word(counters: &[(&'static str, Counter)], word: &str) {
    if let Some((_, counter)) = counters.iter().find(|(known, _)| *known == word) {
        counter.inc();
    }
}
