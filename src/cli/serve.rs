//! `serve`: loads the settings, binds the listeners and runs the service.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::app::reload::Load;
use crate::app::{Sockets, listen, serve};
use crate::config::{Config, environment};
use crate::server::signals::{Hangup, stop_signal};
use crate::telemetry;
use crate::terminal::block_on;

/// Runs the service until SIGTERM or SIGINT.
pub(crate) fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let file = file.map(Path::to_path_buf);
    let load: Load = Arc::new(move || Config::load(file.as_deref(), &environment()));
    block_on(async {
        // First, so that a SIGHUP during startup does not end the process, and a SIGTERM ends it as PID 1 too.
        let (mut stop, hangup) = (pin!(stop_signal()?), Hangup::catch()?);
        // In a thread, since a pipe or a lost network drive can block forever.
        let first_load = Arc::clone(&load);
        let config = tokio::select! {
            () = &mut stop => return Ok(()),
            config = spawn_blocking(move || first_load()) => config??,
        };
        let _log = telemetry::start(config.log.format, config.log.level);
        let sourced = |key: &str| {
            let row = config.effective.iter().find(|row| row.key == key);
            row.map_or_else(|| key.to_owned(), |row| format!("{key} ({})", row.source))
        };
        let public = listen(config.listen, &sourced("listen"))?;
        let admin = listen(config.admin_listen, &sourced("admin.listen"))?;
        let shown = public.local_addr()?;
        serve(config, Some((load, hangup)), stop, Sockets { public, shown, admin, more: Vec::new() }).await
    })?
}
