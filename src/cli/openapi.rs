//! Prints the OpenAPI document.

use std::io::{self, Write};

use crate::http::openapi;

/// Prints the OpenAPI document that the service answers with.
///
/// # Errors
/// A closed standard output.
pub fn run() -> anyhow::Result<()> {
    Ok(io::stdout().write_all(openapi::text().as_bytes())?)
}
