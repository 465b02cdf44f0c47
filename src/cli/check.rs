//! Are the settings right, and what would run with them?

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use crate::config::{Config, environment};
use crate::exchange::Exchange;

/// Prints every setting as it came out, what would be served, and what to look at twice.
///
/// # Errors
/// Wrong settings, or a closed standard output.
pub fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let config = Config::load(file, environment())?;
    Exchange::new(&config)?;
    io::stdout().write_all(report(&config)?.as_bytes())?;
    Ok(())
}

fn report(config: &Config) -> anyhow::Result<String> {
    let mut text = String::from("Settings\n");
    for setting in &config.effective {
        writeln!(text, "  {:<28} {:<32} ({})", setting.key, setting.value, setting.source)?;
    }
    writeln!(text, "\nWould serve")?;
    writeln!(text, "  http://{}/generate/token   Zendesk Chat, Web Widget Classic", config.listen)?;
    writeln!(text, "  http://{}/live, /ready     for the orchestrator, never for the public", config.admin_listen)?;
    writeln!(text, "\nThe login cookie only gets here when")?;
    writeln!(text, "  - the page asks with credentials: fetch(url, {{ credentials: \"include\" }})")?;
    writeln!(text, "  - service and shop share a registrable domain, or the cookie is SameSite=None; Secure")?;
    writeln!(text, "  - the cookie's Domain covers the service's host: Domain=example.com, not host-only")?;
    if !config.warnings.is_empty() {
        writeln!(text, "\nWarnings")?;
    }
    for warning in &config.warnings {
        writeln!(text, "  {warning}")?;
    }
    writeln!(text, "\nThe settings are fine.")?;
    Ok(text)
}
