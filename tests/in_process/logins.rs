//! Several logins: a token selects at most one, and then only that one's keys and rules count.

use std::net::TcpListener;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zendesk_token::config::products::Product;

use crate::access_log::requests;
use crate::app::App;
use crate::harness::{CHAT_SECRET, LOGIN_SECRET, OTHER_PRODUCTS, usual};
use crate::login_api::{LoginApi, VALIDATE_PATH};
use crate::login_tokens::{EMAIL, LoginToken, PROJECT, SUB, open, sign};
use crate::metrics::count;
use crate::provider::{AUDIENCE, Provider, oidc};
use crate::published_keys::{INVALID, UNAVAILABLE, ask, is_ready, until};
use crate::stub::Reply;
use crate::token_claims;

pub const XSOLLA: &str = "https://login.xsolla.com";
pub const EU_SECRET: &str = "2b7e151628aed2a6abf7158809cf4f3c0f1e2d3c4b5a69788796a5b4c3d2e1f0";
pub const EU_PROJECT: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

/// The usual settings with two logins of Xsolla, `default` and `eu`, and one of the provider, `auth0`.
pub fn three_logins<'a>(issuer: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let set = [
        ("login.issuer", XSOLLA),
        ("login.project_id", PROJECT),
        ("logins.eu.issuer", XSOLLA),
        ("logins.eu.project_id", EU_PROJECT),
        ("logins.eu.secret", EU_SECRET),
        ("logins.auth0.provider", "oidc"),
        ("logins.auth0.issuer", issuer),
        ("logins.auth0.audience", AUDIENCE),
    ];
    usual(&[&set, changes].concat())
}

/// A service with the three logins.
fn serve(provider: &Provider, changes: &[(&str, &str)]) -> App {
    App::of(&three_logins(&provider.issuer(), changes))
}

/// A token of the login `eu`.
pub fn eu() -> LoginToken {
    LoginToken::valid().claim("xsolla_login_project_id", EU_PROJECT).secret(EU_SECRET)
}

/// A field of each line of the access log.
fn logged(app: &App, field: &str) -> Vec<Value> {
    requests(&app.log()).iter().map(|line| line[field].clone()).collect()
}

#[test]
fn a_token_is_for_the_login_that_it_names() {
    let provider = Provider::start();
    let app = serve(&provider, &[]);
    for token in [LoginToken::valid().mint(), eu().mint(), provider.mint(&provider.token())] {
        assert_eq!(ask(&app, &token).status, 200);
    }
    // A refused token is for a login, too.
    for token in [eu().without("exp").mint(), provider.mint(&provider.token().without("email"))] {
        ask(&app, &token);
    }
    assert_eq!(logged(&app, "login"), ["default", "eu", "auth0", "eu", "auth0"]);
    assert_eq!(
        logged(&app, "key"),
        [json!("current"), "current".into(), "published".into(), json!(null), "published".into()]
    );
    let metrics = app.admin("GET", "/metrics").send().body;
    for (key, login, expected) in
        [("current", "default", 1), ("current", "eu", 1), ("published", "auth0", 2), ("previous", "eu", 0)]
    {
        let series = format!("zendesk_token_verifications_total{{key=\"{key}\",login=\"{login}\"}}");
        assert_eq!(count(&metrics, &series), expected, "{series}");
    }
    assert_eq!(count(&metrics, r#"zendesk_token_key_fetches_total{outcome="done",login="auth0"}"#), 1);
    let age = "zendesk_token_key_age_seconds{login=\"auth0\"} ";
    let ages: Vec<&str> = metrics.lines().filter(|line| line.starts_with("zendesk_token_key_age_seconds{")).collect();
    assert!(ages.len() == 1 && ages[0].starts_with(age), "{ages:?}");
}

#[test]
fn a_token_for_none_of_the_logins_is_refused_and_the_log_says_what_it_names() {
    let provider = Provider::start();
    let app = serve(&provider, &[]);
    let other_project = "11111111-2222-3333-4444-555555555555";
    let long = "x".repeat(100);
    for (token, named) in [
        (
            LoginToken::valid().claim("iss", "https://evil.example"),
            format!("iss is https://evil.example, xsolla_login_project_id is {PROJECT}, aud is missing;"),
        ),
        (
            LoginToken::valid().claim("xsolla_login_project_id", other_project),
            format!("xsolla_login_project_id is {other_project},"),
        ),
        (LoginToken::valid().without("xsolla_login_project_id"), "xsolla_login_project_id is missing,".to_owned()),
        (LoginToken::valid().without("iss"), "iss is missing,".to_owned()),
        (provider.token().claim("aud", "another"), "aud is another;".to_owned()),
        (provider.token().claim("aud", json!(["another", "api"])), r#"aud is ["another","api"];"#.to_owned()),
        (provider.token().claim("aud", "x").claim("azp", "y\u{e4}"), r"aud is x, azp is y\u{e4};".to_owned()),
        (provider.token().claim("iss", long.as_str()), format!("iss is {},", &long[..80])),
        (provider.token().claim("iss", "\u{1b}[31m\u{202e}\n\u{e4}"), r"iss is \u001b[31m\u{202e}\n\u{e4},".to_owned()),
        (provider.token().claim("iss", json!([provider.issuer()])), format!("iss is [\"{}\"],", provider.issuer())),
    ] {
        assert_eq!(ask(&app, &provider.mint(&token)).refusal(), INVALID, "{named}");
        let line = requests(&app.log()).pop().unwrap();
        let cause = line["cause"].as_str().unwrap();
        assert!(cause.starts_with("is for none of the logins: iss is ") && cause.contains(&named), "{named}: {cause}");
        let known = format!(
            "; known are default (iss {XSOLLA}, xsolla_login_project_id {PROJECT}), auth0 (iss {}, aud {AUDIENCE}), \
             eu (iss {XSOLLA}, xsolla_login_project_id {EU_PROJECT})",
            provider.issuer()
        );
        assert!(cause.ends_with(&known), "{cause}");
        assert!(line.get("login").is_none() && cause.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
    }
}

#[test]
fn a_token_signed_with_the_key_of_another_login_is_refused() {
    let provider = Provider::start();
    let app = serve(&provider, &[("login.previous_secret", EU_PREVIOUS)]);
    let of_provider = |secret: &str| provider.token().secret(secret).mint();
    let by_provider = |token: LoginToken| provider.mint(&token);
    for (token, login) in [
        (eu().secret(LOGIN_SECRET).mint(), "eu"),
        (eu().secret(EU_PREVIOUS).mint(), "eu"),
        (LoginToken::valid().secret(EU_SECRET).mint(), "default"),
        (of_provider(LOGIN_SECRET), "auth0"),
        (of_provider(EU_SECRET), "auth0"),
        (by_provider(LoginToken::valid()), "default"),
        (by_provider(eu()), "eu"),
    ] {
        assert_eq!(ask(&app, &token).refusal(), INVALID, "{login}");
        assert_eq!(logged(&app, "login").last().unwrap(), login);
    }

    let other = Provider::start();
    let url = other.issuer();
    let more = [("logins.other.provider", "oidc"), ("logins.other.issuer", &*url), ("logins.other.audience", AUDIENCE)];
    let app = serve(&provider, &more);
    let forged = other.key.sign(&provider.key.header(), &provider.token().payload());
    assert_eq!(ask(&app, &forged).refusal(), INVALID);
    for (issuer, status) in [(provider.issuer(), 401), (other.issuer(), 200)] {
        assert_eq!(ask(&app, &other.mint(&provider.token().claim("iss", issuer))).status, status);
    }
}

const EU_PREVIOUS: &str = "3243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c8";

#[test]
fn the_issuer_of_one_login_with_the_project_or_audience_of_another_is_refused() {
    let provider = Provider::start();
    let api = json!("api");
    let url = provider.issuer();
    let more = [("logins.api.provider", "oidc"), ("logins.api.issuer", &*url), ("logins.api.audience", "api")];
    let app = serve(&provider, &[&more[..], &[("logins.eu.audience", "eu shop")]].concat());
    let from = |issuer: &str, project: Option<&str>, audience: &Value| {
        let claims = json!({"iss": issuer, "xsolla_login_project_id": project, "aud": audience});
        LoginToken::valid().with(&claims).secret(EU_SECRET)
    };
    for token in [
        from(&url, Some(PROJECT), &json!(null)),
        from(&url, Some(EU_PROJECT), &json!("eu shop")),
        from(XSOLLA, None, &json!(AUDIENCE)),
        from(XSOLLA, Some(EU_PROJECT), &json!(AUDIENCE)),
        from(XSOLLA, Some(EU_PROJECT), &json!(null)),
        from(&url, None, &json!([AUDIENCE, "api"])),
    ] {
        for token in [token.mint(), provider.mint(&token)] {
            assert_eq!(ask(&app, &token).refusal(), INVALID);
            assert_eq!(logged(&app, "login").last().unwrap(), &json!(null));
        }
    }
    for (audience, login) in [(json!([AUDIENCE, "api"]), "api"), (api, "api"), (json!(AUDIENCE), "auth0")] {
        let token = provider.token().claim("aud", audience).claim("azp", "api");
        assert_eq!(ask(&app, &provider.mint(&token)).status, 200);
        assert_eq!(logged(&app, "login").last().unwrap(), login);
    }
    assert_eq!(ask(&app, &from(XSOLLA, Some(EU_PROJECT), &json!("eu shop")).mint()).status, 200);
}

#[test]
fn cookies_of_two_logins_are_of_two_players() {
    let provider = Provider::start();
    let app = serve(&provider, &[("login.bearer", "true")]);
    let tokens = [LoginToken::valid().mint(), eu().mint(), provider.mint(&provider.token())];
    for (first, second) in [(0, 1), (1, 0), (0, 2), (2, 0), (2, 1)] {
        let cookies = format!("token={}; token={}", tokens[first], tokens[second]);
        assert_eq!(app.get("/generate/token").header("Cookie", cookies).send().refusal(), INVALID);
        let request = app.get("/generate/token").cookie(&tokens[first]);
        let bearer = request.header("Authorization", format!("Bearer {}", tokens[second]));
        assert_eq!(bearer.send().refusal(), INVALID);
    }
    assert!(logged(&app, "cause").iter().all(|cause| cause == "login tokens of two different players"));
    let renewed = provider.mint(&provider.token().claim("nonce", "another"));
    let cookies = format!("token={}; token={renewed}", tokens[2]);
    assert_eq!(app.get("/generate/token").header("Cookie", cookies).send().status, 200, "the same login and player");
}

#[test]
fn a_login_without_keys_answers_503_for_its_own_tokens_alone() {
    let address = TcpListener::bind("127.0.0.5:0").unwrap().local_addr().unwrap();
    let down = format!("http://{address}/players");
    let provider = Provider::start();
    let of_down = provider.mint(&provider.token().claim("iss", down.as_str()));
    let app = App::of(&three_logins(&down, &[]));
    assert!(is_ready(&app), "the others have their secrets");
    assert_eq!(ask(&app, &of_down).refusal(), UNAVAILABLE);
    assert_eq!((ask(&app, &LoginToken::valid().mint()).status, ask(&app, &eu().mint()).status), (200, 200));
    assert_eq!(logged(&app, "login"), ["auth0", "default", "eu"]);
    let cookies = format!("token={}; token={of_down}", eu().mint());
    assert_eq!(app.get("/generate/token").header("Cookie", cookies).send().refusal(), UNAVAILABLE);

    // With published keys alone, the first that come make the service ready.
    let (other, url) = (TcpListener::bind("127.0.0.5:0").unwrap().local_addr().unwrap(), provider.issuer());
    let other = format!("http://{other}/players");
    for (second, is_up) in [(&other, false), (&url, true)] {
        let more = [("logins.b.provider", "oidc"), ("logins.b.issuer", second), ("logins.b.audience", AUDIENCE)];
        let app = App::of(&oidc(&down, &more));
        if is_up {
            until("ready", || is_ready(&app));
            assert_eq!(ask(&app, &provider.mint(&provider.token())).status, 200);
        } else {
            assert!(!is_ready(&app));
            assert_eq!(app.get("/health").send().status, 503);
        }
        assert_eq!(ask(&app, &of_down).refusal(), UNAVAILABLE);
    }
}

#[test]
fn each_login_has_its_own_revocation() {
    let (api, provider) = (LoginApi::start(), Provider::start());
    let url = api.url();
    let app = serve(&provider, &[("logins.eu.check_revocation", "true"), ("logins.eu.api_url", &url)]);
    assert_eq!((ask(&app, &eu().mint()).status, ask(&app, &LoginToken::valid().mint()).status), (200, 200));
    api.reply(VALIDATE_PATH, Reply::Answer(401, r#"{"error":{"code":"003-061","description":""}}"#.to_owned()));
    assert_eq!(ask(&app, &eu().claim("n", 2).mint()).refusal(), INVALID);
    assert_eq!(api.asked(VALIDATE_PATH), 2);
    let metrics = app.admin("GET", "/metrics").send().body;
    for (login, calls) in [("eu", 2), ("default", 0)] {
        let series = format!("zendesk_token_revocation_calls_total{{outcome=\"done\",login=\"{login}\"}}");
        assert_eq!(count(&metrics, &series), calls, "{login}");
    }
}

/// Chat's claims for a token.
fn chat(app: &App, token: &str) -> Value {
    open(&ask(app, token).token(), CHAT_SECRET).1
}

#[test]
fn the_same_id_of_two_logins_gives_two_external_ids_by_their_prefixes() {
    let provider = Provider::start();
    let domain = ("chat.fallback_email_domain", "players.example.com");
    let app = serve(
        &provider,
        &[("logins.eu.external_id_prefix", "eu-"), ("logins.auth0.external_id_prefix", "auth0|"), domain],
    );
    let (eu_id, auth0_id) = (format!("eu-{SUB}"), format!("auth0|{SUB}"));
    let [default, eu_token, auth0] = [LoginToken::valid().mint(), eu().mint(), provider.mint(&provider.token())];
    for (token, id) in [(default, SUB), (eu_token, &eu_id), (auth0, &auth0_id)] {
        assert_eq!(chat(&app, &token)["external_id"], id);
        assert_eq!(logged(&app, "sub_sha256").last().unwrap(), &hex::encode(Sha256::digest(id)));
    }
    let email = chat(&app, &eu().without("email").mint())["email"].clone();
    assert_eq!(email, format!("eu-{SUB}@players.example.com"));
    for (length, status) in [(252, 200), (253, 422)] {
        let token = eu().claim("sub", "8".repeat(length));
        assert_eq!(ask(&app, &token.mint()).status, status);
    }
    assert_eq!(logged(&app, "cause").last().unwrap(), "claim sub has 256 bytes, more than 255");
    let nobody = |token: LoginToken| ask(&app, &token.mint()).refusal();
    assert_eq!(nobody(eu().claim("sub", "")), "422 00-02", "a prefix alone is no id");
    assert_eq!(nobody(eu().without("sub")), "422 00-02");
    assert_eq!(nobody(eu().claim("sub", " a")), "422 00-04");
}

const NAMES: [(&str, &str); 3] = [
    ("login.claims.external_id", "app.player.id"),
    ("login.claims.email", "https://shop.example.com/email"),
    ("login.claims.name", "app.name,nickname"),
];

#[test]
fn claims_are_taken_by_the_names_in_the_settings_and_never_from_others() {
    let provider = Provider::start();
    let url = provider.issuer();
    let all = |settings: Vec<_>| App::of(&[settings, OTHER_PRODUCTS.to_vec()].concat());
    let apps = [all(usual(&NAMES)), all(oidc(&url, &NAMES))];
    let own = json!({
        "app": {"player": {"id": "77"}, "name": "Jo", "id": "1"},
        "app.player.id": "1",
        "https://shop.example.com/email": "jo@example.com",
        "https://shop": {"example": {"com/email": "evil@example.com"}},
        "nickname": "jojo",
    });
    for (app, is_xsolla) in apps.iter().zip([true, false]) {
        let mint = |token: LoginToken| if is_xsolla { token.mint() } else { provider.mint(&token) };
        let token = || (if is_xsolla { LoginToken::valid() } else { provider.token() }).with(&own);
        let claims = chat(app, &mint(token()));
        assert_eq!(
            (&claims["external_id"], &claims["email"], &claims["name"]),
            (&json!("77"), &json!("jo@example.com"), &json!("Jo"))
        );
        let nameless = token().claim("app", json!({"player": {"id": "77"}}));
        assert_eq!(chat(app, &mint(nameless))["name"], "jojo");
        for id in [
            json!(null),
            json!({}),
            json!(7),
            json!("77"),
            json!({"player": null}),
            json!({"player": "77"}),
            json!({"player": [{"id": "77"}]}),
            json!({"player": {"id": 77}}),
            json!({"player": {"id": {"id": "77"}}}),
            json!({"player": {"ID": "77"}}),
            json!({"player": {"id": ""}}),
            json!({"player.id": "77"}),
        ] {
            assert_eq!(ask(app, &mint(token().with(&json!({"app": id})))).refusal(), "422 00-02", "{id}");
            assert_eq!(logged(app, "cause").last().unwrap(), "claim app.player.id is missing, empty or not a string");
        }
        for email in
            [json!(null), json!(7), json!({"a": "jo@example.com"}), json!(["jo@example.com"]), json!(true), json!("")]
        {
            let changes = json!({"https://shop.example.com/email": email});
            assert_eq!(ask(app, &mint(token().with(&changes))).refusal(), "422 00-03", "{email}");
            let cause = "claim https://shop.example.com/email is missing, empty or not a string";
            assert_eq!(logged(app, "cause").last().unwrap(), cause);
        }
        let invalid = token().claim("https://shop.example.com/email", "jo");
        assert_eq!(ask(app, &mint(invalid)).refusal(), "422 00-04");
        let help_center = app.get("/help-center/token").cookie(mint(token())).send();
        assert_eq!(help_center.status, if is_xsolla { 200 } else { 422 }, "email_verified is of the claim email");
    }
}

#[test]
fn cookies_with_one_sub_and_two_external_ids_are_of_two_players() {
    let app = App::with(&NAMES[..1]);
    let token = |id: &str| LoginToken::valid().claim("app", json!({"player": {"id": id}})).mint();
    for (other, status) in [("77", 200), ("78", 401)] {
        let cookies = format!("token={}; token={}", token("77"), token(other));
        assert_eq!(app.get("/generate/token").header("Cookie", cookies).send().status, status, "{other}");
    }
}

#[test]
fn an_email_of_a_provider_is_verified_only_if_its_token_says_so() {
    let provider = Provider::start();
    let verified = [("messaging.email", "verified"), ("messaging.verified_types", "email")];
    let app = serve(&provider, &[&OTHER_PRODUCTS[..], &verified].concat());
    let messaging = |token: &str| {
        let answer = app.get("/messaging/token").cookie(token).send();
        let claims = open(&answer.token(), token_claims::secret(Product::Messaging)).1;
        assert_eq!(claims["email"], EMAIL);
        claims.get("email_verified").cloned()
    };
    let statuses = |token: &str| {
        let support_sdk = app.request("POST", "/support-sdk/token").body(format!("user_token={token}"));
        let requests =
            [app.get("/help-center/token").cookie(token), support_sdk, app.get("/generate/token").cookie(token)];
        requests.map(|request| request.send().status)
    };
    let says = |value: &Value| provider.mint(&provider.token().with(&json!({"email_verified": value})));
    for confirmed in [json!(true), json!("true"), json!("True"), json!(1), json!("1"), json!(1.0)] {
        assert_eq!(messaging(&says(&confirmed)), Some(json!(true)), "{confirmed}");
        assert_eq!(statuses(&says(&confirmed)), [200; 3], "{confirmed}");
    }
    for not in [
        json!(null),
        json!(false),
        json!("false"),
        json!(""),
        json!(0),
        json!(2),
        json!("yes"),
        json!([true]),
        json!({"email": true}),
    ] {
        assert_eq!(messaging(&says(&not)), None, "{not}");
        assert_eq!(statuses(&says(&not)), [422, 422, 200], "{not}: Chat identifies by external_id");
    }
    // JSON's null is a value, and `with` leaves it out.
    let payload = provider.token().payload().replace(r#""email_verified":true"#, r#""email_verified":null"#);
    assert_eq!(messaging(&provider.key.sign(&provider.key.header(), &payload)), None);

    // The types are those of Xsolla's tokens, which have no email_verified.
    assert_eq!(messaging(&says(&json!(true))), Some(json!(true)));
    for kind in ["email", "social"] {
        let provider_token = provider.mint(&provider.token().claim("type", kind).without("email_verified"));
        assert_eq!(messaging(&provider_token), None, "{kind}");
        let is_listed = Some(json!(true)).filter(|_| kind == "email");
        for token in [LoginToken::valid(), eu()] {
            assert_eq!(messaging(&token.claim("type", kind).mint()), is_listed, "{kind}");
        }
    }
}

#[test]
fn one_login_needs_no_claims_that_select_it() {
    let app = App::with(&[]);
    let token = LoginToken::valid().without("iss").without("xsolla_login_project_id");
    assert_eq!(ask(&app, &token.mint()).status, 200);
    let only_named: Vec<_> =
        usual(&[("logins.eu.secret", EU_SECRET)]).into_iter().filter(|(key, _)| *key != "login.secret").collect();
    let app = App::of(&only_named);
    assert_eq!(ask(&app, &eu().mint()).status, 200);
    assert_eq!(ask(&app, &sign(r#"{"alg":"HS256"}"#, "{}", EU_SECRET.as_bytes())).refusal(), INVALID);
    assert_eq!(logged(&app, "login"), ["eu", "eu"]);
}
