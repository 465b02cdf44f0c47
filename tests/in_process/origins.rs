//! Origins: which pages get a token, and the CORS headers of every answer.

use zendesk_token::config::origin::{OriginPattern, is_safe_to_call};

use crate::app::App;
use crate::client::{Answer, Request};
use crate::harness::{ORIGIN, usual};
use crate::login_tokens::LoginToken;
use crate::settings::{load, problems};

fn ask(server: &App, origin: &str) -> Answer {
    server.get("/generate/token").cookie(LoginToken::valid().mint()).header("Origin", origin).send()
}

#[test]
fn an_allowed_origin_may_read_every_answer() {
    let settings =
        "https://shop.example.com,https://*.games.example,http://localhost:3000,capacitor://localhost,app://-";
    let server = App::with(&[("cors.origins", settings)]);
    let origins =
        "https://eu.games.example https://a-b_1.games.example http://localhost:3000 capacitor://localhost app://-";
    for origin in origins.split(' ').chain([ORIGIN]) {
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
    let foreign = "null file:// * https://localhost https://evil.example https://games.example https://agames.example \
                   capacitor:// capacitor://evil capacitor://localhost:80 capacitor://localhost/ CAPACITOR://localhost \
                   ionic://localhost moz-extension://0a6f2bd1-4a2c-4a5e-9a5c-3d1f0e2b7c11 \
                   https://shop.example.com.evil.example https://evilshop.example.com https://shop.example.com. \
                   https://shop.example.com:8443 https://shop.example.com/ http://shop.example.com \
                   HTTPS://SHOP.EXAMPLE.COM https://user@shop.example.com \
                   https://.games.example https://a.b.games.example https://a.games.example.evil.example \
                   https://-a.games.example https://a@b.games.example https://a:1.games.example \
                   https://a/.games.example https://*.games.example http://a.games.example https://A.games.example \
                   https://a.games.example:444";
    for origin in foreign.split(' ').chain(["", "https://shop.example.com https://shop.example.com"]) {
        let answer = ask(&server, origin);
        assert_eq!(answer.refusal(), "403 00-05", "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(answer.header("vary").as_deref(), Some("Origin"));
        let without_token = server.get("/generate/token").header("Origin", origin).send();
        assert_eq!(without_token.refusal(), "403 00-05", "{origin}");
    }
}

#[test]
fn no_origin_header_is_served_and_two_are_malformed() {
    let server = App::start();
    let request = || server.get("/generate/token").cookie(LoginToken::valid().mint());
    let (without, two) = (request().send(), request().header("Origin", ORIGIN).header("Origin", ORIGIN).send());
    assert_eq!((without.status, two.refusal().as_str()), (200, "400 00-10"));
    for answer in [without, two] {
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn a_request_for_an_image_a_script_or_a_frame_is_refused() {
    let server = App::with_all_products(&[]);
    let token = LoginToken::valid().mint();
    let ask = |path: &str, mode: &str, destination: &str, more: &[(&str, &str)]| {
        let request = server.get(path).cookie(&token).header("Sec-Fetch-Site", "cross-site");
        let request = request.header("Sec-Fetch-Mode", mode).header("Sec-Fetch-Dest", destination);
        more.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
    };
    for path in ["/generate/token", "/messaging/token", "/help-center/token"] {
        for (mode, destinations) in
            [("no-cors", "image script style empty"), ("navigate", "iframe frame object embed fencedframe")]
        {
            for destination in destinations.split(' ') {
                let answer = ask(path, mode, destination, &[]);
                assert_eq!(answer.refusal(), "403 00-05", "{path} {mode} {destination}");
                assert_eq!(answer.header("cross-origin-resource-policy").as_deref(), Some("same-origin"));
                assert_eq!(ask(path, mode, destination, &[("Origin", ORIGIN)]).refusal(), "403 00-05");
            }
        }
        for purpose in ["prefetch", "prefetch;prerender"] {
            let prefetched = ask(path, "navigate", "document", &[("Sec-Purpose", purpose)]);
            assert_eq!(prefetched.refusal(), "403 00-05", "{path} {purpose}");
        }
        for (mode, destination) in [("navigate", "document"), ("cors", "empty"), ("same-origin", "empty")] {
            let answer = ask(path, mode, destination, &[]);
            assert_eq!(answer.status, 200, "{path} {mode} {destination}");
            assert_eq!(answer.header("cross-origin-resource-policy").as_deref(), Some("same-origin"));
        }
    }
    // Pages embed the script.
    assert_eq!(ask("/jwt_fn.js", "no-cors", "script", &[]).status, 200);
    let log = server.log().join("\n");
    assert!(log.contains("requested for an image, a script or a frame of a page, or prefetched"), "{log}");
}

pub fn preflight(server: &App, path: &str, origin: &str) -> Request {
    server.request("OPTIONS", path).header("Origin", origin).header("Access-Control-Request-Method", "GET")
}

#[test]
fn a_preflight_is_answered_without_a_token() {
    let server = App::start();
    for path in ["/generate/token", "/jwt_fn.js", "/nowhere"] {
        let answer = preflight(&server, path, ORIGIN).send();
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        for (name, value) in [
            ("access-control-allow-origin", ORIGIN),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET,HEAD"),
            ("access-control-max-age", "600"),
            ("vary", "Origin"),
        ] {
            assert_eq!(answer.header(name).as_deref(), Some(value), "{path} {name}");
        }
    }
    // A browser does not send the request after this answer.
    let foreign = preflight(&server, "/generate/token", "https://evil.example").send();
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (200, None));
}

#[test]
fn a_preflight_allows_any_request_header_to_an_allowed_origin() {
    let requested = "authorization,baggage,sentry-trace,traceparent,tracestate,x-datadog-trace-id,x-datadog-parent-id,\
                     x-datadog-origin,x-datadog-sampling-priority,newrelic";
    for bearer in ["false", "true"] {
        let origins = "https://shop.example.com,capacitor://localhost";
        let server = App::with(&[("cors.origins", origins), ("login.bearer", bearer)]);
        let ask = |origin: &str| {
            let preflight = preflight(&server, "/generate/token", origin);
            preflight.header("Access-Control-Request-Headers", requested).send()
        };
        for origin in [ORIGIN, "capacitor://localhost"] {
            let answer = ask(origin);
            assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(origin));
            assert_eq!(answer.header("access-control-allow-headers").as_deref(), Some(requested));
        }
        assert_eq!(ask("https://evil.example").header("access-control-allow-origin"), None);
    }
}

#[test]
fn without_origins_in_the_settings_only_requests_without_an_origin_get_a_token() {
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
fn only_an_https_url_or_one_on_loopback_is_safe_to_call() {
    for (url, is_safe) in [
        ("https://login.example.com", true),
        ("http://127.0.0.1:8080", true),
        ("http://login.example.com", false),
        ("https://*.example.com", false),
        ("app://login.example.com", false),
        ("capacitor://localhost", false),
    ] {
        assert_eq!(is_safe_to_call(url), is_safe, "{url}");
    }
}

/// Each pattern is refused at start, with its place and the fix.
fn check_refused(patterns: &[(&str, &[&str])]) {
    for (fix, pattern) in patterns.iter().flat_map(|(fix, patterns)| patterns.iter().map(move |pattern| (fix, pattern)))
    {
        let error = OriginPattern::parse(pattern).expect_err(pattern).to_string();
        assert!(error.contains(fix), "{pattern}: {error}");
        let problem = problems(&[("cors.origins", &format!("{ORIGIN},{pattern}"))]);
        let is_complete =
            problem.contains("cors.origins (ZENDESK_TOKEN_CORS__ORIGINS): entry 2") && problem.contains(fix);
        assert!(is_complete, "{problem}");
    }
}

#[test]
fn patterns_that_no_browser_sends_are_refused_at_start_with_the_fix() {
    check_refused(&[
        ("every site", &["*"]),
        ("sandboxed", &["null"]),
        ("https://", &["shop.example.com", "https:/shop.example.com"]),
        ("never the origin of a page", &["ftp://shop.example.com", "wss://shop.example.com"]),
        ("scheme", &["localhost:3000"]),
        ("lower case", &["https://Shop.example.com"]),
        ("user name", &["https://user:pass@shop.example.com"]),
        ("slash", &["https://shop.example.com/", "https://shop.example.com/pay", "https://shop.example.com?x"]),
        ("default", &["https://shop.example.com:443", "http://shop.example.com:80"]),
        ("port", &["https://shop.example.com:", "https://shop.example.com:0", "https://shop.example.com:65536"]),
        ("port", &["https://shop.example.com:08443", "https://shop.example.com:+84"]),
        ("host", &["https://", "https://shop..example.com", "https://shop.example.com.", "https://-shop.example.com"]),
        ("host", &["https://shop example.com", "https://1.2.3", "https://1.2.3.256"]),
        ("host", &["https://[::1", "https://[0:0:0:0:0:0:0:1]"]),
        ("xn--", &["https://shöp.example.com"]),
        (
            "first label",
            &["https://*", "https://a.*.example.com", "https://*shop.example.com", "https://*.*.example.com"],
        ),
        ("top-level", &["https://*.com", "https://*.1.2.3.4"]),
        ("https", &["http://*.example.com"]),
    ]);
}

#[test]
fn origins_of_apps_that_no_web_view_sends_or_many_share_are_refused_with_the_reason() {
    check_refused(&[
        ("every local file", &["file://", "file:///android_asset", "content://com.example.app"]),
        ("'null'", &["about:blank", "data:text/html", "javascript:1"]),
        ("the page that made it", &["blob:https://shop.example.com", "filesystem:https://shop.example.com"]),
        ("on every machine", &["moz-extension://0a6f2bd1-4a2c-4a5e-9a5c-3d1f0e2b7c11"]),
        ("on every machine", &["safari-web-extension://0A6F2BD1", "safari-web-extension://0a6f2bd1"]),
        ("32 letters", &["chrome-extension://abcdefghijklmnopabcdefghijklmno"]),
        ("32 letters", &["chrome-extension://abcdefghijklmnopabcdefghijklmnoz"]),
        ("a-z", &["chrome-extension://<id>", "app://[::1]", "app://sh%6fp", "app://shöp", "app://a b"]),
        ("list each", &["*://localhost", "chrome-extension://*", "capacitor://*", "app://*.example.com"]),
        ("lower case", &["Capacitor://localhost", "capacitor://Localhost"]),
        ("scheme", &["capacitor:localhost", "capacitor:/localhost", "1app://localhost"]),
        (
            "scheme",
            &["my_app://localhost", "://localhost", "a-scheme-that-is-much-longer-than-any-there-is://localhost"],
        ),
        ("host", &["capacitor://", "capacitor://:80"]),
        ("slash", &["capacitor://localhost/"]),
        ("user name", &["capacitor://user@localhost"]),
        ("port", &["capacitor://localhost:0"]),
    ]);
}

#[test]
fn wildcards_over_public_suffixes_are_refused() {
    check_refused(&[
        ("public suffix", &["https://*.co.uk", "https://*.co.uk:8443", "https://*.github.io", "https://*.vercel.app"]),
        (
            "public suffix",
            &["https://*.xn--55qx5d.cn", "https://*.shop.ck", "https://*.a_b.ck", "https://*.kawasaki.jp"],
        ),
        ("top-level", &["https://*.localhost"]),
    ]);
}

#[test]
fn origins_as_browsers_write_them_are_accepted() {
    let patterns = "https://shop.example.com https://shop.example.com:8443 https://xn--shp-snd.example.com \
                    http://localhost http://localhost:3000 http://127.0.0.1:8001 http://[::1]:3000 https://intranet \
                    https://*.example.com https://*.shop.example.co.uk:8443 https://*.shop.co.uk \
                    https://*.acme.github.io https://*.shop.local https://*.eu_1.example.com \
                    https://acme.github.io https://github.io \
                    http://tauri.localhost capacitor://localhost capacitor://app.example.com capacitor-electron://- \
                    ionic://localhost ionic://localhost:8080 tauri://localhost app://- app://. app://local \
                    app://obsidian.md com.example.my-app+beta://my_app \
                    chrome-extension://abcdefghijklmnopabcdefghijklmnop";
    for text in patterns.split(' ') {
        let pattern = OriginPattern::parse(text).unwrap();
        assert!(!pattern.is_unencrypted(), "{text}");
        assert_eq!(pattern.allows(text.as_bytes()), !text.contains('*'), "{text}");
        assert_eq!(pattern.is_exact(), !text.contains('*'), "{text}");
    }
}

#[test]
fn a_wildcard_over_the_longest_domain_is_accepted() {
    let domain = format!("{}.example", ["a".repeat(60).as_str(); 4].join("."));
    assert_eq!(domain.len(), 251);
    OriginPattern::parse(&format!("https://*.{domain}")).unwrap();
}

#[test]
fn an_http_origin_that_is_not_on_loopback_gives_a_warning() {
    for (origin, has_warning) in [
        ("http://shop.example.com", true),
        ("http://10.0.0.1", true),
        ("http://localhost:3000", false),
        ("http://127.0.0.1:3000", false),
        ("http://[::1]:3000", false),
        ("http://shop.localhost", false),
    ] {
        let config = load(None, &usual(&[("cors.origins", origin)])).unwrap();
        let warnings = format!("{:?}", config.warnings);
        assert_eq!(warnings.contains("anyone on the network"), has_warning, "{origin}: {warnings}");
    }
}
