//! `completions`, `man` and `schema`: files for shells, `man` and editors.

use std::path::Path;

use anyhow::Context;
use clap::Command;
use clap_complete::{Shell, generate};

use crate::config::schema;
use crate::terminal::{json, print};

/// Prints the completions of a shell.
pub(crate) fn completions(mut command: Command, shell: Shell) -> anyhow::Result<()> {
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    generate(shell, &mut command, name, &mut text);
    print(text)
}

/// Writes a man page for each command into an existing folder.
pub(crate) fn man(command: Command, folder: &Path) -> anyhow::Result<()> {
    let fix = || format!("FOLDER: can't write to {}; name an existing folder", folder.display());
    clap_mangen::generate_to(command, folder).with_context(fix)
}

/// Prints the JSON schema of the settings file.
pub(crate) fn schema() -> anyhow::Result<()> {
    print(json(&schema::settings_file())?)
}
