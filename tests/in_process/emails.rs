//! Emails in issued tokens.

use serde_json::json;
use zendesk_token::config::products::Product;

use crate::app::App;
use crate::login_tokens::{EMAIL, LoginToken, SUB};
use crate::token_claims::{ask, claims};

const FALLBACK_DOMAIN: &str = "players.example.com";

fn with_email(email: &str) -> LoginToken {
    LoginToken::valid().claim("email", email)
}

/// Products that need the email refuse the login; Messaging leaves the email out.
fn check_unusable(server: &App, token: &LoginToken) {
    for product in [Product::Chat, Product::HelpCenter, Product::SupportSdk] {
        assert_eq!(ask(server, product, token).refusal(), "422 00-04", "{product:?}");
    }
    let claims = claims(server, Product::Messaging, token);
    assert!(claims.get("email").is_none() && claims["name"] == "Jane Doe", "{claims}");
}

#[test]
fn messaging_sends_the_email_and_vouches_for_it_as_the_setting_says() {
    for (setting, email, verified) in
        [("unverified", Some(EMAIL), None), ("verified", Some(EMAIL), Some(true)), ("omit", None, None)]
    {
        let server = App::with_all_products(&[("messaging.email", setting)]);
        // The claim email_verified of a login does not replace the setting.
        for token in [LoginToken::valid(), LoginToken::valid().claim("email_verified", true)] {
            let claims = claims(&server, Product::Messaging, &token);
            assert_eq!((claims["email"].as_str(), claims["email_verified"].as_bool()), (email, verified), "{setting}");
        }
        let claims = claims(&server, Product::Messaging, &LoginToken::valid().without("email"));
        assert!(claims.get("email").is_none() && claims.get("email_verified").is_none(), "{claims}");
    }
}

#[test]
fn a_player_without_an_email_gets_a_messaging_token_and_no_help_center_token() {
    let server = App::with_all_products(&[]);
    for email in [json!(null), json!(""), json!(7)] {
        let token = LoginToken::valid().claim("email", email);
        let claims = claims(&server, Product::Messaging, &token);
        assert!(claims.get("email").is_none() && claims["name"] == "Jane Doe", "{claims}");
        assert_eq!(ask(&server, Product::HelpCenter, &token).refusal(), "422 00-03");
    }
}

#[test]
fn messaging_trims_an_email_or_leaves_it_out() {
    for setting in ["unverified", "verified"] {
        let server = App::with_all_products(&[("messaging.email", setting)]);
        for email in
            [" jane@example.com", "jane@example.com ", "\tjane@example.com\r\n", "\u{3000}jane@example.com\u{a0}"]
        {
            let claims = claims(&server, Product::Messaging, &with_email(email));
            assert_eq!(claims["email"], EMAIL, "{email:?}");
            assert!(claims.get("email_verified").is_none(), "the login has another text: {email:?}");
        }
        let bad = ["jane@example.com>", "x<jane@example.com>", "jane@example.com.", &*"j".repeat(256)];
        for email in bad.into_iter().chain([" ", "jane", "a@b@c"]) {
            let claims = claims(&server, Product::Messaging, &with_email(email).without("username"));
            assert!(["email", "email_verified", "name"].iter().all(|name| claims.get(name).is_none()), "{claims}");
        }
    }
}

#[test]
fn an_email_that_the_login_does_not_confirm_is_never_verified() {
    let server = App::with_all_products(&[("messaging.email", "verified")]);
    let odd = [json!(0.0), json!(-1), json!("no"), json!(" false"), json!([]), json!({}), json!([true])];
    for unconfirmed in [json!(false), json!("false"), json!("False"), json!(0), json!("0")].into_iter().chain(odd) {
        let token = LoginToken::valid().claim("email_verified", unconfirmed.clone());
        let claims = claims(&server, Product::Messaging, &token);
        assert_eq!((claims["email"].as_str(), claims.get("email_verified")), (Some(EMAIL), None), "{unconfirmed}");
        // These products identify the player by email, and have no claim for an unverified one.
        for product in [Product::HelpCenter, Product::SupportSdk] {
            assert_eq!(ask(&server, product, &token).refusal(), "422 00-04", "{unconfirmed}");
        }
        assert_eq!(ask(&server, Product::Chat, &token).status, 200, "Chat identifies by external_id");
    }
    for confirmed in [json!(true), json!(1), json!("true"), json!(null), json!("")] {
        let token = LoginToken::valid().claim("email_verified", confirmed.clone());
        assert_eq!(claims(&server, Product::Messaging, &token)["email_verified"], true, "{confirmed}");
        assert_eq!(ask(&server, Product::HelpCenter, &token).status, 200, "{confirmed}");
    }
    let log = server.log().join("\n");
    assert!(log.contains("claim email_verified is not true, and this product identifies the player by email"), "{log}");
}

#[test]
fn only_logins_of_the_types_in_the_settings_have_verified_emails() {
    let settings = [("messaging.email", "verified"), ("messaging.verified_types", "email, phone")];
    let server = App::with_all_products(&settings);
    let is_verified = |token: LoginToken| {
        let claims = claims(&server, Product::Messaging, &token);
        assert_eq!(claims["email"], EMAIL);
        claims.get("email_verified").map(|verified| verified == true)
    };
    for listed in ["email", "phone"] {
        let token = || LoginToken::valid().claim("type", listed);
        assert_eq!(is_verified(token()), Some(true), "{listed}");
        assert_eq!(is_verified(token().claim("email_verified", false)), None, "{listed}");
    }
    for other in [json!("social"), json!("xsolla_login"), json!("Email"), json!(""), json!(null), json!(["email"])] {
        assert_eq!(is_verified(LoginToken::valid().claim("type", other.clone())), None, "{other}");
    }
    assert_eq!(is_verified(LoginToken::valid().without("type")), None);

    // The code was sent to the address in the claim email.
    let of_another_claim = [&settings[..], &[("login.claims.email", "username")]].concat();
    let server = App::with_all_products(&of_another_claim);
    let token = LoginToken::valid().claim("type", "email").claim("username", "victim@example.com");
    let claims = claims(&server, Product::Messaging, &token);
    assert_eq!((&claims["email"], claims.get("email_verified")), (&json!("victim@example.com"), None));
}

#[test]
fn a_player_without_an_email_gets_one_of_the_products_fallback_domain() {
    let chat = App::with_all_products(&[("chat.fallback_email_domain", FALLBACK_DOMAIN)]);
    let help_center = App::with_all_products(&[("help_center.fallback_email_domain", FALLBACK_DOMAIN)]);
    let email = format!("{SUB}@{FALLBACK_DOMAIN}");
    for token in [LoginToken::valid().without("email"), with_email("")] {
        let claims = claims(&chat, Product::Chat, &token);
        assert_eq!((claims["email"].as_str(), claims["name"].as_str()), (Some(&*email), Some(&*email)));
    }
    assert_eq!(claims(&chat, Product::Chat, &LoginToken::valid())["email"], EMAIL);
    let unconfirmed = LoginToken::valid().without("email").claim("email_verified", false);
    assert_eq!(
        claims(&help_center, Product::HelpCenter, &unconfirmed)["email"],
        email,
        "of this service, so confirmed"
    );
    // A product's setting is for this product only.
    assert_eq!(ask(&help_center, Product::Chat, &LoginToken::valid().without("email")).refusal(), "422 00-03");
    for (sub, refusal) in
        [(json!(null), "422 00-02"), (json!("eve@evil.example"), "422 00-04"), (json!("žofie"), "422 00-04")]
    {
        let token = LoginToken::valid().without("email").claim("sub", sub);
        assert_eq!(ask(&chat, Product::Chat, &token).refusal(), refusal);
    }
}

/// Only for Chat does Zendesk forbid emails that are not ASCII; mailboxes may have such names (RFC 6531).
#[test]
fn an_email_may_have_normalized_characters_of_any_script_before_the_at() {
    let server = App::with_all_products(&[]);
    for email in ["žofie@example.com", "用户@example.com", "Дора.2@example.com", "a!#$%&'*+-/=?^_`{|}~z@a-1.example.co"]
    {
        assert_eq!(claims(&server, Product::HelpCenter, &with_email(email))["email"], email);
        assert_eq!(claims(&server, Product::Messaging, &with_email(email))["email"], email);
        let chat = ask(&server, Product::Chat, &with_email(email)).status;
        assert_eq!(chat, if email.is_ascii() { 200 } else { 422 }, "{email}");
    }
    for email in [
        "z\u{30c}ofie@example.com", // the same to a reader that composes it
        "\u{212a}ate@example.com",  // KELVIN SIGN
        "ｊane@example.com",
        "jane\u{2460}@example.com",
        "\u{fb01}ona@example.com",
        "jane\u{3000}doe@example.com",
        "jane\u{301}@example.com",
        "jane\u{115f}@example.com", // HANGUL CHOSEONG FILLER
        "jane\u{1160}@example.com",
        "🔥@example.com",
        "jane@пример.example",
        "jane@example.\u{440}\u{444}",
        "jane",
    ] {
        check_unusable(&server, &with_email(email));
    }
}

#[test]
fn an_email_of_the_fallback_domain_is_refused_or_left_out() {
    let server = App::with_all_products(&[("chat.fallback_email_domain", FALLBACK_DOMAIN)]);
    for email in [format!("{SUB}@players.example.com"), "eve@Players.EXAMPLE.com".to_owned()] {
        check_unusable(&server, &with_email(&email).claim("sub", "11111111-2222-3333-4444-555555555555"));
    }
    for email in ["eve@sub.players.example.com", "eve@example.com", "players.example.com@example.com"] {
        assert_eq!(ask(&server, Product::HelpCenter, &with_email(email)).status, 200, "{email}");
    }
    // Parsers read these differently: one of them could find the fallback domain. Messaging trims the last two.
    let disguised = "eve@players.example.com.|eve@players.example.com>|x<eve@players.example.com>|\
                     <eve@players.example.com>|mailto:eve@players.example.com|eve@players.example.com (x)|\
                     eve@players.example.com:25|eve@players.example.com,x.yz|eve@ｐｌａｙｅｒｓ.example.com|\
                     eve@players.example。com|eve@players\u{ad}.example.com|eve@play\u{200b}ers.example.com|\
                     eve@players.example.com\u{200f}|\u{202e}eve@players.example.com|eve＠players.example.com|\
                     \"eve@players.example.com\"|eve@[players.example.com]|eve@players..example.com|\
                     a@b.cd@players.example.com|eve@players.example.com\0| eve@players.example.com|\
                     eve@PLAYERS.example.com\t";
    for email in disguised.split('|') {
        check_unusable(&server, &with_email(email));
    }
    let log = server.log().join("\n");
    assert!(log.contains("claim email has the fallback email domain"), "{log}");
}
