//! Which products are served, and the problems with their settings.

use std::time::Duration;

use zendesk_token::config::Config;
use zendesk_token::config::products::{PRODUCTS, Product};
use zendesk_token::http::token::path;

use crate::harness::{
    CHAT_SECRET, KEY_ID, LOGIN_SECRET, MESSAGING_SECRET, OTHER_PRODUCTS, RECOMMENDED, Server, command, output,
    recommended, usual,
};
use crate::login_tokens::LoginToken;
use crate::settings::{errors, load, problems, product_problems, warnings, without};
use crate::user_tokens;

const SHARED: &str = "c0ffee5e7c1b4d0e8a436f1f4f0e9a770d5f2d5e7c1b4d0e8a436f1f4f0e9a77";

/// The usual settings without Chat, and with some more.
fn without_chat<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&without("chat.secret", usual(&[])), more].concat()
}

fn products(config: &Config) -> Vec<Product> {
    config.products.iter().map(|section| section.product).collect()
}

#[test]
fn a_product_is_served_when_it_has_a_secret() {
    for (settings, served) in [
        (vec![("chat.secret", CHAT_SECRET)], vec![Product::Chat]),
        (OTHER_PRODUCTS[..2].to_vec(), vec![Product::Messaging]),
        (OTHER_PRODUCTS[2..3].to_vec(), vec![Product::HelpCenter]),
        (OTHER_PRODUCTS[3..].to_vec(), vec![Product::SupportSdk]),
        ([&OTHER_PRODUCTS[..], &[("chat.secret", CHAT_SECRET)]].concat(), PRODUCTS.to_vec()),
    ] {
        let settings = without_chat(&settings);
        assert_eq!(products(&load(None, &settings).unwrap()), served);
        let server = Server::run(command(&["serve"], &settings));
        let report = String::from_utf8(output(&["check"], &settings).stdout).unwrap();
        for product in PRODUCTS {
            let path = path(product);
            let method = if product.is_for_pages() { "GET" } else { "POST" };
            let answer = server.request(method, path).send();
            let expected = if served.contains(&product) { "401 00-00" } else { "404 00-08" };
            assert_eq!(answer.refusal(), expected, "{path}");
            assert_eq!(report.contains(path), served.contains(&product), "{path}\n{report}");
            let is_shown = report.contains("identify a player by the email alone");
            assert_eq!(is_shown, served.contains(&Product::HelpCenter) || served.contains(&Product::SupportSdk));
            let is_shown = report.contains("Chat shows agents the email as the player's name, with a check mark");
            assert_eq!(is_shown, served.contains(&Product::Chat), "{report}");
            // The methods of a product that is not served are not disclosed.
            let other = server.request("DELETE", path).cookie(LoginToken::valid().mint()).send();
            assert_eq!(other.status, if served.contains(&product) { 405 } else { 404 });
        }
        let log = server.stop().log.join("\n");
        assert_eq!(log.contains("no secret is set for this product"), served.len() < 4, "the log says why");
    }
}

#[test]
fn check_says_that_chat_shows_the_email_only_where_it_does() {
    for (name_from, is_shown) in [("email", true), ("email,name", true), ("name,username,email", false)] {
        let report = String::from_utf8(output(&["check"], &usual(&[("chat.name_from", name_from)])).stdout).unwrap();
        let advice = r#"To show the name instead: chat.name_from = ["name", "username", "email"]"#;
        assert_eq!(report.contains(advice), is_shown, "{name_from}: {report}");
    }
}

#[test]
fn check_says_what_outlives_a_login() {
    let report = |more: &[(&str, &str)]| {
        String::from_utf8(output(&["check"], &usual(&[&OTHER_PRODUCTS[..], more].concat())).stdout).unwrap()
    };
    let messaging = "messaging.outlives_login is on: a Messaging token lives for 6h, even if the login ends before";
    let user_tokens =
        "user token that lives for 90 days, and stays the same until half of its life is over.\nIt outlives sign-out";
    let path = "/support-sdk/user-token user tokens for apps with the Support SDK";
    let usual = report(&[]);
    for text in ["outlives_login is on", "It outlives sign-out", path] {
        assert!(!usual.contains(text), "{usual}");
    }
    let long = report(&[("messaging.lifetime", "6h"), ("messaging.outlives_login", "true")]);
    assert!(
        long.contains(messaging) && long.contains("After a sign-out, a revocation or the end of the login"),
        "{long}"
    );
    let on = report(&[user_tokens::ON]);
    assert!(on.contains(user_tokens) && on.contains(path), "{on}");
    assert!(on.contains("A new support_sdk.secret ends them too"), "{on}");
}

#[test]
fn one_product_is_needed() {
    let text = errors(None, &without_chat(&[]));
    let needed =
        "chat.secret (ZENDESK_TOKEN_CHAT__SECRET, not set): is needed, or that of another product: messaging.secret, ";
    assert!(text.starts_with(needed) && text.lines().count() == 1, "{text}");
}

#[test]
fn a_product_with_any_setting_needs_its_secret() {
    for (key, value, needed) in [
        ("messaging.key_id", KEY_ID, "messaging.secret"),
        ("messaging.email", "omit", "messaging.secret"),
        ("help_center.name_from", "name", "help_center.secret"),
        ("support_sdk.fallback_email_domain", "players.example.com", "support_sdk.secret"),
    ] {
        let text = problems(&[(key, value)]);
        let variable = crate::harness::variable(key);
        assert!(text.contains(&format!("{needed} (ZENDESK_TOKEN_")), "{text}");
        assert!(text.contains(&format!("is needed, since {key} ({variable}) is set")), "{text}");
    }
    let text = problems(&[("messaging.secret", MESSAGING_SECRET)]);
    assert!(text.starts_with("messaging.key_id (") && text.contains("since messaging.secret ("), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn one_secret_in_two_products_is_refused() {
    let keys = PRODUCTS.map(Product::secret_key);
    for (first, key) in keys.iter().enumerate() {
        for other in &keys[first + 1..] {
            let text = product_problems(&[(*key, SHARED), (*other, SHARED)]);
            assert!(text.starts_with(&format!("{other} (")) && text.lines().count() == 1, "{text}");
            assert!(text.contains(&format!("is the same secret as {key}; each has its own")), "{text}");
        }
        let text = product_problems(&[(*key, LOGIN_SECRET)]);
        assert!(text.starts_with(&format!("{key} (")) && text.contains("is the same secret as login.secret"), "{text}");
    }
}

#[test]
fn products_have_their_default_settings() {
    let config = load(None, &recommended(&OTHER_PRODUCTS)).unwrap();
    let [_, messaging, help_center, support_sdk] = config.products.as_slice() else { panic!("{config:?}") };
    assert_eq!((messaging.lifetime, messaging.key_id.as_deref()), (Some(Duration::from_mins(15)), Some(KEY_ID)));
    assert_eq!(messaging.email.as_deref(), Some("unverified"));
    for section in [messaging, help_center, support_sdk] {
        assert_eq!(section.name_from, ["name", "username", "email"]);
    }
    for section in [help_center, support_sdk] {
        assert_eq!((&section.email, &section.fallback_email_domain), (&None, &None));
    }
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn confirming_emails_causes_a_warning_unless_the_type_of_login_proves_them() {
    let verified = |types: &[(&'static str, &'static str)]| {
        recommended(&[&OTHER_PRODUCTS[..], &[("messaging.email", "verified")], types].concat())
    };
    let every = warnings(None, &verified(&[]));
    assert!(every.contains("confirms the email of every Xsolla login") && every.lines().count() == 1, "{every}");
    assert!(every.contains(r#"messaging.verified_types = ["email"]"#), "{every}");
    let some = warnings(None, &verified(&[("messaging.verified_types", "social,email,emial")]));
    assert!(some.starts_with("messaging.verified_types (") && some.lines().count() == 1, "{some}");
    assert!(
        some.contains("confirms the email of Xsolla logins of type social, emial, which does not prove it"),
        "{some}"
    );
    let proven = load(None, &verified(&[("messaging.verified_types", "email")])).unwrap();
    assert!(proven.warnings.is_empty(), "{:?}", proven.warnings);
    assert_eq!(proven.products[1].email.as_deref(), Some("verified"));
    assert_eq!(proven.products[1].verified_types, Some(vec!["email".to_owned()]));
    let of_another_claim = [("messaging.verified_types", "email"), ("login.claims.email", "contact")];
    let unused = warnings(None, &verified(&of_another_claim));
    assert!(unused.starts_with("login.claims.email (") && unused.lines().count() == 1, "{unused}");
    for email in ["unverified", "omit"] {
        let text = product_problems(&[("messaging.email", email), ("messaging.verified_types", "email")]);
        assert!(text.starts_with("messaging.verified_types (ZENDESK_TOKEN_"), "{text}");
        assert!(text.contains("needs messaging.email = \"verified\"") && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn origins_are_needed_for_no_product() {
    for secret in [("chat.secret", CHAT_SECRET), OTHER_PRODUCTS[0], OTHER_PRODUCTS[2], OTHER_PRODUCTS[3]] {
        let mut settings = without("cors.origins", without_chat(&[secret, RECOMMENDED[0], RECOMMENDED[1]]));
        if secret.0 == "messaging.secret" {
            settings.push(("messaging.key_id", KEY_ID));
        }
        let config = load(None, &settings).unwrap();
        assert!(config.origins.is_empty() && config.warnings.is_empty(), "{:?}", config.warnings);
    }
}
