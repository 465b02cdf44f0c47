//! The map of the house: which rooms there are, and what belongs in which.

/// The modules in the order of the pipeline; each names only those before it.
pub const ORDER: [&str; 10] =
    ["metrics", "logging", "config", "login", "zendesk", "exchange", "http", "server", "cli", "main"];

/// The files of each folder in order; each names only those before it.
pub const FOLDERS: [(&str, &[&str]); 8] = [
    ("metrics", &["labels", "process"]),
    ("logging", &["writer"]),
    (
        "config",
        &[
            "secret",
            "origin",
            "settings",
            "problem",
            "file",
            "watched",
            "layers",
            "load",
            "login",
            "products",
            "product_sections",
            "secret_places",
            "sections",
        ],
    ),
    (
        "login",
        &[
            "strict_json",
            "key_set",
            "connection",
            "api",
            "fetches",
            "published",
            "keys",
            "claims",
            "token",
            "revocation",
            "verifier",
        ],
    ),
    ("zendesk", &["identity", "signing_key", "token_id", "chat", "messaging", "help_center", "support_sdk", "rules"]),
    (
        "http",
        &[
            "refusal",
            "login_cookie",
            "bearer",
            "origin_gate",
            "accept",
            "token",
            "support_sdk",
            "document",
            "script",
            "openapi",
            "observe",
            "admin",
        ],
    ),
    ("server", &["connection", "file_changes", "reload"]),
    (
        "cli",
        &[
            "settings_help",
            "words",
            "opened",
            "explanation",
            "mends",
            "serve",
            "demo",
            "check",
            "inspect",
            "healthcheck",
            "secret",
            "openapi",
        ],
    ),
];

/// Where each outside crate may be named: a file or folder below `src/`.
pub const HOMES: [(&str, &[&str]); 29] = [
    ("anyhow", &["cli"]),
    ("arc_swap", &["http", "login/published.rs"]),
    (
        "aws_lc_rs",
        &[
            "config/secret.rs",
            "login/revocation.rs",
            "zendesk/signing_key.rs",
            "zendesk/token_id.rs",
            "http/document.rs",
            "http/observe.rs",
        ],
    ),
    ("axum", &["http"]),
    (
        "base64",
        &[
            "config/secret.rs",
            "login/key_set.rs",
            "login/token.rs",
            "zendesk/signing_key.rs",
            "http/document.rs",
            "cli",
        ],
    ),
    ("clap", &["cli"]),
    ("form_urlencoded", &["http/support_sdk.rs"]),
    ("futures_util", &["http"]),
    ("hex", &["config/secret.rs", "login/key_set.rs", "zendesk/token_id.rs", "http/observe.rs", "cli/inspect.rs"]),
    ("httpdate", &["login/api.rs"]),
    ("humantime", &["config/load.rs", "cli/words.rs"]),
    ("hyper", &["server"]),
    ("hyper_util", &["server"]),
    ("jsonwebtoken", &["login", "zendesk/signing_key.rs"]),
    ("moka", &["login/revocation.rs"]),
    ("notify", &["server/file_changes.rs"]),
    ("procfs", &["metrics/process.rs"]),
    ("prometheus_client", &["metrics"]),
    ("reqwest", &["login/connection.rs", "login/api.rs"]),
    ("rlimit", &["server.rs"]),
    ("secrecy", &["config"]),
    ("serde", &["login", "zendesk", "http", "cli"]),
    ("serde_json", &["login", "zendesk", "http", "cli"]),
    ("strsim", &["config/settings.rs"]),
    ("tokio", &["login", "http", "server", "cli"]),
    ("toml", &["config/file.rs"]),
    ("tower", &["http"]),
    ("tracing_subscriber", &["logging.rs"]),
    ("webpki_root_certs", &["login/connection.rs"]),
];

/// Where each side effect may happen.
pub const EFFECTS: [(&str, &[&str]); 9] = [
    ("SystemTime::now", &["http/token.rs"]),
    ("std::env::", &["config.rs"]),
    ("File::open", &["config"]),
    ("fs::", &["config", "logging", "metrics/process.rs"]),
    ("io::stdout", &["cli", "logging"]),
    ("io::stderr", &["cli"]),
    ("aws_lc_rs::rand", &["config/secret.rs", "zendesk/token_id.rs", "http/observe.rs"]),
    ("tokio::spawn", &["login", "server"]),
    ("thread::", &["logging"]),
];
