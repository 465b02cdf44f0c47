//! Problems with the settings: key, source, and what is wrong.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::settings;
use super::watched::WatchedFiles;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The table of settings.
    Default,
    /// A file, and the line if known.
    File(PathBuf, Option<usize>),
    /// An environment variable.
    Variable(String),
    /// Nowhere: it is not set.
    Missing,
}

/// One problem with the settings, without the value: it may be a secret in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting's key.
    pub key: String,
    /// Where the value comes from.
    pub source: Source,
    /// What is wrong, and the fix.
    pub what: String,
}

/// All problems with the settings, a line each.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
    /// The files that were read; a change of one may be the fix.
    pub files: WatchedFiles,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "{name}"),
            Self::Missing => write!(f, "not set"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, source, what } = self;
        match settings::find(key).filter(|_| *source == Source::Missing) {
            Some(setting) => write!(f, "{key} ({}, {source}): {what}", setting.variable()),
            None => write!(f, "{key} ({source}): {what}"),
        }
    }
}
