//! The JSON schema of the settings file, from the table of settings: editors complete and check the file with it.

use std::collections::BTreeMap;

use schemars::{Schema, json_schema};

use super::settings::{DEFAULT_LOGIN, Kind, SETTINGS, Setting, of_login};

/// What a time looks like: numbers with units.
const TIME: &str = "^([0-9]+ *[A-Za-zµ]+ *)+$";

/// The settings and sections of a section, by their names.
#[derive(Default)]
struct Section(BTreeMap<&'static str, Part>);

enum Part {
    Section(Section),
    Setting(Schema),
}

/// The schema (JSON Schema 2020-12). `check` knows more: what belongs together, and whether a secret is strong.
#[must_use]
pub fn settings_file() -> Schema {
    let (mut file, mut login) = (Section::default(), Section::default());
    for setting in SETTINGS {
        file.add(setting.key, schema(setting));
    }
    for (_, setting) in of_login(DEFAULT_LOGIN) {
        login.add(setting.key.trim_start_matches("login."), schema(setting));
    }
    let logins = json_schema!({
        "type": "object",
        "description": "further logins by their names",
        "patternProperties": { "^[a-z0-9-]{1,32}$": login.schema() },
        "additionalProperties": false,
    });
    file.0.insert("logins", Part::Setting(logins));
    let mut schema = file.schema();
    schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".to_owned(), "Settings of zendesk-token".into());
    schema
}

impl Section {
    /// Adds a setting, in a section of this one if its key has a dot.
    fn add(&mut self, key: &'static str, schema: Schema) {
        let Some((name, rest)) = key.split_once('.') else {
            self.0.insert(key, Part::Setting(schema));
            return;
        };
        if let Part::Section(section) = self.0.entry(name).or_insert_with(|| Part::Section(Self::default())) {
            section.add(rest, schema);
        }
    }

    fn schema(self) -> Schema {
        let parts = self.0.into_iter().map(|(name, part)| match part {
            Part::Section(section) => (name, section.schema()),
            Part::Setting(schema) => (name, schema),
        });
        let parts: BTreeMap<&str, Schema> = parts.collect();
        json_schema!({ "type": "object", "properties": parts, "additionalProperties": false })
    }
}

fn schema(setting: &Setting) -> Schema {
    let mut schema = match setting.kind {
        Kind::Flag => json_schema!({ "type": "boolean" }),
        Kind::Number(least, most) => json_schema!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::List => json_schema!({ "type": "array", "items": { "type": "string", "minLength": 1 } }),
        Kind::Choice(words) => json_schema!({ "enum": words }),
        Kind::Form(form, _) => json_schema!({ "type": "string", "pattern": format!("^(?:{form})$") }),
        Kind::Time(..) | Kind::Seconds(..) => json_schema!({ "type": "string", "pattern": TIME }),
        Kind::Text | Kind::Checked(..) | Kind::Date | Kind::Secret | Kind::SecretFile | Kind::PublicFile => {
            json_schema!({ "type": "string", "minLength": 1 })
        }
    };
    schema.insert("description".to_owned(), setting.help.into());
    if let Some(default) = setting.default {
        let default = match setting.kind {
            Kind::Flag => (default == "true").into(),
            Kind::Number(..) => default.parse::<usize>().ok().into(),
            Kind::List => default.split(',').collect(),
            Kind::Choice(_) | Kind::Form(..) | Kind::Time(..) | Kind::Seconds(..) => default.into(),
            Kind::Text | Kind::Checked(..) | Kind::Date | Kind::Secret | Kind::SecretFile | Kind::PublicFile => {
                default.into()
            }
        };
        schema.insert("default".to_owned(), default);
    }
    schema
}
