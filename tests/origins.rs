//! Which pages may ask, and what a browser is told.

use zendesk_token::config::origin::OriginPattern;

use crate::client::Answer;
use crate::harness::{ORIGIN, Server, output, usual};
use crate::login_tokens::LoginToken;

fn ask(server: &Server, origin: &str) -> Answer {
    server.get("/generate/token").cookie(LoginToken::valid().mint()).header("Origin", origin).send()
}

#[test]
fn an_allowed_origin_may_read_every_answer() {
    let server =
        Server::with(&[("cors.origins", "https://shop.example.com,https://*.games.example,http://localhost:3000")]);
    for origin in [ORIGIN, "https://eu.games.example", "https://a-b_1.games.example", "http://localhost:3000"] {
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
    let server = Server::with(&[("cors.origins", "https://shop.example.com,https://*.games.example")]);
    let foreign = [
        "null",
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
    let server = Server::start();
    let twice = server.get("/generate/token").header("Origin", ORIGIN).header("Origin", ORIGIN);
    let answer = twice.cookie(LoginToken::valid().mint()).send();
    assert_eq!(answer.refusal(), "400 00-10");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn a_request_without_origin_is_served() {
    let server = Server::start();
    let answer = server.get("/generate/token").cookie(LoginToken::valid().mint()).send();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn what_a_page_embeds_gets_no_token_and_what_a_person_opens_does() {
    let server = Server::with_all_products(&[]);
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
    let log = server.stop().log.join("\n");
    assert!(log.contains("fetched for an image, a script or a frame of a page, or in advance"), "{log}");
}

#[test]
fn a_preflight_is_answered_without_a_token() {
    let server = Server::start();
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
fn patterns_that_no_browser_would_meet_are_refused_at_start_with_the_mend() {
    let wrong = [
        ("*", "every site"),
        ("null", "sandboxed"),
        ("shop.example.com", "https://"),
        ("ftp://shop.example.com", "https://"),
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
    ];
    for (pattern, mend) in wrong {
        let error = OriginPattern::parse(pattern).expect_err(pattern).to_string();
        assert!(error.contains(mend), "{pattern}: {error}");
        let result = output(&["check"], &usual(&[("cors.origins", &format!("{ORIGIN},{pattern}"))]));
        let told = String::from_utf8(result.stderr).unwrap();
        assert_eq!(result.status.code(), Some(2), "{pattern}");
        assert!(told.contains("cors.origins (ZENDESK_TOKEN_CORS__ORIGINS): entry 2") && told.contains(mend), "{told}");
    }
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
    ];
    for origin in right {
        let pattern = OriginPattern::parse(origin).unwrap();
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
        let result = output(&["check"], &usual(&[("cors.origins", origin)]));
        let told = String::from_utf8(result.stdout).unwrap();
        assert_eq!(told.contains("anyone on the wire"), warned, "{origin}: {told}");
        assert!(result.status.success());
    }
}
