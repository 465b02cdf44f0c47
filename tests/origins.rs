//! Which pages may ask, and what the browser is answered.

use zendesk_token::config::origin::{OriginPattern, is_safe_to_call};

use crate::app::App;
use crate::client::Answer;
use crate::harness::{ORIGIN, usual};
use crate::login_tokens::LoginToken;
use crate::settings::{load, problems};

fn ask(server: &App, origin: &str) -> Answer {
    server.get("/generate/token").cookie(LoginToken::valid().mint()).header("Origin", origin).send()
}

#[test]
fn an_allowed_origin_may_read_every_answer() {
    let origins =
        "https://shop.example.com,https://*.games.example,http://localhost:3000,capacitor://localhost,app://-";
    let server = App::with(&[("cors.origins", origins)]);
    for origin in [
        ORIGIN,
        "https://eu.games.example",
        "https://a-b_1.games.example",
        "http://localhost:3000",
        "capacitor://localhost",
        "app://-",
    ] {
        let answers = [
            ask(&server, origin),
            server.get("/generate/token").header("Origin", origin).send(),
            server.get("/nowhere").header("Origin", origin).send(),
            server.request("DELETE", "/generate/token").header("Origin", origin).send(),
        ];
        assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 401, 404, 405]);
        for answer in answers {
            assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(origin));
            assert_eq!(answer.header("access-control-allow-credentials").as_deref(), Some("true"));
            assert!(answer.header("access-control-expose-headers").unwrap().contains("x-request-id"));
            assert_eq!(answer.header("vary").as_deref(), Some("Origin"));
        }
    }
}

#[test]
fn a_foreign_origin_is_refused_before_its_token_is_read() {
    let server =
        App::with(&[("cors.origins", "https://shop.example.com,https://*.games.example,capacitor://localhost")]);
    let foreign = [
        "null",
        "file://",
        "capacitor://",
        "capacitor://evil",
        "capacitor://localhost:80",
        "capacitor://localhost/",
        "CAPACITOR://localhost",
        "ionic://localhost",
        "https://localhost",
        "moz-extension://0a6f2bd1-4a2c-4a5e-9a5c-3d1f0e2b7c11",
        "",
        "https://evil.example",
        "https://shop.example.com.evil.example",
        "https://evilshop.example.com",
        "https://shop.example.com.",
        "https://shop.example.com:8443",
        "https://shop.example.com/",
        "http://shop.example.com",
        "HTTPS://SHOP.EXAMPLE.COM",
        "https://user@shop.example.com",
        "https://shop.example.com https://shop.example.com",
        "https://games.example",
        "https://.games.example",
        "https://a.b.games.example",
        "https://a.games.example.evil.example",
        "https://agames.example",
        "https://-a.games.example",
        "https://a@b.games.example",
        "https://a:1.games.example",
        "https://a/.games.example",
        "https://*.games.example",
        "http://a.games.example",
        "https://A.games.example",
        "https://a.games.example:444",
        "*",
    ];
    for origin in foreign {
        let answer = ask(&server, origin);
        assert_eq!(answer.refusal(), "403 00-05", "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(answer.header("vary").as_deref(), Some("Origin"));
        // The same without a token: the token was not what decided.
        assert_eq!(server.get("/generate/token").header("Origin", origin).send().refusal(), "403 00-05");
    }
}

#[test]
fn two_origin_headers_are_a_malformed_request() {
    let server = App::start();
    let twice = server.get("/generate/token").header("Origin", ORIGIN).header("Origin", ORIGIN);
    let answer = twice.cookie(LoginToken::valid().mint()).send();
    assert_eq!(answer.refusal(), "400 00-10");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn a_request_without_origin_is_served() {
    let server = App::start();
    let answer = server.get("/generate/token").cookie(LoginToken::valid().mint()).send();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn what_a_page_embeds_gets_no_token_and_what_a_person_opens_does() {
    let server = App::with_all_products(&[]);
    let token = LoginToken::valid().mint();
    let ask = |path: &str, headers: &[(&str, &str)]| {
        let request = server.get(path).cookie(&token);
        headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
    };
    let mode = |mode, dest| [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest)];
    for path in ["/generate/token", "/messaging/token", "/help-center/token"] {
        for (is, dest) in [
            ("no-cors", "image"),
            ("no-cors", "script"),
            ("no-cors", "style"),
            ("no-cors", "empty"),
            ("navigate", "iframe"),
            ("navigate", "frame"),
            ("navigate", "object"),
            ("navigate", "embed"),
            ("navigate", "fencedframe"),
        ] {
            let answer = ask(path, &mode(is, dest));
            assert_eq!(answer.refusal(), "403 00-05", "{path} {is} {dest}");
            assert_eq!(answer.header("cross-origin-resource-policy").as_deref(), Some("same-origin"));
            assert_eq!(ask(path, &[&mode(is, dest)[..], &[("Origin", ORIGIN)]].concat()).refusal(), "403 00-05");
        }
        for purpose in ["prefetch", "prefetch;prerender"] {
            let in_advance = [&mode("navigate", "document")[..], &[("Sec-Purpose", purpose)]].concat();
            assert_eq!(ask(path, &in_advance).refusal(), "403 00-05", "{path} {purpose}");
        }
        for (is, dest) in [("navigate", "document"), ("cors", "empty"), ("same-origin", "empty")] {
            let answer = ask(path, &mode(is, dest));
            assert_eq!(answer.status, 200, "{path} {is} {dest}");
            assert_eq!(answer.header("cross-origin-resource-policy").as_deref(), Some("same-origin"));
        }
        assert_eq!(ask(path, &[]).status, 200, "what is no browser says nothing of the kind");
    }
    // The script is there to be embedded.
    assert_eq!(ask("/jwt_fn.js", &mode("no-cors", "script")).status, 200);
    let log = server.log().join("\n");
    assert!(log.contains("requested for an image, a script or a frame of a page, or prefetched"), "{log}");
}

#[test]
fn a_preflight_is_answered_without_a_token() {
    let server = App::start();
    for path in ["/generate/token", "/jwt_fn.js", "/nowhere"] {
        let preflight = server.request("OPTIONS", path).header("Origin", ORIGIN);
        let answer = preflight.header("Access-Control-Request-Method", "GET").send();
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(ORIGIN));
        assert_eq!(answer.header("access-control-allow-credentials").as_deref(), Some("true"));
        assert_eq!(answer.header("access-control-allow-methods").as_deref(), Some("GET,HEAD"));
        assert_eq!(answer.header("access-control-max-age").as_deref(), Some("600"));
        assert_eq!(answer.header("vary").as_deref(), Some("Origin"));
    }
    let foreign = server.request("OPTIONS", "/generate/token").header("Origin", "https://evil.example");
    let foreign = foreign.header("Access-Control-Request-Method", "GET").send();
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (200, None), "a browser stops there");
}

#[test]
fn a_preflight_allows_the_headers_that_tracing_adds_to_an_allowed_origin() {
    let server = App::with(&[("cors.origins", "https://shop.example.com,capacitor://localhost")]);
    let asked = "authorization,baggage,sentry-trace,traceparent,tracestate,x-datadog-trace-id,x-datadog-parent-id,\
                 x-datadog-origin,x-datadog-sampling-priority,newrelic";
    let preflight = |origin: &str| {
        let preflight = server.request("OPTIONS", "/generate/token").header("Origin", origin);
        let preflight = preflight.header("Access-Control-Request-Method", "GET");
        preflight.header("Access-Control-Request-Headers", asked).send()
    };
    for origin in [ORIGIN, "capacitor://localhost"] {
        let answer = preflight(origin);
        assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(origin));
        assert_eq!(answer.header("access-control-allow-headers").as_deref(), Some(asked));
    }
    assert_eq!(preflight("https://evil.example").header("access-control-allow-origin"), None);
}

#[test]
fn without_origins_pages_of_the_own_host_and_apps_get_tokens_and_nobody_else() {
    let mut settings = usual(&[]);
    settings.retain(|(key, _)| *key != "cors.origins");
    let server = App::of(&settings);
    let same_origin = server.get("/generate/token").header("Sec-Fetch-Site", "same-origin");
    assert_eq!(same_origin.cookie(LoginToken::valid().mint()).send().status, 200);
    assert_eq!(ask(&server, ORIGIN).refusal(), "403 00-05");
    let log = server.log().join("\n");
    assert!(log.contains("origin is not in cors.origins") && log.contains(ORIGIN), "{log}");
}

#[test]
fn a_service_with_secrets_of_ours_is_never_called_by_the_scheme_of_an_app() {
    for url in ["https://login.example.com", "http://127.0.0.1:8080"] {
        assert!(is_safe_to_call(url), "{url}");
    }
    for url in ["app://login.example.com", "capacitor://localhost", "http://login.example.com", "https://*.example.com"]
    {
        assert!(!is_safe_to_call(url), "{url}");
    }
}

/// Each pattern is refused at start, with its place and a fix.
fn refused(patterns: &[(&str, &str)]) {
    for (pattern, fix) in patterns {
        let error = OriginPattern::parse(pattern).expect_err(pattern).to_string();
        assert!(error.contains(fix), "{pattern}: {error}");
        let told = problems(&[("cors.origins", &format!("{ORIGIN},{pattern}"))]);
        assert!(told.contains("cors.origins (ZENDESK_TOKEN_CORS__ORIGINS): entry 2") && told.contains(fix), "{told}");
    }
}

#[test]
fn patterns_that_no_browser_sends_are_refused_at_start_with_the_fix() {
    refused(&[
        ("*", "every site"),
        ("null", "sandboxed"),
        ("shop.example.com", "https://"),
        ("ftp://shop.example.com", "never the origin of a page"),
        ("wss://shop.example.com", "never the origin of a page"),
        ("localhost:3000", "scheme"),
        ("https:/shop.example.com", "https://"),
        ("https://", "host"),
        ("https://Shop.example.com", "lower case"),
        ("https://user:pass@shop.example.com", "user name"),
        ("https://shop.example.com/", "slash"),
        ("https://shop.example.com/pay", "slash"),
        ("https://shop.example.com?x", "slash"),
        ("https://shop.example.com:443", "drop it"),
        ("http://shop.example.com:80", "drop it"),
        ("https://shop.example.com:", "port"),
        ("https://shop.example.com:0", "port"),
        ("https://shop.example.com:65536", "port"),
        ("https://shop.example.com:08443", "port"),
        ("https://shop.example.com:+84", "port"),
        ("https://shop..example.com", "host"),
        ("https://shop.example.com.", "host"),
        ("https://-shop.example.com", "host"),
        ("https://shöp.example.com", "xn--"),
        ("https://shop example.com", "host"),
        ("https://1.2.3", "host"),
        ("https://1.2.3.256", "host"),
        ("https://[::1", "host"),
        ("https://[0:0:0:0:0:0:0:1]", "host"),
        ("https://*", "first label"),
        ("https://a.*.example.com", "first label"),
        ("https://*shop.example.com", "first label"),
        ("https://*.*.example.com", "first label"),
        ("https://*.com", "top-level"),
        ("https://*.1.2.3.4", "top-level"),
        ("http://*.example.com", "https"),
    ]);
}

#[test]
fn origins_of_apps_that_no_web_view_sends_or_many_share_are_refused_with_the_reason() {
    refused(&[
        ("file://", "every local file"),
        ("file:///android_asset", "every local file"),
        ("content://com.example.app", "every local file"),
        ("about:blank", "'null'"),
        ("data:text/html", "'null'"),
        ("javascript:1", "'null'"),
        ("blob:https://shop.example.com", "the page that made it"),
        ("filesystem:https://shop.example.com", "the page that made it"),
        ("moz-extension://0a6f2bd1-4a2c-4a5e-9a5c-3d1f0e2b7c11", "on every machine"),
        ("safari-web-extension://0A6F2BD1", "on every machine"),
        ("safari-web-extension://0a6f2bd1", "on every machine"),
        ("chrome-extension://abcdefghijklmnopabcdefghijklmno", "32 letters"),
        ("chrome-extension://abcdefghijklmnopabcdefghijklmnoz", "32 letters"),
        ("chrome-extension://<id>", "a-z"),
        ("chrome-extension://*", "list each"),
        ("capacitor://*", "list each"),
        ("app://*.example.com", "list each"),
        ("*://localhost", "scheme"),
        ("Capacitor://localhost", "lower case"),
        ("capacitor://Localhost", "lower case"),
        ("capacitor:localhost", "scheme"),
        ("capacitor:/localhost", "scheme"),
        ("capacitor://", "host"),
        ("capacitor://:80", "host"),
        ("capacitor://localhost/", "slash"),
        ("capacitor://user@localhost", "user name"),
        ("capacitor://localhost:0", "port"),
        ("app://[::1]", "a-z"),
        ("app://sh%6fp", "a-z"),
        ("app://shöp", "a-z"),
        ("app://a b", "a-z"),
        ("1app://localhost", "scheme"),
        ("my_app://localhost", "scheme"),
        ("://localhost", "scheme"),
        ("a-scheme-that-is-much-longer-than-any-there-is://localhost", "scheme"),
    ]);
}

#[test]
fn wildcards_over_public_suffixes_are_refused() {
    refused(&[
        ("https://*.co.uk", "public suffix"),
        ("https://*.co.uk:8443", "public suffix"),
        ("https://*.github.io", "public suffix"),
        ("https://*.vercel.app", "public suffix"),
        ("https://*.xn--55qx5d.cn", "public suffix"),
        ("https://*.shop.ck", "public suffix"),
        ("https://*.kawasaki.jp", "public suffix"),
        ("https://*.localhost", "top-level"),
    ]);
}

#[test]
fn origins_as_browsers_write_them_are_taken() {
    let right = [
        "https://shop.example.com",
        "https://shop.example.com:8443",
        "https://xn--shp-snd.example.com",
        "http://localhost",
        "http://localhost:3000",
        "http://127.0.0.1:8001",
        "http://[::1]:3000",
        "https://intranet",
        "https://*.example.com",
        "https://*.shop.example.co.uk:8443",
        "https://*.shop.co.uk",
        "https://*.acme.github.io",
        "https://*.shop.local",
        "https://acme.github.io",
        "https://github.io",
        "http://tauri.localhost",
        "capacitor://localhost",
        "capacitor://app.example.com",
        "capacitor-electron://-",
        "ionic://localhost",
        "ionic://localhost:8080",
        "tauri://localhost",
        "app://-",
        "app://.",
        "app://local",
        "app://obsidian.md",
        "com.example.my-app+beta://my_app",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    ];
    for origin in right {
        let pattern = OriginPattern::parse(origin).unwrap();
        assert!(!pattern.is_unencrypted());
        assert_eq!(pattern.allows(origin.as_bytes()), !origin.contains('*'), "{origin}");
        assert_eq!(pattern.is_exact(), !origin.contains('*'));
    }
}

#[test]
fn a_plain_http_origin_elsewhere_is_warned_of() {
    for (origin, warned) in [
        ("http://shop.example.com", true),
        ("http://10.0.0.1", true),
        ("http://localhost:3000", false),
        ("http://127.0.0.1:3000", false),
        ("http://[::1]:3000", false),
        ("http://shop.localhost", false),
    ] {
        let config = load(None, &usual(&[("cors.origins", origin)])).unwrap();
        let warnings = format!("{:?}", config.warnings);
        assert_eq!(warnings.contains("anyone on the network"), warned, "{origin}: {warnings}");
    }
}
