//! Secrets and personal data are never printed.

use std::process::Command;

use zendesk_token::config::products::Product;
use zendesk_token::config::settings::SETTINGS;
use zendesk_token::login::token;

use crate::client::Request;
use crate::commands::CommandOutput;
use crate::commands::run;
use crate::harness::{
    CHAT_SECRET, HELP_CENTER_SECRET, LOGIN_SECRET, MESSAGING_SECRET, ORIGIN, OTHER_PRODUCTS, SUPPORT_SDK_SECRET,
    Server, command, run_by, usual,
};
use crate::login_api::{LoginApi, VALIDATE_PATH, fixture, keys_path};
use crate::login_tokens::{EMAIL, LoginToken, SUB};
use crate::middleware::WITH_LOG;
use crate::names;
use crate::published_keys::rs256;
use crate::settings::{SettingsFile, load};
use crate::stub::Reply;
use crate::user_tokens;
use crate::verification::{self, NOW, exchange, fixtures};

const PREVIOUS_SECRET: &str = "70726576696f7573206c6f67696e2073656372657420726573657420746f6461";

/// Fails if one of the secrets is in the text, without printing it.
fn assert_absent(text: &str, secrets: &[String]) {
    for secret in secrets {
        let line = text.lines().position(|line| line.contains(secret.as_str()));
        assert!(line.is_none(), "a secret of {} bytes is in line {line:?}", secret.len());
    }
}

/// A service whose standard error is in its log, too.
fn serve(settings: &[(&str, &str)]) -> Server {
    Server::run(run_by("sh", &["-c", "exec \"$0\" \"$@\" 2>&1"], &command(&["serve"], settings)))
}

#[test]
fn no_path_through_the_service_prints_a_token_cookie_secret_or_email() {
    for format in ["json", "text"] {
        let changes = [
            ("log.level", "trace"),
            ("log.format", format),
            ("login.previous_secret", PREVIOUS_SECRET),
            user_tokens::ON,
        ];
        let settings = usual(&[&OTHER_PRODUCTS[..], &changes].concat());
        let server = serve(&settings);
        let mut secrets = vec![PREVIOUS_SECRET, MESSAGING_SECRET, HELP_CENTER_SECRET, SUPPORT_SDK_SECRET, "Jane"];
        secrets.extend([LOGIN_SECRET, CHAT_SECRET, EMAIL, SUB, "marker"]);
        let mut secrets: Vec<String> = secrets.into_iter().map(str::to_owned).collect();
        for (_, token) in fixtures("accepted").into_iter().chain(fixtures("refused")) {
            let Ok(token) = String::from_utf8(token) else { continue };
            if token.contains('\n') {
                continue;
            }
            secrets.extend(token.split('.').filter(|part| part.len() > 8).map(str::to_owned));
            let answer = server.get("/generate/token").cookie(&token).header("Origin", ORIGIN).send();
            if answer.status == 200 {
                secrets.extend(answer.token().split('.').skip(1).map(str::to_owned));
            }
        }
        secrets.extend(ask_other_products(&server));
        let token = LoginToken::valid().secret(PREVIOUS_SECRET).mint();
        server.get(&format!("/generate/token?token={token}&email={EMAIL}")).cookie(&token).send();
        server.get(&format!("/marker/{token}")).header("Authorization", format!("Bearer {token}")).send();
        server.get("/generate/token").header("X-Request-Id", &token).header("X-Marker", "marker").send();
        server.get("/generate/token").header("Origin", format!("https://{EMAIL}")).send();
        server.request("MARKER", "/generate/token").header("User-Agent", EMAIL).send();
        crate::client::send(server.public, format!("marker {token}\r\n\r\n").as_bytes());
        let log = server.stop().log.join("\n");
        assert!(log.lines().count() > 130, "too few log lines");
        assert_absent(&log, &secrets);
    }
}

/// Sends good and bad requests for tokens of the other products. Returns the parts of all tokens.
fn ask_other_products(server: &Server) -> Vec<String> {
    let token = LoginToken::valid().claim("marker", "marker").mint();
    let mut tokens = vec![token.clone()];
    server.get("/jwt_fn.js").header("Origin", &token).cookie(&token).send();
    server.get(&format!("/openapi.json?{token}")).header("Origin", EMAIL).header("If-None-Match", &token).send();
    for path in ["/messaging/token", "/help-center/token"] {
        tokens.push(server.get(path).cookie(&token).send().token());
        server.get(path).cookie(LoginToken::valid().claim("email", "marker@").mint()).send();
    }
    for body in
        [format!("user_token={token}"), format!("user_token={token}&user_token={token}"), format!("marker={token}")]
    {
        let answer = server.request("POST", "/support-sdk/token").body(&body).send();
        tokens.extend(answer.json()["jwt"].as_str().map(str::to_owned));
        server.request("POST", "/support-sdk/token").header("Content-Type", "application/json").body(body).send();
        server.request("POST", "/support-sdk/token").header("Content-Type", "text/marker").body(&token).send();
    }
    let answer = server.request("POST", user_tokens::PATH).cookie(&token).send();
    let user_token = answer.json()["user_token"].as_str().unwrap().to_owned();
    let expired = user_tokens::forge(user_tokens::HEADER, &user_tokens::payload_text(&user_tokens::payload(0)));
    for body in [&user_token, &expired, &format!("{user_token}x")] {
        server.request("POST", "/support-sdk/token").body(format!("user_token={body}")).send();
        server.get("/messaging/token").cookie(body).send();
    }
    tokens.extend([user_token, expired]);
    assert_eq!(tokens.len(), 6);
    tokens.iter().flat_map(|token| token.split('.').skip(1).map(str::to_owned)).collect()
}

#[test]
fn no_token_key_or_answer_of_the_login_api_is_printed() {
    let api = LoginApi::start();
    let url = api.url();
    let asking = [
        ("login.check_revocation", "true"),
        ("login.revocation_cache", "0s"),
        ("login.bearer", "true"),
        ("login.keys_cooldown", "100ms"),
        ("log.level", "trace"),
    ];
    let secret = usual(&[&asking[..], &[("login.api_url", &url)]].concat());
    for settings in [secret, rs256(&url, &asking)] {
        let is_rs256 = settings.contains(&("login.algorithm", "RS256"));
        api.publish("first.json");
        let server = serve(&settings);
        let modulus = serde_json::from_str::<serde_json::Value>(&fixture("first.json")).unwrap()[0]["n"].to_string();
        let marker = r#"{"error":{"code":"marker","description":"marker jane@example.com"}}"#;
        let mut secrets = [LOGIN_SECRET, CHAT_SECRET, EMAIL, SUB, "marker"].map(str::to_owned).to_vec();
        secrets.push(modulus.trim_matches('"').to_owned());
        for (number, (path, reply)) in [
            (VALIDATE_PATH, Reply::Answer(204, String::new())),
            (VALIDATE_PATH, Reply::Answer(401, marker.to_owned())),
            (VALIDATE_PATH, Reply::Answer(500, marker.to_owned())),
            (VALIDATE_PATH, Reply::Answer(204, String::new())),
            (&keys_path(), Reply::Answer(200, "marker".to_owned())),
            (&keys_path(), Reply::Redirect("http://marker.example/marker".to_owned())),
        ]
        .into_iter()
        .enumerate()
        {
            api.reply(path, reply);
            let hs256 = LoginToken::valid().claim("number", number).mint();
            for token in [hs256, fixture("accepted/key_a.jwt"), fixture("refused/kid_path.jwt")] {
                secrets.extend(token.split('.').filter(|part| part.len() > 40).map(str::to_owned));
                server.get("/generate/token").header("Authorization", format!("Bearer {token}")).send();
                server.get("/generate/token").cookie(&token).header("Authorization", "Basic marker").send();
            }
        }
        let metrics = Request::new(server.admin, "GET", "/metrics").send().body;
        let log = server.stop().log.join("\n");
        assert!(log.contains("refuses the token") && log.contains("status 500"), "too few log lines");
        assert_eq!(log.contains("login keys fetched"), is_rs256);
        assert_absent(&(log + &metrics), &secrets);
    }
}

#[test]
fn the_value_of_an_invalid_setting_is_not_printed() {
    let marker = "Zm9vbWFya2VyMTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1u";
    // Any text is right there, and shown.
    let free = |key: &str| {
        let texts = ["login.cookie", "login.issuer", "login.project_id", "login.audience", "login.external_id_prefix"];
        texts.contains(&key)
            || key.starts_with("login.claims.")
            || ["chat.name_from", "messaging.key_id"].contains(&key)
    };
    for key in SETTINGS.iter().map(|setting| setting.key).filter(|key| !free(key)) {
        let result = run(&["check"], &usual(&[(key, marker)]));
        let text = result.out + &result.err;
        assert!(!text.is_empty());
        assert_absent(&text, &[marker.to_owned()]);
    }
    for text in [
        format!("[login]\nsecret = {marker}\n"),
        format!("[login]\nsecret = '{marker}\n"),
        format!("[login]\nsecret = [\"{marker}\"]\n"),
        format!("[login]\n{marker} = 1\n"),
        format!("[{marker}]\nx = 1\n"),
        marker.to_owned(),
        format!("[login]\nsecret = \"a\"\nsecret = \"{marker}\"\n"),
    ] {
        let file = SettingsFile::new(text);
        let result = run(&["check", "--config", file.path().to_str().unwrap()], &[]);
        assert_absent(&result.err, &[marker.to_owned()]);
        assert_eq!(result.status, Some(2), "{}", result.err);
    }
}

#[test]
fn debug_shows_only_lengths() {
    let config = load(None, &usual(&[("login.previous_secret", PREVIOUS_SECRET)])).unwrap();
    let token = LoginToken::at(NOW).mint();
    let issued = verification::run(&exchange(&[]), token.as_bytes(), NOW).unwrap();
    let shown = format!("{config:?} {:?} {issued:?}", token::LoginToken::new(token.as_bytes()));
    assert!(shown.contains("Secret(64 bytes)") && shown.contains("LoginToken(") && shown.contains("ZendeskToken("));
    let secrets = [LOGIN_SECRET, CHAT_SECRET, PREVIOUS_SECRET, EMAIL, &token, issued.as_str()].map(str::to_owned);
    assert_absent(&shown, &secrets);

    let exchange = exchange(&[("login.claims.external_id", "email")]);
    let issued = names::run(&exchange, Product::Chat, &token).unwrap();
    assert_eq!(issued.external_id, EMAIL);
    assert_absent(&format!("{issued:?}"), &[EMAIL.to_owned()]);
}

#[test]
fn a_panic_is_logged_with_its_place_and_without_its_message() {
    // In a process of its own, because logging is set up once for a process.
    let test = "in_process::middleware::a_panic_is_one_refusal_and_says_nothing";
    let mut child = Command::new(std::env::current_exe().unwrap());
    let result: CommandOutput =
        child.args(["--exact", test, "--nocapture"]).env(WITH_LOG, "1").output().unwrap().into();
    let printed = result.out + &result.err;
    assert_eq!(result.status, Some(0), "{printed}");
    for text in ["\"place\":\"tests/", "middleware.rs:", "00-14"] {
        assert!(printed.contains(text), "{text}: {printed}");
    }
    assert_absent(&printed, &[EMAIL.to_owned()]);
}
