//! The JSON schema of the settings file, from the table of settings: editors complete and check the file with it.

use schemars::{Schema, json_schema};
use serde_json::{Map, Value, json};

use super::settings::{DEFAULT_LOGIN, Kind, SETTINGS, Setting, of_login};

/// What a time looks like: numbers with units.
const TIME: &str = "^([0-9]+ *[A-Za-zµ]+ *)+$";

/// The schema (JSON Schema 2020-12). `check` knows more: what belongs together, and whether a secret is strong.
#[must_use]
pub fn settings_file() -> Schema {
    let mut file = Map::new();
    for setting in SETTINGS {
        insert(&mut file, setting.key, value(setting));
    }
    let mut login = Map::new();
    for (key, setting) in of_login(DEFAULT_LOGIN) {
        insert(&mut login, key.trim_start_matches("login."), value(setting));
    }
    let logins = json!({
        "type": "object",
        "description": "further logins by their names",
        "patternProperties": { "^[a-z0-9-]{1,32}$": section(&login) },
        "additionalProperties": false,
    });
    file.insert("logins".to_owned(), logins);
    json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of zendesk-token",
        "type": "object",
        "properties": file,
        "additionalProperties": false,
    })
}

fn section(properties: &Map<String, Value>) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// Puts a setting into its section, which is created if needed.
fn insert(properties: &mut Map<String, Value>, key: &str, value: Value) {
    let Some((name, rest)) = key.split_once('.') else {
        properties.insert(key.to_owned(), value);
        return;
    };
    let section = properties.entry(name).or_insert_with(|| section(&Map::new()));
    if let Some(Value::Object(inner)) = section.get_mut("properties") {
        insert(inner, rest, value);
    }
}

fn value(setting: &Setting) -> Value {
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
            Kind::List => default.split(',').collect(),
            // As it is written, `true` or `10`, it is JSON.
            Kind::Flag | Kind::Number(..) => default.parse().unwrap_or_default(),
            Kind::Choice(_) | Kind::Form(..) | Kind::Time(..) | Kind::Seconds(..) => default.into(),
            Kind::Text | Kind::Checked(..) | Kind::Date | Kind::Secret | Kind::SecretFile | Kind::PublicFile => {
                default.into()
            }
        };
        schema.insert("default".to_owned(), default);
    }
    schema.to_value()
}
