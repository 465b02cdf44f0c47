//! Attacks on several logins and on OpenID Connect providers, and mistakes in their settings.

use zendesk_token::config::products::Product;
use zendesk_token::exchange::Exchange;
use zendesk_token::login::token::LoginToken as Token;
use zendesk_token::login::verifier::Credentials;
use zendesk_token::metrics::Metrics;

use crate::app::App;
use crate::harness::{LOGIN_SECRET, SUPPORT_SDK_SECRET, usual};
use crate::login_api::LoginApi;
use crate::login_tokens::{EMAIL, LoginToken, PROJECT, now, sign};
use crate::published_keys::{INVALID, ask, until};
use crate::settings::{SettingsFile, load, warnings, without};
use crate::stub::Reply;
use crate::support_sdk::PATH;

const ISSUER: &str = "https://login.xsolla.com";
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// One key without `kid`. No test has its private part.
const KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "x": "FAlI6KrxYkx1D0NO_Ze9jQPLNz6FLa6F-Jtibltguyw", "y": "3XA6JYEWkZ5M9zCV09h5sVrtrKZJ_6YmB6gr5buh3fw"}]}"#;

/// A provider at `url` whose keys are at `jwks_uri`.
fn provider(jwks_uri: impl Fn(&str) -> String) -> LoginApi {
    let provider = LoginApi::start();
    let url = provider.url();
    let document = format!(r#"{{"issuer": "{url}", "jwks_uri": "{}"}}"#, jwks_uri(&url));
    provider.reply(DISCOVERY, Reply::Answer(200, document));
    provider.reply("/jwks", Reply::Answer(200, KEYS.to_owned()));
    provider
}

/// The usual settings with the login `name` of this provider instead of that of Xsolla.
fn oidc(name: &str, issuer: &str, changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = [("provider", "oidc"), ("issuer", issuer), ("audience", "web"), ("external_id_prefix", "shop-")];
    let own = own.into_iter().map(|(own, value)| (format!("logins.{name}.{own}"), value.to_owned()));
    let usual = without("login.secret", usual(changes)).into_iter();
    usual.map(|(key, value)| (key.to_owned(), value.to_owned())).chain(own).collect()
}

fn borrowed(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// A token with a wrong signature.
fn forged(header: &str) -> String {
    let token = sign(header, r#"{"sub":"1"}"#, LOGIN_SECRET.as_bytes());
    format!("{}.{}", token.rsplit_once('.').unwrap().0, "A".repeat(86))
}

#[test]
fn without_kid_zendesks_servers_try_again_while_the_cooldown_runs() {
    let provider = provider(|url| format!("{url}/jwks"));
    let changes = [("support_sdk.secret", SUPPORT_SDK_SECRET), ("logins.shop.keys_cooldown", "1h")];
    let settings = oidc("shop", &provider.url(), &changes);
    let server = App::of(&borrowed(&settings));
    until("ready", || server.admin("GET", "/ready").send().status == 200);
    let forged = forged(r#"{"alg":"ES256"}"#);
    let post = || server.request("POST", PATH).body(format!("user_token={forged}")).send().refusal();
    assert_eq!(ask(&server, &forged).refusal(), INVALID, "fetches, and no key matches");
    // The provider may have a new key by now: a 401 would make the app delete the player's history.
    assert_eq!(post(), "503 00-07");
    assert_eq!(ask(&server, &forged).refusal(), INVALID);
}

#[test]
fn keys_are_kept_when_a_login_gets_another_name() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let provider = provider(|url| format!("{url}/jwks"));
    provider.reply("/jwks", Reply::Answer(200, KEYS.replace(r#""EC""#, r#""EC", "kid": "1""#)));
    let metrics = Metrics::new();
    let exchange = |name: &str, old: Option<&Exchange>| {
        let settings = oidc(name, &provider.url(), &[]);
        Exchange::new(&load(None, &borrowed(&settings)).unwrap(), &metrics, old).unwrap()
    };
    let refusal = |exchange: &Exchange| {
        let bearer = Some(Token::new(forged(r#"{"alg":"ES256","kid":"1"}"#)));
        let credentials = Credentials { bearer, cookies: Vec::new() };
        runtime.block_on(exchange.run(Product::Chat, &credentials, now())).unwrap_err().to_string()
    };
    let old = exchange("shop", None);
    runtime.block_on(old.published_keys().next().unwrap().refresh()).unwrap();
    provider.reply(DISCOVERY, Reply::Answer(500, String::new()));
    let without_keys = refusal(&exchange("players", None));
    assert!(without_keys.contains("could not be fetched"), "{without_keys}");
    let renamed = refusal(&exchange("players", Some(&old)));
    assert_eq!(renamed, "signature does not match the published key with this kid");
}

#[test]
fn a_password_in_the_url_of_the_keys_is_refused() {
    for user in [":password@", "user@", "user:password@"] {
        let provider = provider(|url| url.replace("//", &format!("//{user}")) + "/jwks");
        let settings = oidc("shop", &provider.url(), &[]);
        let server = App::of(&borrowed(&settings));
        until("asked", || server.log().iter().any(|line| line.contains("jwks_uri in the discovery document is not")));
        assert_eq!(provider.asked("/jwks"), 0, "{user}");
    }
}

#[test]
fn an_email_as_issuer_or_audience_is_not_logged() {
    let provider = provider(|url| format!("{url}/jwks"));
    let shop = oidc("shop", &provider.url(), &[("login.project_id", PROJECT), ("login.issuer", ISSUER)]);
    let settings = [borrowed(&shop), vec![("login.secret", LOGIN_SECRET)]].concat();
    let server = App::of(&settings);
    for name in ["iss", "aud", "azp", "xsolla_login_project_id"] {
        let plain = LoginToken::valid().claim("iss", "https://another.example").claim(name, EMAIL);
        let escaped = plain.payload().replace('@', "\\u0040");
        for token in [plain.mint(), sign(r#"{"alg":"HS256"}"#, &escaped, LOGIN_SECRET.as_bytes())] {
            assert_eq!(ask(&server, &token).refusal(), INVALID);
        }
    }
    let log = server.log().concat();
    assert!(log.contains("iss is not shown, since it has an @") && log.contains("iss is https://another.example"));
    assert!(!log.contains("jane"), "{log}");
}

#[test]
fn prefixes_that_differ_only_in_case_and_claims_that_players_choose_cause_a_warning() {
    let file = |prefix: &str, claim: &str| {
        SettingsFile::new(format!(
            "[logins.a]\nprovider = \"oidc\"\nissuer = \"https://a.example.com\"\naudience = \"web\"\nexternal_id_prefix = \"shop-\"\n\
             [logins.b]\nprovider = \"oidc\"\nissuer = \"https://b.example.com\"\naudience = \"web\"\nexternal_id_prefix = \"{prefix}\"\n\
             claims.external_id = \"{claim}\"\n[login]\nmax_lifetime = \"24h\"\n"
        ))
    };
    let warnings =
        |prefix: &str, claim: &str| warnings(Some(&file(prefix, claim)), &without("login.secret", usual(&[])));
    for prefix in ["Shop-", "SHOP-EU-", "sHOP"] {
        assert!(warnings(prefix, "sub").contains("begins with the other"), "{prefix}");
    }
    for prefix in ["shop-", "game-", "Shop_"] {
        assert_eq!(warnings(prefix, "sub"), "", "{prefix}");
    }
    for claim in ["email", "preferred_username", "app.username"] {
        assert!(warnings("game-", claim).contains("logins.b.claims.external_id"), "{claim}");
    }
    assert_eq!(warnings("game-", "app.player_id"), "");
}

#[test]
fn an_id_with_an_invisible_character_is_refused() {
    let server = App::start();
    for id in ["p\u{200b}1", "p1\u{ad}", "\u{2060}p1", "p\u{202e}1", "p\u{a0}1", "p\u{0}1", "p\n1", "p1\u{e0061}"] {
        let token = LoginToken::valid().claim("sub", id).mint();
        assert_eq!(ask(&server, &token).refusal(), "422 00-04", "{id:?}");
    }
    for id in ["p 1", "auth0|5f7c8ec7c33c6c004bbafe82", "Åsa.Ωμέγα", "プレイヤー1"] {
        let token = LoginToken::valid().claim("sub", id).mint();
        assert_eq!(ask(&server, &token).status, 200, "{id:?}");
    }
}
