//! Are the settings right, and what would run with them?

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use crate::config::problem::Source;
use crate::config::{Config, Effective, environment};
use crate::exchange::Exchange;
use crate::metrics::Metrics;

/// Prints every setting as it came out, what would be served, and what to look at twice.
///
/// # Errors
/// Wrong settings, or a closed standard output.
pub fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let config = Config::load(file, environment())?;
    Exchange::new(&config, &Metrics::new(), None)?;
    io::stdout().write_all(report(&config)?.as_bytes())?;
    Ok(())
}

fn report(config: &Config) -> anyhow::Result<String> {
    let mut text = String::from("Settings\n");
    let (unset, set): (Vec<_>, Vec<_>) = config.effective.iter().partition(|setting| setting.source == Source::Missing);
    for Effective { key, value, source } in set {
        writeln!(text, "  {key:<28} {value:<32} ({source})")?;
    }
    let unset: Vec<&str> = unset.iter().map(|setting| setting.key).collect();
    writeln!(text, "  not set: {}", unset.join(", "))?;
    writeln!(text, "\nWould serve")?;
    writeln!(text, "  http://{}/generate/token   Zendesk Chat, Web Widget (Classic)", place(config.listen))?;
    writeln!(
        text,
        "  http://{}/live, /ready     for the orchestrator, never for the public",
        place(config.admin_listen)
    )?;
    writeln!(text, "\nThe login cookie only gets here when")?;
    writeln!(text, "  - the page asks with credentials: fetch(url, {{ credentials: \"include\" }})")?;
    writeln!(text, "  - service and shop share a registrable domain, or the cookie is SameSite=None; Secure")?;
    writeln!(text, "  - the cookie's Domain covers the service's host: Domain=example.com, not host-only")?;
    writeln!(text)?;
    for warning in &config.warnings {
        writeln!(text, "Warning: {warning}")?;
    }
    writeln!(text, "No errors, {} warning(s).", config.warnings.len())?;
    Ok(text)
}

/// An address, or words for a port that is free only once it is bound.
fn place(address: SocketAddr) -> String {
    if address.port() == 0 { format!("{}:(a free port)", address.ip()) } else { address.to_string() }
}
