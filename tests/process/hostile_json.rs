//! Hostile JSON, sent to every input of the service and its commands: nested deeply, in strings or with repeated members.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use serde_json::{Value, json};
use zendesk_token::login::json::{Json, member};

use crate::app::App;
use crate::conflict::run;
use crate::demo::{demo, post, shop};
use crate::desk_api::{DeskApi, EMAIL, Step};
use crate::harness::{KEY_ID, LOGIN_SECRET, output};
use crate::inspect::{LOGIN, inspect};
use crate::inspect_issued::SECRETS;
use crate::login_api::{LoginApi, VALIDATE_PATH, fixture, keys_path};
use crate::login_tokens::{HEADER, LoginToken, now, sign};
use crate::properties::check;
use crate::provider::{DISCOVERY_PATH, KEYS_PATH, Key, Provider, oidc};
use crate::published_keys::{self, rs256, token};
use crate::reload::Folder;
use crate::revocation;
use crate::stub::Reply;

/// The name that makes `serde_json::Value`, with the feature `raw_value`, parse a string as JSON.
const RAW: &str = "$serde_json::private::RawValue";

/// Levels of arrays before each string: below the parser's limit of 128, with room for what is around them.
const LEVELS: usize = 115;

/// Bytes reserved for what is put around a hostile value.
const AROUND: usize = 1000;

/// JSON in a string in JSON, and so on, in fewer than `most` bytes.
pub fn nested(most: usize) -> String {
    let mut json = "1".to_owned();
    loop {
        let text = json.replace('\\', "\\u005c").replace('"', "\\u0022");
        let next = format!("{}{{\"{RAW}\":\"{text}\"}}{}", "[".repeat(LEVELS), "]".repeat(LEVELS));
        if next.len() >= most {
            return json;
        }
        json = next;
    }
}

/// Hostile values of fewer than `most` bytes; the first one is within every depth limit.
fn hostile(most: usize) -> [String; 3] {
    let (arrays, objects) = (most / 2 - 1, most / 6 - 1);
    [
        nested(most),
        "[".repeat(arrays) + &"]".repeat(arrays),
        format!("{}1{}", "{\"a\":".repeat(objects), "}".repeat(objects)),
    ]
}

/// An object that `serde_json::Value` would read as a string.
fn disguised(text: &str) -> Value {
    json!({RAW: Value::from(text).to_string()})
}

#[test]
fn inspect_refuses_hostile_json() {
    let login = |arguments, verdict: &str| (arguments, "login.secret", LOGIN_SECRET, verdict.to_owned());
    let kinds = [login(vec![], "Refused as a login token"), login(vec!["--json"], "\"refused\"")];
    let products = SECRETS.map(|(product, key, secret)| {
        (vec!["--zendesk", product], key, secret, format!("Refused as a {product} token"))
    });
    // In base64url, two of them in one token fill the 1 MiB that `inspect` reads.
    for value in hostile((1 << 20) * 3 / 8 - AROUND) {
        for (arguments, key, secret, verdict) in kinds.iter().chain(&products) {
            for input in [
                value.clone(),
                format!("{{\"token\":{value},\"jwt\":{value}}}"),
                sign(&value, &format!("{{\"x\":{value}}}"), secret.as_bytes()),
                sign(HEADER, &format!("{{\"exp\":1,\"x\":{value}}}"), secret.as_bytes()),
            ] {
                let output = inspect(arguments, &[(key, secret)], &input);
                assert_eq!((output.status, output.err.as_str()), (Some(1), ""), "{arguments:?}");
                assert!(output.out.contains(verdict), "{arguments:?}");
            }
        }
    }
}

#[test]
fn inspect_does_not_read_an_object_as_a_string() {
    let email = disguised("jane@example.com");
    for (product, key, secret) in SECRETS {
        let claims = json!({
            "name": "Jane", "email": email, "external_id": "82cd", "jti": "7f3c", "scope": "user",
            "iat": now(), "exp": now() + 300,
        });
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": KEY_ID}).to_string();
        let token = sign(&header, &claims.to_string(), secret.as_bytes());
        let output = inspect(&["--zendesk", product], &[(key, secret), ("messaging.key_id", KEY_ID)], token);
        assert_eq!(output.status, Some(1), "{output:?}");
        assert!(output.out.contains("claim email is an object and has to be text"), "{output:?}");
        assert!(output.out.contains(&email.to_string()), "{output:?}");
    }
    let output = inspect(&[], &LOGIN, LoginToken::valid().claim("email", email).mint());
    assert!(output.status == Some(1) && output.out.contains("the service answers 00-03"), "{output:?}");
    let answer = json!({"token": disguised(&LoginToken::valid().mint())});
    assert_eq!(inspect(&[], &LOGIN, answer.to_string()).status, Some(1));
}

#[test]
fn the_support_desk_refuses_hostile_answers_in_one_line() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    let commands: [&[&str]; 4] = [
        &["conflict", "find", "--email", EMAIL],
        &["conflict", "show", "7"],
        &["conflict", "resolve", "7", "--delete-user", "--yes"],
        &["visitor", "show", "9.a"],
    ];
    for value in hostile((1 << 20) - AROUND) {
        let answers = [
            (200, value.clone()),
            (200, format!("{{\"users\":[{value}]}}")),
            (200, format!("{{\"user\":{value}}}")),
            (200, format!(r#"{{"users":[{{"id":"7","identities":{value}}}]}}"#)),
            (200, format!(r#"{{"user":{{"id":"7","externalId":{value}}},"id":"9.a","external_id":7}}"#)),
            (200, format!(r#"{{"id":"9.a","external_id":{value}}}"#)),
            (400, value.clone()),
            (400, format!(r#"{{"errors":[{value}]}}"#)),
            (400, format!(r#"{{"errors":[{{"code":{value},"title":"Odd"}}]}}"#)),
            (404, format!(r#"{{"error":{value},"message":"Odd"}}"#)),
        ];
        for (status, answer) in answers {
            for command in commands {
                // This one is a valid visitor.
                let is_good = command[0] == "visitor" && answer.contains(r#""external_id":7"#);
                api.then([Step::Say(Reply::Answer(status, answer.clone()))]);
                let output = run(&api, &folder.path(""), command, &[]);
                let expected = if is_good { (Some(0), 0) } else { (Some(3), 1) };
                assert_eq!((output.status, output.err.lines().count()), expected, "{command:?} {status}: {output:?}");
            }
        }
    }
    assert_eq!((api.count("DELETE"), fs::read_dir(folder.path("")).unwrap().count()), (0, 0));
}

#[test]
fn the_record_of_a_deletion_has_every_member_of_the_user() {
    for value in hostile((1 << 20) - AROUND) {
        let (api, folder) = (DeskApi::start(), Folder::new());
        let user = format!(r#"{{"id":"7","profile":{value},"identities":[]}}"#);
        let answer = format!(r#"{{"before" : 1.50, "\u0075ser" : {user} , "user2":[]}}"#);
        let shown = || Step::Say(Reply::Answer(200, answer.clone()));
        api.add(json!({"id": "7", "identities": []}));
        api.then([shown()]);
        assert_eq!(run(&api, &folder.path(""), &["conflict", "show", "7"], &[]).status, Some(0));
        api.then([shown(), shown()]);
        let resolve = ["conflict", "resolve", "7", "--delete-user", "--yes", "--backup", "b"];
        let output = run(&api, &folder.path(""), &resolve, &[]);
        assert_eq!(output.status, Some(0), "{}", output.err);
        assert!(fs::read_to_string(folder.path("b")).unwrap() == format!("{user}\n"));
    }
}

#[test]
fn an_answer_with_a_repeated_member_deletes_nothing() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    for answer in [
        r#"{"user":{"id":"7","identities":[]},"user":{"id":"7","identities":[]}}"#,
        r#"{"user":{"id":"7","externalId":"a","externalId":"b","identities":[]}}"#,
        r#"{"user":{"id":"7","id":"7","identities":[]}}"#,
        r#"[{"id":"7","identities":[]}]"#,
    ] {
        api.then([Step::Say(Reply::Answer(200, answer.to_owned()))]);
        let output = run(&api, &folder.path(""), &["conflict", "resolve", "7", "--delete-user", "--yes"], &[]);
        assert_eq!(output.status, Some(3), "{answer}");
        assert!(output.err.contains("does not match its description"), "{}", output.err);
    }
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 0);
}

#[test]
fn the_readable_part_of_a_refusal_is_shown() {
    let api = DeskApi::start();
    for (answer, shown) in [
        (r#"{"errors":[{"code":7,"error":"odd","title":[],"message":"Odd thing"}]}"#, "status 400 (odd: Odd thing)"),
        (r#"{"errors":[{"code":{},"title":"Odd thing"},{"code":"second"}]}"#, "status 400 (Odd thing)"),
        (r#"{"errors":[],"error":"odd"}"#, "status 400 (odd)"),
        (r#"{"errors":"none","error":"odd","message":null}"#, "status 400 (odd)"),
        (r#"{"errors":["odd"],"error":"odd"}"#, "status 400\n"),
        (r#""odd""#, "status 400\n"),
    ] {
        api.then([Step::Say(Reply::Answer(400, answer.to_owned()))]);
        let output = run(&api, &std::env::temp_dir(), &["visitor", "show", "9.a"], &[]);
        assert_eq!((output.status, output.err.contains(shown)), (Some(3), true), "{answer}: {output:?}");
    }
}

#[test]
fn the_service_refuses_hostile_json_and_continues() {
    let server = App::with_all_products(&[]);
    let login = LoginToken::valid().mint();
    let ask = |body: String| {
        let request = server.request("POST", "/support-sdk/token").header("Content-Type", "application/json");
        request.body(body).send()
    };
    let assert_available = || {
        assert_eq!(server.get("/generate/token").cookie(&login).send().status, 200);
        assert_eq!(server.admin("GET", "/ready").send().status, 200);
    };
    for (number, value) in hostile(16 * 1024 - AROUND).iter().enumerate() {
        assert_eq!(ask(value.clone()).refusal(), "400 00-10");
        assert_eq!(ask(format!("{{\"user_token\":{value}}}")).refusal(), "400 00-10");
        let unused = ask(format!("{{\"x\":{value},\"user_token\":\"{login}\"}}"));
        assert_eq!(unused.status, if number == 0 { 200 } else { 400 }, "the first one is within the depth limit");
        assert_available();
    }
    assert_eq!(ask(json!({"user_token": disguised(&login)}).to_string()).refusal(), "400 00-10");
    for value in hostile(3000) {
        let claims = format!(r#"{{"exp":{},"iat":{},"sub":{value},"email":{value}}}"#, now() + 60, now());
        for token in [sign(&value, "{}", LOGIN_SECRET.as_bytes()), sign(HEADER, &claims, LOGIN_SECRET.as_bytes())] {
            let refusal = server.get("/generate/token").cookie(token).send().refusal();
            assert!(["401 00-01", "422 00-02"].contains(&refusal.as_str()), "{refusal}");
            assert_available();
        }
    }
}

#[test]
fn a_hostile_answer_about_revocation_means_unavailable() {
    let api = LoginApi::start();
    let server = revocation::serve(&api, &[]);
    let mut number = 0;
    let mut ask = |status, answer: String| {
        api.reply(VALIDATE_PATH, Reply::Answer(status, answer));
        number += 1;
        published_keys::ask(&server, &LoginToken::valid().claim("number", number).mint())
    };
    for value in hostile(100 * 1024 - AROUND) {
        let answers = [
            value.clone(),
            format!("{{\"error\":{value}}}"),
            format!(r#"{{"error":{{"code":{value},"description":"x"}}}}"#),
        ];
        for answer in answers {
            assert_eq!(ask(401, answer).refusal(), "503 00-07");
        }
        let revoked = format!(r#"{{"error":{{"code":"003-061","description":"x","more":{value}}}}}"#);
        assert_eq!(ask(401, revoked).refusal(), "401 00-01", "an unused member does not matter");
        assert_eq!(ask(204, String::new()).status, 200);
    }
}

/// Answers in place of a key set, and whether each contains valid keys.
fn key_sets(value: &str) -> [(bool, String); 6] {
    let good = fixture("first.json");
    let good = good.trim_end().strip_suffix(']').unwrap();
    [
        (false, value.to_owned()),
        (false, format!("[{value}]")),
        (false, format!("{{\"keys\":[{value}]}}")),
        (false, format!(r#"[{{"kty":"RSA","kid":"key-c","n":{value},"e":"010001"}}]"#)),
        (true, format!(r#"{good},{{"kty":"odd","kid":{value},"x":1}}]"#)),
        (true, format!(r#"{good},{{"kty":"odd","kid":"odd","x":{value}}}]"#)),
    ]
}

#[test]
fn a_hostile_key_set_leaves_the_keys_in_use() {
    let values = hostile(90 * 1024);
    thread::scope(|scope| {
        for (is_good, published) in values.iter().flat_map(|value| key_sets(value)) {
            scope.spawn(move || {
                let api = LoginApi::start();
                let server = published_keys::ready(&api, &[]);
                api.reply(&keys_path(), Reply::Answer(200, published));
                let refusal = published_keys::ask(&server, &fixture("refused/kid_unknown.jwt")).refusal();
                assert!(["401 00-01", "503 00-07"].contains(&refusal.as_str()), "{refusal}");
                assert_eq!(published_keys::ask(&server, &token("key_a")).status, 200, "the keys in use stay");
                assert_eq!(server.admin("GET", "/ready").send().status, 200);
                let url = api.url();
                let check = output(&["check", "--online"], &rs256(&url, &[]));
                let output = inspect(&[], &rs256(&url, &[]), token("key_a"));
                // Another test checks whether one invalid key affects the others.
                assert!(check.status.code() == Some(1) || is_good && check.status.code() == Some(0));
                assert!(output.status == Some(1) || is_good && output.status == Some(0), "{output:?}");
            });
        }
    });
}

#[test]
fn hostile_documents_of_a_provider_leave_the_keys_in_use() {
    let provider = Provider::start();
    let (issuer, keys_url) = (provider.issuer(), provider.stub.url() + KEYS_PATH);
    let (unknown, good) = (Key::new("ES256", "unknown"), provider.mint(&provider.token()));
    let unknown = unknown.sign(&unknown.header(), &provider.token().payload());
    let server = App::of(&oidc(&issuer, &[("login.keys_cooldown", "100ms")]));
    for value in hostile(90 * 1024) {
        for (path, document) in [
            (DISCOVERY_PATH, value.clone()),
            (DISCOVERY_PATH, format!(r#"{{"issuer":{value},"jwks_uri":"{keys_url}"}}"#)),
            (DISCOVERY_PATH, format!(r#"{{"issuer":"{issuer}","jwks_uri":{value}}}"#)),
            (KEYS_PATH, value.clone()),
            (KEYS_PATH, format!(r#"{{"keys":{value}}}"#)),
            (KEYS_PATH, format!(r#"{{"keys":[{{"kid":"first","x5c":{value}}}]}}"#)),
        ] {
            assert_eq!(published_keys::ask(&server, &good).status, 200);
            let asked = provider.stub.asked(path);
            provider.stub.reply(path, Reply::Answer(200, document));
            published_keys::until("asked", || {
                let refusal = published_keys::ask(&server, &unknown).refusal();
                assert!(["401 00-01", "503 00-07"].contains(&refusal.as_str()), "{refusal}");
                provider.stub.asked(path) > asked
            });
            assert_eq!(published_keys::ask(&server, &good).status, 200, "the keys in use stay");
            provider.describe(&issuer, &keys_url);
            provider.publish(&[provider.key.jwk()]);
        }
    }
}

#[test]
fn the_demo_refuses_hostile_json_and_continues() {
    let (server, greeting) = demo();
    let shop = shop(&greeting);
    for value in hostile(300 * 1024) {
        for pasted in [value.clone(), format!("{{\"token\":{value}}}")] {
            let mut form = form_urlencoded::Serializer::new(String::new());
            let refused = post(&shop, "sign-in", &form.append_pair("login_token", &pasted).finish());
            assert_eq!((refused.status, refused.header("set-cookie")), (303, None));
        }
    }
    assert_eq!(server.stop().status.code(), Some(0));
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn no_code_parses_into_serde_json_value() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources(&root.join("src"));
    let sources: Vec<_> =
        sources.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect();
    assert!(sources.len() > 50, "{sources:?}");
    for path in sources {
        let text = fs::read_to_string(path).unwrap();
        let code: String = text.split_inclusive('\n').filter(|line| !line.trim_start().starts_with("//")).collect();
        // The names used from the library: a path, or a list of imports.
        for (at, _) in code.match_indices("serde_json") {
            let named = code[at..].split([';', '(', '<', '>', '=', '?']).next().unwrap();
            let mut parts = named.split(|c: char| !c.is_alphanumeric() && !"_*!".contains(c));
            let banned = ["Value", "Map", "RawValue", "value", "json", "json!", "to_value", "from_value", "as", "*"];
            let found = parts.find(|part| banned.contains(part));
            assert_eq!(found, None, "{}: {named}; use a typed struct or login::json::Json", path.display());
        }
    }
    // axum's feature `json` enables `raw_value` anyway, so the rule above is the one that counts.
    assert!(!fs::read_to_string(root.join("Cargo.toml")).unwrap().contains("raw_value"));
}

/// Random JSON of a few levels; some names have escapes.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // With other numbers the library's parser is off by one digit.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 2.0)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let name = prop_oneof!["[ab\"\\\\]", any::<String>(), Just(RAW.to_owned())];
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(name, inner, 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

#[test]
fn json_is_written_as_it_was_read() {
    check(3000, &any_json(), |value| {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let tree: Json = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&tree).unwrap(), value.to_string());
            for (name, inner) in value.as_object().into_iter().flatten() {
                let found = member(&text, name).unwrap();
                assert_eq!(found, found.trim());
                let found: Json = serde_json::from_str(found).unwrap();
                assert_eq!(serde_json::to_string(&found).unwrap(), inner.to_string());
            }
            assert_eq!(member(&text, "no such name"), None);
        }
    });
}
