//! What would be a strong secret?

use std::io::{self, Write};

use crate::config::secret::Secret;

/// Prints one, made of 256 random bits.
///
/// # Errors
/// No random bytes, or a closed standard output.
pub fn run() -> anyhow::Result<()> {
    let secret = Secret::generate()?;
    let mut out = io::stdout().lock();
    out.write_all(secret.bytes())?;
    out.write_all(b"\n")?;
    Ok(())
}
