//! What is this deployment set to?
//!
//! [`Config::load`] is the only way to a [`Config`], and checks everything in it.

pub mod secret;
pub mod origin;
pub mod settings;
pub mod watched;
pub mod problem;
pub mod file;
pub mod layers;
pub mod load;
pub mod login;
pub mod products;
pub mod product_sections;
pub mod secret_places;
pub mod clients;
pub mod sections;
pub mod desk;

use std::ffi::OsString;
use std::mem;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tracing::Level;

use crate::telemetry::Format;

use clients::{Proxy, RateLimit};
use desk::{ChatApi, Conversations};
use load::Reader;
use login::Login;
use origin::OriginPattern;
use problem::{ConfigError, Problem, Source};
use product_sections::MissingSecret;
use products::{PRODUCTS, Product, Section};
use secret::Secret;
use secret_places::ProductKey;
use settings::SETTINGS;
use watched::WatchedFiles;

/// Settings of a whole deployment, checked.
#[derive(Debug)]
pub struct Config {
    /// `listen`
    pub listen: SocketAddr,
    /// `admin.listen`
    pub admin_listen: SocketAddr,
    /// `[login]`
    pub login: Login,
    /// `cors.origins`
    pub origins: Vec<OriginPattern>,
    /// `[chat]`, `[messaging]`, `[help_center]` and `[support_sdk]`, those that are there.
    pub products: Vec<Section>,
    /// `[tls]`, when it is on.
    pub tls: Option<Tls>,
    /// `[proxy]`
    pub proxy: Proxy,
    /// `[rate_limit]`, when it is on.
    pub rate_limit: Option<RateLimit>,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: Log,
    /// What a person should know and may leave as it is, a line each.
    pub warnings: Vec<Problem>,
    /// Files whose change changes the settings: those that hold secrets, and the authorities.
    pub files: WatchedFiles,
    /// Every setting as it came out, for a person; secrets as their length.
    pub effective: Vec<Effective>,
}

/// `[tls]`: who the public listener is.
#[derive(Debug)]
pub struct Tls {
    /// The certificate chain, in PEM.
    pub certificate: Vec<u8>,
    /// Its private key, in PEM.
    pub key: Secret,
}

/// `[limits]`: what clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// Of them one client's at most; see [`Proxy::is_many_clients`] for who is not counted.
    pub connections_per_client: usize,
    /// Requests answered at once.
    pub requests_in_flight: usize,
    /// Most bytes of request line and headers.
    pub header_bytes: usize,
    /// To the end of the headers.
    pub header_timeout: Duration,
    /// Between two requests.
    pub idle_timeout: Duration,
    /// For an answer.
    pub request_timeout: Duration,
    /// To finish what is in flight.
    pub drain: Duration,
    /// Still accepting while `/ready` already says no.
    pub drain_delay: Duration,
}

/// `[log]`: the log on standard output.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// JSON or text.
    pub format: Format,
    /// The least level that is written.
    pub level: Level,
}

/// One setting as it came out.
#[derive(Debug)]
pub struct Effective {
    /// Its key.
    pub key: &'static str,
    /// Its value, or a secret's length.
    pub value: String,
    /// Where it stands.
    pub source: Source,
}

impl Config {
    /// Loads and checks everything that `serve` needs.
    ///
    /// `file` is the settings file; without one, `ZENDESK_TOKEN_CONFIG` in `environment` may name
    /// it. Variables of the environment win over the file.
    ///
    /// # Errors
    /// All that is wrong at once, each with key, source and mend.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(file, environment);
        let config = sections::read(&mut reader, MissingSecret::Reject);
        drop_false_problems(&mut reader.problems);
        let effective = SETTINGS.iter().map(|setting| Effective {
            key: setting.key,
            value: reader.shown(setting),
            source: reader.source(setting.key),
        });
        let effective = effective.collect();
        let (files, warnings) = (reader.files.clone(), mem::take(&mut reader.warnings));
        reader.finish(Self { warnings, files, effective, ..config })
    }

    /// Loads what `inspect` needs to judge a login token: the login side, and how the products name players.
    /// A product's secret that nobody set is made up: the token is not for anybody.
    ///
    /// # Errors
    /// What is wrong with that.
    pub fn load_for_login(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(file, environment);
        let config = sections::read(&mut reader, MissingSecret::MakeUp);
        drop_false_problems(&mut reader.problems);
        let is_own = |key: &str| key.starts_with("login.") || PRODUCTS.into_iter().any(|own| own.has_setting(key));
        reader.problems.retain(|problem| problem.key == file::PROBLEM_KEY || is_own(&problem.key));
        reader.finish(config)
    }

    /// Loads what the tokens of one product are signed with, and the secrets of the others where set.
    ///
    /// # Errors
    /// What is wrong with that product's secret, or with the file.
    pub fn load_for_product(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        product: Product,
    ) -> Result<(ProductKey, Vec<(Product, Secret)>), ConfigError> {
        let mut reader = Reader::new(file, environment);
        let keys = secret_places::keys(&mut reader, product);
        drop_false_problems(&mut reader.problems);
        let [key, file_key] = product.secret_keys();
        let own = [file::PROBLEM_KEY, key, file_key, "messaging.key_id", "allow_weak_secrets"];
        reader.problems.retain(|problem| own.contains(&problem.key.as_str()));
        reader.finish(keys)
    }

    /// Loads `[conversations]` alone.
    ///
    /// # Errors
    /// What is wrong with that section or the file.
    pub fn load_conversations(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Conversations, ConfigError> {
        load_section(file, environment, "conversations.", desk::conversations)
    }

    /// Loads `[chat_api]` alone.
    ///
    /// # Errors
    /// What is wrong with that section or the file.
    pub fn load_chat_api(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<ChatApi, ConfigError> {
        load_section(file, environment, "chat_api.", desk::chat_api)
    }

    /// Loads `admin.listen` alone, for a command that only talks to a running service.
    ///
    /// # Errors
    /// What is wrong with the file or that one setting.
    pub fn load_admin_listen(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<SocketAddr, ConfigError> {
        load_section(file, environment, "admin.listen", |reader| sections::address(reader, "admin.listen"))
    }
}

/// Loads one section, for a command that needs no other.
fn load_section<T>(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    section: &str,
    read: impl FnOnce(&mut Reader) -> T,
) -> Result<T, ConfigError> {
    let mut reader = Reader::new(file, environment);
    let section_read = read(&mut reader);
    drop_false_problems(&mut reader.problems);
    // A slip in the section's name is this command's to tell.
    let (file, slip) = (file::PROBLEM_KEY, format!("did you mean {section}"));
    let is_own = |problem: &Problem| problem.key.starts_with(section) || problem.what.contains(&slip);
    reader.problems.retain(|problem| problem.key == file || is_own(problem));
    reader.finish(section_read)
}

/// What was read of a broken file, and what was not, would only add problems that nobody has.
fn drop_false_problems(problems: &mut Vec<Problem>) {
    let is_of_file = |problem: &Problem| problem.key == file::PROBLEM_KEY;
    if problems.iter().any(is_of_file) {
        problems.retain(|problem| is_of_file(problem) || matches!(problem.source, Source::Variable(_)));
    }
}

/// The process's environment, for [`Config::load`].
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}
