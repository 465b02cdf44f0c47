//! Commands and reloads with several logins.

use serde_json::json;

use crate::commands::run;
use crate::harness::{CHAT_SECRET, LOGIN_SECRET, Server, command};
use crate::inspect::inspect;
use crate::inspect_issued::changed;
use crate::login_api::{LoginApi, fixture, keys_path};
use crate::login_tokens::{LoginToken, PROJECT, now, sign};
use crate::logins::{EU_PROJECT, EU_SECRET, XSOLLA, eu, three_logins};
use crate::provider::{AUDIENCE, DISCOVERY_PATH, KEYS_PATH, Provider};
use crate::published_keys::until;
use crate::reload::{Folder, NEW_SECRET, reload, serve_settings_file, without};
use crate::stub::Reply;

#[test]
fn check_has_a_block_for_each_login() {
    let issuer = "https://shop.eu.auth0.com/";
    let settings = three_logins(
        issuer,
        &[
            ("login.max_lifetime", "24h"),
            ("logins.auth0.token_type", "any"),
            ("logins.auth0.claims.external_id", "app.id"),
            ("logins.auth0.claims.name", "nickname,name"),
            ("logins.auth0.external_id_prefix", "auth0|"),
        ],
    );
    let output = run(&["check"], &settings);
    assert_eq!((output.status, output.err.as_str()), (Some(0), ""));
    let blocks = format!(
        "\
Login default
  accepts      HS256 login tokens of Xsolla
  selected by  iss {XSOLLA}, xsolla_login_project_id {PROJECT}
  external id  claim sub
  email        claim email

Login auth0
  accepts      ID tokens and access tokens of {issuer}
  selected by  iss {issuer}, aud {AUDIENCE}
  external id  claim app.id, with the prefix auth0|
  email        claim email; confirmed only with email_verified: true
  name         claims nickname, name

Login eu
  accepts      HS256 login tokens of Xsolla
  selected by  iss {XSOLLA}, xsolla_login_project_id {EU_PROJECT}
  external id  claim sub
  email        claim email

"
    );
    assert!(output.out.contains(&blocks), "{}", output.out);
    assert!(output.out.contains("  logins.eu.secret                       set (64 bytes)"), "{}", output.out);
    assert!(!output.out.contains(EU_SECRET) && output.out.ends_with("No errors, 0 warning(s).\n"), "{}", output.out);
}

#[test]
fn check_online_asks_for_each_login_and_reports_every_failure() {
    let (provider, api) = (Provider::start(), LoginApi::start());
    let (issuer, url) = (provider.issuer(), api.url());
    let rs256 = [("logins.eu.algorithm", "RS256"), ("logins.eu.api_url", &*url), ("login.api_url", &*url)];
    let settings = without(&["logins.eu.secret"], three_logins(&issuer, &rs256));
    let eu_keys = keys_path().replace(PROJECT, EU_PROJECT);
    api.reply(&eu_keys, Reply::Answer(200, fixture("first.json")));
    let output = run(&["check", "--online"], &settings);
    assert_eq!((output.status, output.err.as_str()), (Some(0), ""));
    let blocks = [
        format!("\nLogin default: Login API {url}\n  answers\n"),
        format!("\nLogin auth0: Provider {issuer}\n  1 usable key(s) (first), 0 ignored\n"),
        format!("\nLogin eu: Login API {url}\n  2 usable key(s) (key-a, key-b), 8 ignored\n"),
    ];
    assert!(blocks.iter().all(|block| output.out.contains(block)), "{}", output.out);

    provider.describe("https://evil.example", &(provider.stub.url() + KEYS_PATH));
    let output = run(&["check", "--online"], &settings);
    let wrong_issuer = format!(
        "logins.auth0.issuer: the discovery document is of another issuer than the one in the settings; both must be the same \
         text; compare the setting with issuer in {issuer}/.well-known/openid-configuration"
    );
    assert_eq!((output.status, output.err.trim_end()), (Some(1), &*wrong_issuer));
    assert!(output.out.contains(&blocks[0]) && output.out.contains(&blocks[2]), "{}", output.out);

    api.reply(&eu_keys, Reply::Answer(404, String::new()));
    let output = run(&["check", "--online"], &settings);
    let lines: Vec<&str> = output.err.lines().collect();
    let [auth0, eu] = lines.as_slice() else { panic!("{output:?}") };
    assert!(output.status == Some(1) && *auth0 == wrong_issuer, "{auth0}");
    assert!(
        eu.starts_with("logins.eu.api_url: ") && eu.contains("status 404; check that logins.eu.project_id"),
        "{eu}"
    );

    provider.stub.reply(DISCOVERY_PATH, Reply::Answer(404, String::new()));
    let output = run(&["check", "--online"], &settings);
    assert!(output.err.contains("logins.auth0.issuer: the login service answered with status 404"), "{}", output.err);
}

#[test]
fn inspect_names_the_login_of_a_token_and_its_settings() {
    let provider = Provider::start();
    let issuer = provider.issuer();
    let names = [("logins.auth0.claims.external_id", "app.id"), ("logins.auth0.external_id_prefix", "auth0|")];
    let settings = three_logins(&issuer, &names);
    let with_id = || provider.token().claim("app", json!({"id": "7"}));
    let mint = |token: LoginToken| provider.mint(&token);
    let access = provider.key.sign(&changed(&provider.key.header(), &json!({"typ": "at+jwt"})), &with_id().payload());
    let hs256 = with_id().mint();
    for (token, status, login, texts) in [
        (eu().mint(), 0, "eu", &["signed with logins.eu.secret\n"][..]),
        (LoginToken::valid().mint(), 0, "default", &["signed with login.secret\n"]),
        (mint(with_id()), 0, "auth0", &["signed with the login's published key", "external_id \"auth0|7\""]),
        (
            eu().secret(LOGIN_SECRET).mint(),
            1,
            "eu",
            &["not signed with logins.eu.secret", EU_PROJECT, "logins.eu.secret is"],
        ),
        (mint(eu()), 1, "eu", &["header alg is ES256, but logins.eu.algorithm is HS256"]),
        (hs256, 1, "auth0", &["header alg is HS256, but a provider signs with RS256, PS256, ES256, ES384 or EdDSA"]),
        (access, 1, "auth0", &["is an access token", "change logins.auth0.token_type"]),
        (
            mint(provider.token()),
            1,
            "auth0",
            &["claim app.id is missing", "logins.auth0.claims.external_id", "answers 00-02"],
        ),
        (
            mint(with_id().without("email")),
            1,
            "auth0",
            &["claim email is missing", "ask the provider", "answers 00-03"],
        ),
        (mint(with_id().claim("exp", now() - 3600)), 1, "auth0", &["expired", "sign in again"]),
        (eu().claim("request_type", "x").mint(), 1, "eu", &["has the claim request_type"]),
    ] {
        let output = inspect(&[], &settings, &token);
        assert_eq!(output.status, Some(status), "{texts:?}: {output:?}");
        assert!(output.out.contains(&format!("login token\n  for the login {login}\n")), "{login}: {output:?}");
        assert!(texts.iter().all(|text| output.out.contains(text)), "{texts:?}: {output:?}");
        assert_eq!(inspect(&["--json"], &settings, &token).json()["login"], login);
    }
    drop(provider.stub);
    let output = inspect(&[], &settings, provider.key.sign(&provider.key.header(), &of(&issuer)));
    assert!(
        output.out.contains("check logins.auth0.issuer and the network: zendesk-token check --online"),
        "{output:?}"
    );
}

/// The claims of a token of this issuer.
fn of(issuer: &str) -> String {
    json!({"iss": issuer, "aud": AUDIENCE, "exp": now() + 60}).to_string()
}

#[test]
fn inspect_says_what_a_token_names_that_is_for_none_of_the_logins() {
    let settings = three_logins("https://shop.eu.auth0.com/", &[]);
    let payload =
        json!({"iss": "https://evil.example/\u{1b}[31m\u{202e}", "exp": now() + 60, "email": "jane@example.com"});
    let token = sign(r#"{"alg":"HS256"}"#, &payload.to_string(), EU_SECRET.as_bytes());
    let output = inspect(&[], &settings, &token);
    let finding = format!(
        r"
Refused as a login token
  is for none of the logins: iss is https://evil.example/\u001b[31m\u{{202e}}, xsolla_login_project_id is missing, aud is missing; known are default (iss {XSOLLA}, xsolla_login_project_id {PROJECT}), auth0 (iss https://shop.eu.auth0.com/, aud {AUDIENCE}), eu (iss {XSOLLA}, xsolla_login_project_id {EU_PROJECT})
    → if the token is right, set issuer, project_id and audience of its login to what the token says
  chat: the service answers 00-01
"
    );
    assert!(output.status == Some(1) && output.out.contains(&finding), "{}", output.out);
    let json = inspect(&["--json"], &settings, &token).json();
    assert!(json["login"].is_null() && json["refusal"] == "00-01", "{json}");
}

/// A settings file with a login of this issuer and these lines.
fn text(issuer: &str, more: &str) -> String {
    let login = format!("provider = \"oidc\"\nissuer = \"{issuer}\"\naudience = \"{AUDIENCE}\"");
    format!("[login]\n{login}\n[chat]\nsecret = \"{CHAT_SECRET}\"\n{more}")
}

fn status(server: &Server, token: &str) -> u16 {
    server.get("/generate/token").cookie(token).send().status
}

#[test]
fn a_reload_adds_and_removes_logins_and_keeps_the_keys_of_the_others() {
    let (provider, other) = (Provider::start(), Provider::start());
    let listen = [("listen", "127.0.0.1:0"), ("admin.listen", "127.0.0.1:0")];
    let (issuer, other_issuer) = (provider.issuer(), other.issuer());
    let (_folder, file, server) = serve_settings_file(&text(&issuer, ""), &listen);
    let (first, second) = (provider.mint(&provider.token()), other.mint(&other.token()));
    until("fetched", || status(&server, &first) == 200);
    assert_eq!(status(&server, &second), 401);
    drop(provider);
    let more = |name: &str, own: &str| {
        let login = format!("provider = \"oidc\"\nissuer = \"{own}\"\naudience = \"{AUDIENCE}\"\n");
        text(&issuer, &format!("[logins.{name}]\n{login}"))
    };
    reload(&server, &file, &more("other", &other_issuer), "done");
    assert_eq!((status(&server, &second), status(&server, &first)), (200, 200));
    reload(&server, &file, &more("same", &issuer), "failed");
    assert_eq!((status(&server, &second), status(&server, &first)), (200, 200));
    reload(&server, &file, &text(&issuer, ""), "done");
    assert_eq!((status(&server, &second), status(&server, &first)), (401, 200));
}

#[test]
fn a_secret_file_of_a_named_login_is_read_again_when_it_changes() {
    let folder = Folder::new();
    let secret = folder.write("secret", EU_SECRET);
    let changes = [("logins.eu.secret_file", secret.to_str().unwrap())];
    let settings = without(&["logins.eu.secret"], three_logins("http://127.0.0.1:9/players", &changes));
    let server = Server::run(command(&["serve"], &settings));
    let is_accepted = |secret: &str| status(&server, &eu().secret(secret).mint()) == 200;
    assert!(is_accepted(EU_SECRET));
    folder.write("secret", NEW_SECRET);
    until("the new secret verifies", || is_accepted(NEW_SECRET));
    assert!(!is_accepted(EU_SECRET));
}
