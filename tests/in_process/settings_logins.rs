//! Settings of several logins, and of `OpenID` Connect providers.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use zendesk_token::config::login::Signature;
use zendesk_token::config::{Config, Source};

use crate::harness::{CHAT_SECRET, LOGIN_SECRET, MESSAGING_SECRET, OTHER_PRODUCTS, recommended, usual};
use crate::login_tokens::PROJECT;
use crate::logins::{EU_PROJECT, EU_SECRET, XSOLLA, three_logins};
use crate::provider::{AUDIENCE, oidc};
use crate::settings::{SettingsFile, errors, load, warnings, without};

const ISSUER: &str = "https://shop.eu.auth0.com/";

fn names(config: &Config) -> Vec<&str> {
    config.logins.iter().map(|login| login.name.as_str()).collect()
}

/// The first problem of the three logins with these changes.
fn problem(changes: &[(&str, &str)]) -> String {
    errors(None, &three_logins(ISSUER, changes))
}

/// A settings file with these lines after Chat's secret.
fn file(text: &str) -> SettingsFile {
    SettingsFile::new(format!("[chat]\nsecret = \"{CHAT_SECRET}\"\n{text}"))
}

#[test]
fn logins_stand_in_the_file_and_the_environment_in_any_case() {
    let file = file(&format!(
        "[login]\nproject_id = \"{PROJECT}\"\nissuer = \"{XSOLLA}\"\nmax_lifetime = \"24h\"\n\
         [logins.My-Shop]\nissuer = \"{XSOLLA}\"\nproject_id = \"{EU_PROJECT}\"\nsecret = \"{EU_SECRET}\"\n\
         [logins.AUTH0]\nprovider = \"oidc\"\nissuer = \"{ISSUER}\"\naudience = \"a\"\nclaims.external_id = \"app.id\"\n\
         [logins.auth0.claims]\nname = [\"nickname\"]\n"
    ));
    let environment = [
        ("login.secret", LOGIN_SECRET),
        ("logins.my-shop.leeway", "1s"),
        ("logins.my-shop.previous_secret", MESSAGING_SECRET),
        ("logins.auth0.audience", AUDIENCE),
        ("logins.auth0.claims.email", "https://shop.example.com/email"),
        ("logins.auth0.external_id_prefix", "auth0|"),
    ];
    let config = load(Some(&file), &environment).unwrap();
    assert_eq!(names(&config), ["default", "auth0", "my-shop"]);
    let Signature::Secret { previous: Some(_), .. } = &config.logins[2].signature else { panic!("no previous secret") };
    let effective = |key: &str| {
        let row = config.effective.iter().find(|row| row.key == key).unwrap_or_else(|| panic!("no {key}"));
        (row.value.as_str(), row.source.to_string())
    };
    let (path, prefix) = (file.path().display(), "ZENDESK_TOKEN_LOGINS__");
    for (key, value, source) in [
        ("logins.my-shop.secret", "set (64 bytes)", format!("{path}:10")),
        ("logins.my-shop.previous_secret", "set (64 bytes)", format!("{prefix}MY_SHOP__PREVIOUS_SECRET")),
        ("logins.auth0.audience", AUDIENCE, format!("{prefix}AUTH0__AUDIENCE")),
        ("logins.auth0.claims.external_id", "app.id", format!("{path}:15")),
        ("logins.auth0.claims.name", "nickname", format!("{path}:17")),
        ("logins.auth0.claims.email", "https://shop.example.com/email", format!("{prefix}AUTH0__CLAIMS__EMAIL")),
        ("logins.auth0.external_id_prefix", "auth0|", format!("{prefix}AUTH0__EXTERNAL_ID_PREFIX")),
    ] {
        assert_eq!(effective(key), (value, source), "{key}");
    }
    let [warning] = config.warnings.as_slice() else { panic!("{:?}", config.warnings) };
    let text = "logins.my-shop.leeway (ZENDESK_TOKEN_LOGINS__MY_SHOP__LEEWAY): is not a setting; set it in [login], for all logins";
    assert_eq!(warning.to_string(), text);
}

#[test]
fn without_settings_of_its_own_login_is_only_for_all() {
    let shared =
        [("login.cookie", "jar"), ("login.bearer", "true"), ("login.leeway", "5s"), ("login.max_lifetime", "1h")];
    for name in ["eu", "claims", "logins", "login", "a-1", "123", &"a".repeat(32)] {
        let (secret, claim) = (format!("logins.{name}.secret"), format!("logins.{name}.claims.external_id"));
        let set = [&shared[..], &[(&*secret, EU_SECRET), (&*claim, "app.id")]].concat();
        let config =
            load(None, &without("login.secret", usual(&set))).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((names(&config), config.login_cookie.as_str()), (vec![name], "jar"));
    }
    assert_eq!(names(&load(None, &usual(&shared)).unwrap()), ["default"]);
    let own = load(None, &three_logins(ISSUER, &[])).unwrap();
    assert_eq!(names(&own), ["default", "auth0", "eu"]);
    assert!(own.effective.iter().all(|row| !row.key.starts_with("logins.") || row.source != Source::Default));
}

#[test]
fn unknown_keys_and_names_are_errors_with_a_fix() {
    let names = "the name of a login has letters, digits and '-', at most 32, and is not default, which is [login]";
    let long = "a".repeat(33);
    for (key, fix) in [
        ("logins.eu.secrt", "did you mean logins.eu.secret?"),
        ("logins.eu.claims.external-id", "did you mean logins.eu.claims.external_id?"),
        ("logins.eu.cookie", "set it in [login], for all logins"),
        ("logins.eu.bearer", "set it in [login], for all logins"),
        ("logins.eu.leeway", "set it in [login], for all logins"),
        ("logins.eu.max_lifetime", "set it in [login], for all logins"),
        ("logins.my_shop.secret", names),
        ("logins.\"my.shop\".secret", names),
        ("logins.\"\".secret", names),
        ("logins.default.secret", names),
        ("logins.DEFAULT.secret", names),
        (&format!("logins.{long}.secret"), names),
        ("logins.secret", "did you mean login.secret?"),
    ] {
        let problem = errors(Some(&SettingsFile::new(format!("{key} = \"x\"\n"))), &recommended(&[]));
        assert!(problem.contains(&format!("is not a setting; {fix}")), "{key}: {problem}");
    }
    let twice = SettingsFile::new("logins.EU.issuer = \"a\"\nlogins.eu.issuer = \"b\"\n");
    let text = errors(Some(&twice), &recommended(&[]));
    assert!(
        text.contains("logins.eu.issuer") && text.contains("is set twice, since names of logins differ only in case"),
        "{text}"
    );
    let like = warnings(None, &recommended(&[("logins.eu.secrt", "x")]));
    assert!(like.contains("is not a setting; did you mean ZENDESK_TOKEN_LOGINS__EU__SECRET?"), "{like}");
}

#[test]
fn two_logins_that_one_token_could_select_are_an_error() {
    let eu = |more: &[(&'static str, &'static str)]| [&[("logins.eu.secret", EU_SECRET)], more].concat();
    let auth0 = |more: &[(&'static str, &'static str)]| {
        let set =
            [("logins.auth0.provider", "oidc"), ("logins.auth0.issuer", ISSUER), ("logins.auth0.audience", AUDIENCE)];
        [&set, more].concat()
    };
    let both = "set project_id, issuer or audience in both, to different values";
    for (changes, name, fix) in [
        (eu(&[]), "eu", both),
        (eu(&[("logins.eu.project_id", EU_PROJECT)]), "eu", both),
        (eu(&[("logins.eu.project_id", PROJECT), ("login.project_id", PROJECT)]), "eu", both),
        (eu(&[("logins.eu.issuer", XSOLLA), ("login.issuer", XSOLLA)]), "eu", both),
        (eu(&[("logins.eu.audience", "a"), ("login.issuer", XSOLLA), ("login.project_id", PROJECT)]), "eu", both),
        (auth0(&[("login.project_id", PROJECT)]), "auth0", "set login.issuer = \"https://login.xsolla.com\""),
        (auth0(&[("login.issuer", ISSUER)]), "auth0", both),
    ] {
        let text = errors(None, &usual(&changes));
        let expected = format!("a token could be for this login and for default; {fix}");
        assert!(
            text.starts_with(&format!("logins.{name}.issuer (")) && text.ends_with(&expected),
            "{changes:?}: {text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    let text = errors(None, &oidc(ISSUER, &eu(&[("logins.eu.project_id", EU_PROJECT)])));
    assert!(text.ends_with("for default; set logins.eu.issuer = \"https://login.xsolla.com\""), "{text}");
    let text = errors(None, &oidc(ISSUER, &auth0(&[])));
    assert!(text.ends_with(both), "{text}");
    let all = [eu(&[]), vec![("logins.b.secret", MESSAGING_SECRET)]].concat();
    assert_eq!(errors(None, &usual(&all)).matches("a token could be for this login").count(), 3, "each pair");

    for changes in [
        eu(&[("logins.eu.project_id", EU_PROJECT), ("login.project_id", PROJECT)]),
        eu(&[("logins.eu.audience", "a"), ("login.audience", "b")]),
        eu(&[("logins.eu.issuer", "a"), ("login.issuer", "b")]),
        auth0(&[("login.issuer", XSOLLA)]),
        auth0(&[("login.audience", "another")]),
    ] {
        assert!(load(None, &usual(&changes)).is_ok(), "{changes:?}");
    }
    let another_audience = auth0(&[("logins.auth0.audience", "another")]);
    assert!(load(None, &oidc(ISSUER, &another_audience)).is_ok());
}

#[test]
fn prefixes_that_do_not_separate_the_ids_of_two_providers_cause_a_warning() {
    let of = |own: &'static str, other: &'static str| {
        let set =
            [("logins.b.provider", "oidc"), ("logins.b.issuer", "https://b.example.com"), ("logins.b.audience", "b")];
        let prefixes = [("login.external_id_prefix", own), ("logins.b.external_id_prefix", other)];
        let prefixes = prefixes.into_iter().filter(|(_, prefix)| !prefix.is_empty()).collect::<Vec<_>>();
        warnings(None, &oidc(ISSUER, &[&set[..], &[("login.max_lifetime", "24h")], &prefixes].concat()))
    };
    let none = of("", "");
    assert!(none.starts_with("logins.b.external_id_prefix (ZENDESK_TOKEN_LOGINS__B__EXTERNAL_ID_PREFIX, not set): neither this login nor default has a prefix"), "{none}");
    assert_eq!(none.lines().count(), 1);
    for (own, other) in [("a", "a-b"), ("a-b", "a")] {
        assert!(
            of(own, other)
                .contains("this prefix or that of default begins with the other, so two players may get the same id"),
            "{own} {other}"
        );
    }
    for (own, other) in [("a-", ""), ("", "a-"), ("a-", "b-"), ("same-", "same-"), ("a|", "a:")] {
        assert_eq!(of(own, other), "", "{own} {other}");
    }
    assert_eq!(warnings(None, &three_logins(ISSUER, &[("login.max_lifetime", "24h")])), "", "Xsolla's ids are UUIDs");
    let own_ids = [("login.max_lifetime", "24h"), ("login.claims.external_id", "external_account_id")];
    let text = warnings(None, &three_logins(ISSUER, &own_ids));
    assert!(
        text.contains("neither this login nor default has a prefix"),
        "the shop's own ids may be the provider's: {text}"
    );
    for odd in ["a b", "ä", "a/", "a@", "a,b", &"a".repeat(65)] {
        assert!(problem(&[("logins.eu.external_id_prefix", odd)]).contains("needs letters, digits"), "{odd}");
    }
}

#[test]
fn the_id_in_a_social_network_is_refused_as_the_id_of_an_xsolla_login() {
    assert!(problem(&[("login.claims.external_id", "id")]).contains("is the player's id in a social network"));
    for (key, other) in [("logins.auth0.claims.external_id", "id"), ("login.claims.external_id", "app.id")] {
        assert!(load(None, &three_logins(ISSUER, &[(key, other)])).is_ok(), "{key} {other}");
    }
}

#[test]
fn a_path_of_claims_has_no_empty_name() {
    for odd in [".", "app.", ".id", "app..id"] {
        for key in ["login.claims.external_id", "logins.eu.claims.email"] {
            assert!(problem(&[(key, odd)]).contains("needs the name of a claim"), "{key} {odd}");
        }
    }
    for right in ["app.player_id", "https://shop.example.com/id", "custom:id"] {
        assert!(load(None, &three_logins(ISSUER, &[("logins.eu.claims.external_id", right)])).is_ok(), "{right}");
    }
}

#[test]
fn a_provider_needs_an_issuer_and_an_audience() {
    for (missing, text) in [
        ("issuer", "is needed for oidc: the iss of its tokens"),
        ("audience", "is needed for oidc: the aud of its tokens"),
    ] {
        for section in ["login", "logins.auth0"] {
            let (missing, all) = (format!("{section}.{missing}"), three_logins(ISSUER, &[]));
            let settings = if section == "login" { oidc(ISSUER, &[]) } else { all };
            let problem = errors(None, &without(&missing, settings));
            assert!(problem.starts_with(&format!("{missing} (ZENDESK_TOKEN_")) && problem.contains(text), "{problem}");
            assert_eq!(problem.lines().count(), 1, "{problem}");
        }
    }
    for issuer in [
        "http://shop.example.com",
        "http://10.0.0.1/",
        "shop.eu.auth0.com",
        "https://shop.example.com?a=b",
        "https://shop.example.com/#a",
        "https://a:b@shop.example.com",
        "https://shop.example.com//a",
        "https://shop.example.com/../a",
        "ftp://shop.example.com",
        "https://*.example.com",
        "https://",
        "https://Shop.example.com",
    ] {
        let text = errors(None, &oidc(issuer, &[]));
        assert!(
            text.starts_with("login.issuer (")
                && text.contains("is not an issuer of OpenID Connect: https, host and path"),
            "{issuer}: {text}"
        );
    }
    for issuer in [
        "https://securetoken.google.com/my-shop",
        "https://login.microsoftonline.com/7c9e6679-7425-40de-944b-e07fc1f90ae7/v2.0",
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC",
        "https://id.example.com:8443/realms/shop",
        "http://127.0.0.1:8080/realms/shop",
        "http://localhost:8080",
    ] {
        assert!(load(None, &oidc(issuer, &[])).is_ok(), "{issuer}");
    }
}

#[test]
fn settings_of_the_other_kind_of_login_are_an_error() {
    for (key, value) in [
        ("algorithm", "RS256"),
        ("secret", EU_SECRET),
        ("secret_file", "/a"),
        ("previous_secret", EU_SECRET),
        ("previous_secret_file", "/a"),
        ("project_id", PROJECT),
        ("api_url", XSOLLA),
        ("check_revocation", "true"),
        ("revocation_cache", "1s"),
    ] {
        let key = format!("logins.auth0.{key}");
        let text = problem(&[(&key, value)]);
        assert!(
            text.starts_with(&key) && text.contains("is not a setting of a login with provider oidc; drop it"),
            "{text}"
        );
    }
    for key in ["login.token_type", "logins.eu.token_type"] {
        let text = problem(&[(key, "id_token")]);
        assert!(
            text.starts_with(key) && text.contains("is not a setting of a login with provider xsolla; drop it"),
            "{text}"
        );
    }
    assert!(problem(&[("logins.auth0.token_type", "id")]).contains("needs one of id_token, access_token, any"));
    let wrong = problem(&[("logins.eu.provider", "auth0")]);
    assert!(wrong.contains("needs one of xsolla, oidc") && wrong.lines().count() == 1, "{wrong}");
    let stale = problem(&[("logins.auth0.keys_max_stale", "1m")]);
    assert!(stale.contains("is less than logins.auth0.keys_max_age"), "{stale}");
}

#[test]
fn secrets_of_every_login_are_checked_like_others() {
    let secret = SettingsFile::new(format!("{EU_SECRET}\n"));
    let path = secret.path().to_str().unwrap();
    let from_file = without("logins.eu.secret", three_logins(ISSUER, &[("logins.eu.secret_file", path)]));
    assert_eq!(names(&load(None, &from_file).unwrap()), ["default", "auth0", "eu"]);
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    assert!(warnings(None, &from_file).contains("logins.eu.secret_file (ZENDESK_TOKEN_LOGINS__EU__SECRET_FILE): "));
    let missing = errors(None, &without("logins.eu.secret", three_logins(ISSUER, &[])));
    let needed = "logins.eu.secret (ZENDESK_TOKEN_LOGINS__EU__SECRET, not set): is needed, unless logins.eu.algorithm is RS256; give it, or in logins.eu.secret_file";
    assert!(missing.starts_with(needed), "{missing}");
    for (changes, key, expected) in [
        (("logins.eu.secret", "short"), "logins.eu.secret", "has 5 bytes"),
        (("logins.eu.secret", LOGIN_SECRET), "logins.eu.secret", "is the same secret as login.secret"),
        (("logins.eu.previous_secret", CHAT_SECRET), "chat.secret", "is the same secret as logins.eu.previous_secret"),
        (("logins.eu.secret_file", path), "logins.eu.secret", "is set and so is logins.eu.secret_file"),
        (("logins.auth0.audience", EU_SECRET), "logins.auth0.audience", "has the value of logins.eu.secret"),
        (("logins.eu.project_id", EU_SECRET), "logins.eu.project_id", "has the value of logins.eu.secret"),
        (("messaging.key_id", EU_SECRET), "messaging.key_id", "has the value of logins.eu.secret"),
        (
            ("logins.auth0.external_id_prefix", CHAT_SECRET),
            "logins.auth0.external_id_prefix",
            "has the value of chat.secret",
        ),
    ] {
        let settings = three_logins(ISSUER, &[&OTHER_PRODUCTS[..], &[changes]].concat());
        let text = errors(None, &settings);
        assert!(text.lines().any(|line| line.starts_with(key) && line.contains(expected)), "{expected}: {text}");
        assert!(!text.contains(EU_SECRET) && !text.contains(LOGIN_SECRET) && !text.contains(CHAT_SECRET), "{text}");
    }
}
