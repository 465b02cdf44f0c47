//! What is wrong with the settings, and where.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::settings;
use super::watched::WatchedFiles;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A file, with the line when it is known.
    File(PathBuf, Option<usize>),
    /// An environment variable.
    Variable(String),
    /// Nowhere: it is missing.
    Missing,
}

/// One thing wrong with the settings. Never holds a value: it may be a secret in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting's key.
    pub key: String,
    /// Where the value stands.
    pub source: Source,
    /// What is wrong, and the fix.
    pub what: String,
}

/// All that is wrong with the settings, a line each.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// The files that were read on the way: a change of one may be the fix.
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
