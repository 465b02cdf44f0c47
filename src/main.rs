//! The `zendesk-token` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    zendesk_token::cli::run()
}
