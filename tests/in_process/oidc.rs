//! Login tokens of an `OpenID` Connect provider: its keys, its discovery document, and the types of its tokens.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::{Value, json};
use zendesk_token::login::key_set::{KeySet, KeySetError};

use crate::app::App;
use crate::client::Answer;
use crate::harness::LOGIN_SECRET;
use crate::inspect_issued::changed;
use crate::login_api::LoginApi;
use crate::login_tokens::{LoginToken, now, sign};
use crate::provider::{ALGORITHMS, AUDIENCE, DISCOVERY_PATH, KEYS_PATH, Key, Provider, oidc};
use crate::published_keys::{INVALID, UNAVAILABLE, ask, is_ready, until};
use crate::stub::Reply;

/// A service with the provider as its login, when it has the keys.
fn ready(provider: &Provider, changes: &[(&str, &str)]) -> App {
    let server = App::of(&oidc(&provider.issuer(), changes));
    until("ready", || is_ready(&server));
    server
}

/// The answer to a token of the provider with these claims changed.
fn ask_with(server: &App, provider: &Provider, changes: &Value) -> Answer {
    ask(server, &provider.mint(&provider.token().with(changes)))
}

#[test]
fn tokens_of_another_implementation_get_the_expected_answers_with_one_fetch() {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/oidc.json")).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 22], 7022));
    until("free", || TcpListener::bind(address).is_ok());
    let provider = Provider::at(address);
    assert_eq!(fixture["issuer"], provider.issuer());
    provider.publish(fixture["keys"].as_array().unwrap());
    let server = ready(&provider, &[]);
    for alg in ALGORITHMS {
        assert_eq!(ask(&server, fixture["accepted"][alg].as_str().unwrap()).status, 200, "{alg}");
    }
    let refused = fixture["refused"].as_object().unwrap();
    assert_eq!(refused.len(), 19);
    for (defect, token) in refused {
        assert_eq!(ask(&server, token.as_str().unwrap()).refusal(), INVALID, "{defect}");
    }
    assert_eq!((provider.stub.asked(DISCOVERY_PATH), provider.stub.asked(KEYS_PATH)), (1, 1));
}

#[test]
fn a_key_verifies_only_the_algorithms_of_its_kind_whatever_the_header_says() {
    let provider = Provider::start();
    let keys = ALGORITHMS.map(|alg| Key::new(alg, &format!("key for {alg}")));
    provider.publish(&keys.each_ref().map(Key::jwk));
    let server = ready(&provider, &[]);
    let payload = provider.token().payload();
    for key in &keys {
        let own = key.header();
        for alg in
            ALGORITHMS.into_iter().chain(["none", "HS256", "HS384", "RS384", "RS512", "PS512", "ES512", "ES256K"])
        {
            let token = key.sign(&changed(&own, &json!({"alg": alg})), &payload);
            assert_eq!(ask(&server, &token).status, if own["alg"] == alg { 200 } else { 401 }, "{alg} by {own}");
        }
        for other in keys.iter().filter(|other| other.kid != key.kid) {
            let token = key.sign(&changed(&own, &json!({"kid": other.kid})), &payload);
            assert_eq!(ask(&server, &token).refusal(), INVALID, "{own} with {}", other.kid);
        }
    }
    assert_eq!(provider.stub.asked(KEYS_PATH), 1);
}

#[test]
fn the_alg_of_a_published_key_leaves_out_the_other_algorithms_of_its_kind() {
    let provider = Provider::start();
    let payload = provider.token().payload();
    let mut key = Key::new("RS256", "rsa");
    for published in [None, Some("RS256"), Some("PS256")] {
        provider.publish(&[changed(&key.jwk(), &json!({"alg": published}))]);
        let server = ready(&provider, &[]);
        for alg in ["RS256", "PS256"] {
            key = key.with_alg(alg);
            let is_right = published.is_none_or(|published| published == alg);
            let status = ask(&server, &key.sign(&key.header(), &payload)).status;
            assert_eq!(status, if is_right { 200 } else { 401 }, "{alg} with {published:?}");
        }
    }
    for wrong in ["RS512", "RSA-OAEP", "ES256", "HS256", "new"] {
        assert!(!is_usable(&changed(&key.jwk(), &json!({"alg": wrong}))), "{wrong}");
    }
}

#[test]
fn a_token_without_kid_is_for_the_only_key() {
    let provider = Provider::start();
    let server = ready(&provider, &[("login.keys_cooldown", "100ms")]);
    let payload = provider.token().payload();
    let without_kid = |key: &Key| key.sign(&json!({"alg": "ES256"}), &payload);
    let new = Key::new("ES256", "new");
    assert_eq!(ask(&server, &without_kid(&provider.key)).status, 200);
    assert_eq!(ask(&server, &without_kid(&new)).refusal(), INVALID);
    provider.publish(&[changed(&new.jwk(), &json!({"kid": null}))]);
    until("the new key is noticed by its signature", || ask(&server, &without_kid(&new)).status == 200);
    assert_eq!(ask(&server, &without_kid(&provider.key)).refusal(), INVALID);

    let unusable = changed(&provider.key.jwk(), &json!({"use": "enc"}));
    for (keys, status) in [([new.jwk(), unusable], 200), ([new.jwk(), provider.key.jwk()], 401)] {
        provider.publish(&keys);
        let server = ready(&provider, &[]);
        assert_eq!(ask(&server, &without_kid(&new)).status, status);
    }
}

/// The answers to two login cookies, in either order.
fn ask_both(server: &App, one: &str, other: &str) -> [Answer; 2] {
    [[one, other], [other, one]].map(|[first, second]| {
        server.get("/generate/token").header("Cookie", format!("token={first}; token={second}")).send()
    })
}

#[test]
fn a_token_that_cannot_be_verified_yet_outweighs_a_tossed_cookie() {
    let provider = Provider::start();
    let server = ready(&provider, &[("login.keys_cooldown", "1h")]);
    let (unknown, next) = (Key::new("ES256", "unknown"), Key::new("ES256", "next"));
    let signed = |key: &Key, changes: &Value| key.sign(&key.header(), &provider.token().with(changes).payload());
    let [own, eve] = [json!({}), json!({"sub": "eve"})].map(|changes| signed(&provider.key, &changes));
    // A stranger starts the cooldown; then the keys rotate.
    assert_eq!(ask(&server, &signed(&unknown, &json!({}))).refusal(), INVALID);
    provider.publish(&[provider.key.jwk(), next.jwk()]);
    let all =
        |one: &str, other: &str, is_right: &dyn Fn(&Answer) -> bool| ask_both(&server, one, other).iter().all(is_right);
    let time = |name: &str, offset: i64| json!({name: now() + offset});
    for (key, changes) in [(&next, json!({})), (&provider.key, time("iat", 600)), (&provider.key, time("nbf", 600))] {
        let token = signed(key, &changes);
        assert!(all(&token, &eve, &|answer| answer.refusal() == UNAVAILABLE), "{changes}");
        assert!(all(&token, &own, &|answer| answer.status == 200), "of the same player: {changes}");
        assert!(all(&token, "x", &|answer| answer.refusal() == INVALID), "{changes}");
    }
    // What its claims rule out does not become valid with a key.
    let staging = json!({"iss": "https://staging.example", "iat": now() + 600});
    for changes in [staging, json!({"aud": "staging"}), time("exp", -120)] {
        assert!(all(&signed(&next, &changes), &eve, &|answer| answer.status == 200), "{changes}");
    }
    assert_eq!(provider.stub.asked(KEYS_PATH), 2);
}

#[test]
fn a_token_without_kid_that_is_split_in_its_signature_is_accepted_during_the_cooldown() {
    let provider = Provider::start();
    let server = ready(&provider, &[("login.keys_cooldown", "1h")]);
    let without_kid = |key: &Key| key.sign(&json!({"alg": "ES256"}), &provider.token().payload());
    assert_eq!(ask(&server, &without_kid(&Key::new("ES256", "unknown"))).refusal(), INVALID);
    let token = without_kid(&provider.key);
    let (start, end) = token.split_at(token.len() - 20);
    let cookies = format!("token.0={start}; token.1={end}");
    assert_eq!(server.get("/generate/token").header("Cookie", cookies).send().status, 200);
}

fn is_usable(key: &Value) -> bool {
    match KeySet::read_jwks(json!({"keys": [key]}).to_string().as_bytes()) {
        Ok(keys) => keys.counts() == (1, 0),
        Err(error) => {
            assert_eq!(error, KeySetError::NoUsableJwk(1), "{key}");
            false
        }
    }
}

#[test]
fn keys_that_are_not_public_keys_for_signatures_are_left_out() {
    let [rsa, _, p256, p384, ed25519] = ALGORITHMS.map(|alg| Key::new(alg, "key").jwk());
    let short = "w".repeat(171);
    let [bytes_31, bytes_33, bytes_57, bytes_66] =
        [31, 33, 57, 66].map(|bytes: usize| "w".repeat((bytes * 4).div_ceil(3)));
    for key in [&rsa, &p256, &p384, &ed25519] {
        assert!(is_usable(key), "{key}");
        for same in [json!({"use": null}), json!({"kid": null}), json!({"key_ops": ["verify"]}), json!({"x5t": "w"})] {
            assert!(is_usable(&changed(key, &same)), "{key} {same}");
        }
        for wrong in [
            json!({"use": "enc"}),
            json!({"use": "SIG"}),
            json!({"key_ops": ["sign"]}),
            json!({"key_ops": []}),
            json!({"key_ops": ["encrypt", "wrapKey"]}),
            json!({"d": "w"}),
            json!({"kty": null}),
            json!({"kty": "oct"}),
            json!({"kty": "oct", "k": "c2VjcmV0"}),
            json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "w"}),
        ] {
            assert!(!is_usable(&changed(key, &wrong)), "{key} {wrong}");
        }
    }
    for (key, wrong) in [
        (&rsa, json!({"n": short})),
        (&rsa, json!({"e": "AQ"})),
        (&rsa, json!({"e": "AAAA"})),
        (&p256, json!({"crv": "P-384"})),
        (&p256, json!({"crv": "secp256k1"})),
        (&p256, json!({"crv": "P-521", "x": bytes_66, "y": bytes_66})),
        (&p256, json!({"crv": null})),
        (&p256, json!({"y": null})),
        (&p256, json!({"x": bytes_31})),
        (&p256, json!({"y": bytes_33})),
        (&p384, json!({"crv": "P-256"})),
        (&ed25519, json!({"crv": "Ed448", "x": bytes_57})),
        (&ed25519, json!({"crv": "X25519"})),
        (&ed25519, json!({"crv": "P-256"})),
        (&ed25519, json!({"x": bytes_31})),
        (&ed25519, json!({"x": bytes_33})),
        (&ed25519, json!({"x": ed25519["x"].as_str().unwrap().to_owned() + "="})),
    ] {
        assert!(!is_usable(&changed(key, &wrong)), "{wrong}");
    }
    let text = json!({"keys": [p256, ed25519]}).to_string();
    assert_eq!(KeySet::read_jwks(text.as_bytes()).err(), Some(KeySetError::KidTwice));
    assert_eq!(KeySet::read_jwks(br#"{"keys":[]}"#).err(), Some(KeySetError::NoUsableJwk(0)));
    assert_eq!(KeySet::read_jwks(json!([p256]).to_string().as_bytes()).err(), Some(KeySetError::Shape));
    assert!(KeySet::read(json!({"keys": [p256]}).to_string().as_bytes()).is_err(), "Xsolla signs with RS256 only");
}

#[test]
fn a_discovery_document_that_is_wrong_keeps_the_old_keys() {
    let provider = Provider::start();
    let server = ready(&provider, &[("login.keys_cooldown", "100ms")]);
    let (old, new, trap) = (provider.mint(&provider.token()), Key::new("ES256", "new"), LoginApi::start());
    let (issuer, keys_url) = (provider.issuer(), provider.stub.url() + KEYS_PATH);
    let document =
        |issuer: &str, keys: &str| Reply::Answer(200, json!({"issuer": issuer, "jwks_uri": keys}).to_string());
    let of_new = || new.sign(&new.header(), &provider.token().payload());
    let with_password = keys_url.replace("://", "://user:password@");
    let with_password_alone = keys_url.replace("://", "://:password@");
    provider.publish(&[new.jwk()]);
    for (reply, cause) in [
        (document("https://evil.example", &keys_url), "of another issuer"),
        (document(&format!("{issuer}/"), &keys_url), "of another issuer"),
        (document(&issuer.to_uppercase(), &keys_url), "of another issuer"),
        (document(&issuer, "http://keys.example.com/jwks"), "jwks_uri in the discovery document is not https"),
        (document(&issuer, &with_password), "jwks_uri in the discovery document is not https"),
        (document(&issuer, &with_password_alone), "jwks_uri in the discovery document is not https"),
        (document(&issuer, "file:///etc/passwd"), "jwks_uri in the discovery document is not https"),
        (document(&issuer, "/players/keys"), "not a JSON object with issuer and jwks_uri"),
        (Reply::Answer(200, json!({"issuer": issuer}).to_string()), "not a JSON object with issuer and jwks_uri"),
        (Reply::Answer(200, "<html>".to_owned()), "not a JSON object with issuer and jwks_uri"),
        (Reply::Answer(200, "[".repeat(50_000)), "not a JSON object with issuer and jwks_uri"),
        (Reply::Answer(404, String::new()), "answered with status 404"),
        (Reply::Redirect(format!("{}/elsewhere", trap.url())), "answered with status 302"),
        (Reply::Huge, "over 100 KiB"),
        (Reply::HangUp, "is incomplete or is not HTTP"),
        (Reply::Late(Duration::from_mins(1), 200, String::new()), "did not answer within 5 s"),
    ] {
        let asked = provider.stub.asked(DISCOVERY_PATH);
        provider.stub.reply(DISCOVERY_PATH, reply);
        until("asked", || {
            assert_eq!(ask(&server, &of_new()).refusal(), UNAVAILABLE, "{cause}");
            provider.stub.asked(DISCOVERY_PATH) > asked
        });
        assert_eq!(ask(&server, &old).status, 200, "{cause}");
        assert!(server.log().join("\n").contains(cause), "{cause}");
    }
    assert_eq!((trap.asked("/elsewhere"), provider.stub.asked(KEYS_PATH)), (0, 1));
    provider.describe(&issuer, &keys_url);
    let late =
        |path: &str, text: Value| provider.stub.reply(path, Reply::Late(Duration::from_secs(3), 200, text.to_string()));
    late(DISCOVERY_PATH, json!({"issuer": issuer, "jwks_uri": keys_url}));
    late(KEYS_PATH, json!({"keys": [new.jwk()]}));
    let asked = provider.stub.asked(KEYS_PATH);
    until("asked for keys", || {
        assert_eq!(ask(&server, &of_new()).refusal(), UNAVAILABLE, "5 s are for both documents");
        provider.stub.asked(KEYS_PATH) > asked
    });
    provider.describe(&issuer, &keys_url);
    provider.publish(&[new.jwk()]);
    until("recovered", || ask(&server, &of_new()).status == 200);
    assert!(!server.log().join("\n").contains("password"));
}

#[test]
fn an_issuer_may_end_with_a_slash_and_the_keys_may_be_on_another_host() {
    let (provider, elsewhere) = (Provider::start(), LoginApi::start());
    let issuer = provider.issuer() + "/";
    provider.describe(&issuer, &format!("{}/keys?version=2", elsewhere.url()));
    elsewhere.reply("/keys?version=2", Reply::Answer(200, json!({"keys": [provider.key.jwk()]}).to_string()));
    let server = App::of(&oidc(&issuer, &[]));
    assert_eq!(ask_with(&server, &provider, &json!({"iss": issuer})).status, 200);
    assert_eq!(ask_with(&server, &provider, &json!({})).refusal(), INVALID);
    assert_eq!(provider.stub.asked(DISCOVERY_PATH), 1);
}

#[test]
fn keys_of_a_provider_rotate_and_outlast_an_outage() {
    let address = TcpListener::bind("127.0.0.4:0").unwrap().local_addr().unwrap();
    let server = App::of(&oidc(
        &format!("http://{address}/players"),
        &[("login.keys_max_age", "1s"), ("login.keys_max_stale", "3s")],
    ));
    assert!(!is_ready(&server));
    let provider = Provider::at(address);
    until("ready", || is_ready(&server));
    let (old, new) = (provider.mint(&provider.token()), Key::new("EdDSA", "new"));
    let of_new = new.sign(&new.header(), &provider.token().payload());
    assert_eq!(ask(&server, &old).status, 200);
    provider.publish(&[new.jwk()]);
    assert_eq!(ask(&server, &of_new).status, 200, "at once");
    assert_eq!(ask(&server, &old).refusal(), INVALID);
    drop(provider);
    assert_eq!(ask(&server, &of_new).status, 200);
    until("too old", || ask(&server, &of_new).status == 503);
    assert_eq!(ask(&server, &of_new).refusal(), UNAVAILABLE);
    assert!(is_ready(&server));
}

#[test]
fn an_audience_must_be_that_of_the_settings_and_with_several_azp_too() {
    let provider = Provider::start();
    let server = ready(&provider, &[]);
    for (claims, is_right) in [
        (json!({"aud": AUDIENCE, "azp": "another"}), true),
        (json!({"aud": [AUDIENCE]}), true),
        (json!({"aud": [AUDIENCE, "api"], "azp": AUDIENCE}), true),
        (json!({"aud": ["api", AUDIENCE], "azp": AUDIENCE}), true),
        (json!({"aud": [AUDIENCE, "api"]}), false),
        (json!({"aud": [AUDIENCE, "api"], "azp": "api"}), false),
        (json!({"aud": [AUDIENCE, AUDIENCE]}), false),
        (json!({"aud": [AUDIENCE, 7], "azp": AUDIENCE}), false),
        (json!({"aud": ["api"], "azp": AUDIENCE}), false),
        (json!({"aud": [[AUDIENCE]]}), false),
        (json!({"aud": {"0": AUDIENCE}}), false),
        (json!({"aud": []}), false),
        (json!({"aud": null}), false),
        (json!({"aud": 7}), false),
        (json!({"aud": "Shop"}), false),
        (json!({"aud": "shop "}), false),
        (json!({"aud": "shop,api", "azp": AUDIENCE}), false),
        (json!({"iss": provider.issuer() + "/"}), false),
        (json!({"iss": [provider.issuer()]}), false),
        (json!({"iss": null}), false),
    ] {
        assert_eq!(ask_with(&server, &provider, &claims).status, if is_right { 200 } else { 401 }, "{claims}");
    }
}

#[test]
fn token_type_says_which_tokens_are_accepted() {
    let provider = Provider::start();
    let servers =
        ["id_token", "access_token", "any"].map(|kind| (kind, ready(&provider, &[("login.token_type", kind)])));
    let (id, access, other) = (["id_token", "any"], ["access_token", "any"], [""; 2]);
    for (typ, claims, accepted_by) in [
        ("JWT", json!({}), id),
        ("jwt", json!({"nonce": "n", "at_hash": "w", "token_use": "id"}), id),
        ("JWT", json!({"typ": "ID"}), id),
        ("at+jwt", json!({}), access),
        ("AT+JWT", json!({}), access),
        ("application/at+jwt", json!({}), access),
        ("JWT", json!({"scope": "openid email"}), access),
        ("JWT", json!({"scp": "user_impersonation"}), access),
        ("JWT", json!({"scp": ["openid"]}), access),
        ("JWT", json!({"scope": false}), access),
        ("JWT", json!({"azpacr": "0"}), access),
        ("JWT", json!({"appidacr": "1", "idtyp": "user"}), access),
        ("JWT", json!({"azpacr": "1", "idtyp": "app"}), other),
        ("at+jwt", json!({"gty": "client-credentials"}), other),
        ("JWT", json!({"token_use": "access"}), access),
        ("JWT", json!({"typ": "Bearer"}), access),
        ("JWT", json!({"token_use": "id", "typ": "Bearer"}), access),
        ("JWT", json!({"typ": "Refresh"}), other),
        ("JWT", json!({"typ": "ID", "token_use": "refresh"}), other),
        ("JWT", json!({"typ": ["ID"]}), other),
        ("JWT", json!({"token_use": 7}), other),
        ("JWT", json!({"typ": "Offline"}), other),
        ("JWT", json!({"typ": "Logout"}), other),
        ("at+jwt", json!({"typ": "Refresh"}), other),
        ("JWT", json!({"token_use": "refresh"}), other),
        ("JWT", json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}), other),
        ("JWT", json!({"request_type": "x"}), other),
        ("logout+jwt", json!({}), other),
        ("dpop+jwt", json!({}), other),
        ("at+jwt ", json!({}), other),
    ] {
        let header = changed(&provider.key.header(), &json!({"typ": typ}));
        let token = provider.key.sign(&header, &provider.token().with(&claims).payload());
        for (kind, server) in &servers {
            let status = if accepted_by.contains(kind) { 200 } else { 401 };
            assert_eq!(ask(server, &token).status, status, "{kind}: {typ} {claims}");
        }
    }
    let log = servers[0].1.log().join("\n") + &servers[1].1.log().join("\n");
    for cause in ["is an access token, which the login's token_type does not accept", "is an ID token, which"] {
        assert!(log.contains(cause), "{cause}: {log}");
    }
}

#[test]
fn an_access_token_by_its_header_is_not_a_login_token_of_xsolla() {
    let server = App::start();
    let with_typ = |typ: &str| {
        sign(&json!({"alg": "HS256", "typ": typ}).to_string(), &LoginToken::valid().payload(), LOGIN_SECRET.as_bytes())
    };
    assert_eq!(ask(&server, &with_typ("JWT")).status, 200);
    for typ in ["at+jwt", "application/at+jwt"] {
        assert_eq!(ask(&server, &with_typ(typ)).refusal(), INVALID, "{typ}");
    }
}
