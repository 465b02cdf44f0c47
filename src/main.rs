//! Which command was asked for?

use std::process::ExitCode;

fn main() -> ExitCode {
    zendesk_token::cli::run()
}
