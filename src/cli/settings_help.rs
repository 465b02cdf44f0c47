//! Which settings are there, for a person at a terminal?

use std::fmt::Write;

use crate::config::settings::{FILE_VARIABLE, SETTINGS};

/// Every setting with its environment variable, default and meaning.
#[must_use]
pub fn text() -> String {
    let mut text = format!(
        "Settings come from a TOML file (--config or {FILE_VARIABLE}) and from environment variables, which win.\n\
         In the file a setting stands in its section: login.secret is 'secret' under [login].\n\n"
    );
    for setting in SETTINGS {
        let default = setting.default.map_or(String::new(), |default| format!(" [{default}]"));
        let _ = writeln!(text, "  {}{default}\n      {}\n      {}", setting.key, setting.variable(), setting.help);
    }
    text
}
