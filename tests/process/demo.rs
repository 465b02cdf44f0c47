//! The demo. `tests/outside/demo.py` tests its page in a browser.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use serde_json::Value;

use crate::client::{Answer, Request, send};
use crate::commands::run;
use crate::harness::{LOGIN_SECRET, Server, command};
use crate::login_tokens::{LoginToken, SUB, open};
use crate::published_keys::until;
use crate::reload::Folder;

/// The demo on a free port, and its output before its log.
pub fn demo() -> (Server, String) {
    demo_with(&[])
}

fn demo_with(arguments: &[&str]) -> (Server, String) {
    let mut server = Server::run(command(&[&["demo", "--listen", "127.0.0.1:0"], arguments].concat(), &[]));
    let greeting = server.take_seen().join("\n");
    (server, greeting)
}

fn demo_and_shop() -> (Server, Shop) {
    let (server, greeting) = demo();
    let shop = shop(&greeting);
    (server, shop)
}

fn login_token(greeting: &str) -> &str {
    between(greeting, "--cookie 'token=", "'")
}

fn chat_secret(greeting: &str) -> &str {
    between(greeting, "sys.stdin.read(), \"", "\"")
}

/// The login token that a response sets as cookie.
fn cookie(answer: &Answer) -> String {
    between(&answer.header("set-cookie").unwrap(), "token=", ";").to_owned()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}

#[test]
fn the_printed_curl_line_gives_a_token_that_the_printed_secret_verifies() {
    let (server, greeting) = demo();
    let address = server.public.to_string();
    assert!(greeting.contains("curl --silent --cookie 'token=eyJ"), "{greeting}");
    assert!(greeting.contains(&format!("http://{address}/generate/token")), "{greeting}");
    let request = || server.get("/generate/token").cookie(login_token(&greeting));
    let (_, claims) = open(&request().send().token(), chat_secret(&greeting));
    assert_eq!((&claims["external_id"], &claims["email"]), (&SUB.into(), &"jane@example.com".into()));
    assert_eq!(request().header("Origin", format!("http://{address}")).send().status, 200);
    let stopped = server.stop();
    assert_eq!(stopped.status.code(), Some(0));
    assert!(!greeting.contains("WARN") && !stopped.log.join("\n").contains("WARN"), "its settings cause no warnings");
}

#[test]
fn each_start_has_new_secrets() {
    let (first, second) = (demo(), demo());
    assert_eq!(second.0.get("/generate/token").cookie(login_token(&first.1)).send().refusal(), "401 00-01");
    assert_ne!(chat_secret(&first.1), chat_secret(&second.1));
}

#[test]
fn it_reads_no_settings_and_finds_a_free_port() {
    let taken = TcpListener::bind("127.0.0.1:8001");
    let server = Server::run(command(&["demo"], &[("listen", "nonsense"), ("login.secret", "short")]));
    assert!(server.public.ip().is_loopback() && server.admin.ip().is_loopback());
    assert_ne!(server.public.port(), 8001);
    assert_eq!(server.get("/generate/token").send().refusal(), "401 00-00");
    drop(taken);
}

#[test]
fn it_listens_only_on_loopback() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        assert_refused(&["--listen", address], "must be a loopback address");
    }
}

/// The demo must not start with these arguments.
fn assert_refused(arguments: &[&str], message: &str) {
    let refused = run(&[&["demo"], arguments].concat(), &[]);
    assert!(refused.status != Some(0) && refused.err.contains(message), "{message}: {}", refused.err);
}

/// The shop's page.
pub struct Shop {
    address: SocketAddr,
    /// The path, `/` at its end.
    home: String,
}

/// The shop at the URL in the greeting.
pub fn shop(greeting: &str) -> Shop {
    let (address, key) = between(greeting, "  http://", "/\n").split_once('/').unwrap();
    Shop { address: address.replace("localhost", "127.0.0.1").parse().unwrap(), home: format!("/{key}/") }
}

/// Posts a form as the shop's page does.
pub fn post(shop: &Shop, path: &str, form: &str) -> Answer {
    let request = Request::new(shop.address, "POST", &format!("{}{path}", shop.home));
    let request = request.header("Origin", format!("http://{}", shop.address));
    request.header("Content-Type", "application/x-www-form-urlencoded").body(form).send()
}

fn get(shop: &Shop, path: &str) -> Answer {
    Request::new(shop.address, "GET", &format!("{}{path}", shop.home)).send()
}

/// The Chat secret that the page shows.
fn chat_secret_of(shop: &Shop) -> String {
    get(shop, "data").json()["products"][0]["secret"].as_str().unwrap().to_owned()
}

#[test]
fn the_shop_is_only_below_a_random_path() {
    let (server, shop) = demo_and_shop();
    let is_random =
        |home: &str| home.len() == 34 && home.trim_matches('/').bytes().all(|byte| byte.is_ascii_hexdigit());
    let (_other_server, other) = demo_and_shop();
    assert!(is_random(&shop.home) && is_random(&other.home) && shop.home != other.home, "{}", shop.home);
    let login_token = LoginToken::valid().mint();
    assert_eq!(post(&shop, "sign-in", &format!("login_token={login_token}")).status, 303);
    server.get("/generate/token").cookie(&login_token).send();
    assert!(get(&shop, "data").body.contains(&login_token) && get(&shop, "exchanges/chat").body.contains(&login_token));

    // The foreign origin is the shop's second listener, with the same page.
    let foreign = get(&shop, "data").json()["foreign_origin"].as_str().unwrap().replace("http://", "");
    let listeners = [shop.address, foreign.parse().unwrap(), server.public, server.admin];
    let key = shop.home.trim_matches('/');
    let homes =
        ["/", &other.home, &shop.home[..33], &format!("/{}/", &key[..31]), &format!("//{key}/"), &format!("/{key}x/")]
            .map(str::to_owned);
    for address in listeners {
        for path in ["", "data", "exchanges/chat?after=0", "sign-in", "sign-out", "zendesk", "service/down"] {
            for home in &homes {
                for method in ["GET", "POST", "HEAD"] {
                    let request = Request::new(address, method, &format!("{home}{path}"));
                    let answer = request.header("Origin", format!("http://{}", shop.address)).send();
                    // The service limits requests of a page.
                    let is_limited = address == server.public && answer.status == 429;
                    let is_empty = (answer.status == 404 || is_limited) && !answer.body.contains(&login_token);
                    assert!(is_empty, "{method} {address} {home}{path}: {answer:?}");
                }
            }
        }
    }
    // The path is in no link and not in the log.
    for path in ["", "data"] {
        let answer = get(&shop, path);
        assert_eq!(answer.header("referrer-policy").as_deref(), Some("strict-origin"), "{path}");
        assert!(!answer.body.contains(key), "{path}");
    }
    assert!(!server.stop().log.join("\n").contains(key));
}

#[test]
fn the_page_is_one_small_document_with_a_strict_policy() {
    let (_server, shop) = demo_and_shop();
    let page = get(&shop, "");
    let policy = page.header("content-security-policy").unwrap();
    let service = get(&shop, "data").json()["service"].as_str().unwrap().to_owned();
    assert!(policy.contains(&format!(" {service}/jwt_fn.js; style-src ")), "{policy}");
    assert_eq!((page.status, page.header("content-type").as_deref()), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.len() < 60 * 1024, "{} bytes", page.body.len());
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let external = ["src=\"http", "href=\"http", "@import", ": url(", "import("];
    assert!(!external.iter().any(|text| page.body.contains(text)));
}

#[test]
fn the_shop_answers_only_its_own_page() {
    let (_server, shop) = demo_and_shop();
    let (port, home) = (shop.address.port(), &shop.home);
    for host in [format!("evil.example:{port}"), format!("localhost:{port}"), "127.0.0.1".to_owned(), String::new()] {
        for path in ["", "data", "exchanges/chat"] {
            let request = format!("GET {home}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let answer = send(shop.address, request.as_bytes());
            assert_eq!((answer.status, answer.body.contains("secret")), (403, false), "{host} {path}");
        }
    }
    for path in ["sign-in", "sign-out", "zendesk", "service/down"] {
        let bare = || {
            Request::new(shop.address, "POST", &format!("{home}{path}"))
                .header("Content-Type", "application/x-www-form-urlencoded")
        };
        assert_eq!(bare().body("name=x").send().status, 403, "{path}");
        for origin in ["https://evil.example", "null", "http://127.0.0.1"] {
            assert_eq!(bare().header("Origin", origin).body("name=x").send().status, 403, "{path} {origin}");
        }
    }
    assert_eq!(get(&shop, "data").header("access-control-allow-origin"), None);
}

#[test]
fn a_player_signs_in_and_the_shop_shows_every_step_of_the_request() {
    let (server, shop) = demo_and_shop();
    let signed_in = post(&shop, "sign-in", "name=Kay&email=kay%40example.com&next=run%2Fexpired%2Fchat");
    assert_eq!(signed_in.header("location"), Some(format!("http://{}{}#run/expired/chat", shop.address, shop.home)));
    let header = signed_in.header("set-cookie").unwrap();
    assert!(header.starts_with("token=eyJ"), "{header}");
    assert!(header.contains("; Path=/; Max-Age=900; HttpOnly; SameSite=Lax"), "{header}");
    let login_token = cookie(&signed_in);
    let request = server.get("/generate/token").cookie(&login_token);
    let response = request.header("Origin", format!("http://{}", shop.address)).send();
    assert_eq!(open(&response.token(), &chat_secret_of(&shop)).1["email"], "kay@example.com");
    let exchanges: Value = get(&shop, "exchanges/chat").json();
    let [exchange] = &exchanges.as_array().unwrap()[..] else { panic!("{exchanges}") };
    let request = exchange["request"].as_str().unwrap();
    assert!(request.starts_with("GET /generate/token HTTP/1.1\r\nHost: "), "{request}");
    assert!(request.contains(&format!("Cookie: token={login_token}\r\n")), "{request}");
    assert!(exchange["answer"].as_str().unwrap().ends_with(&response.body));
    let steps = exchange["steps"].as_array().unwrap();
    let names: Vec<_> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["origin", "cookie", "verify", "identity", "sign"]);
    assert!(steps.iter().all(|step| step["refusal"].is_null() && step["microseconds"].as_f64().unwrap() >= 0.0));
    assert_eq!(get(&shop, "exchanges/chat?after=1").json(), Value::Array(Vec::new()));

    let expired = post(&shop, "sign-in", "name=Kay&email=&kind=expired&next=javascript:alert(1)");
    assert_eq!(expired.header("location"), Some(format!("http://{}{}#", shop.address, shop.home)));
    assert_eq!(server.get("/generate/token").cookie(cookie(&expired)).send().refusal(), "401 00-01");
    let exchanges: Value = get(&shop, "exchanges/chat?after=1").json();
    let last = exchanges[0]["steps"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["name"], &last["refusal"]), (&"verify".into(), &"00-01".into()));
}

#[test]
fn a_player_of_the_second_login_gets_an_external_id_with_its_prefix() {
    let (server, shop) = demo_and_shop();
    let (_other_server, other) = demo_and_shop();
    let keys = |shop: &Shop| Request::new(shop.address, "GET", "/studio/keys").send().json()["keys"][0].clone();
    assert_eq!((&keys(&shop)["kty"], keys(&shop).get("d")), (&"EC".into(), None));
    assert_ne!(keys(&shop)["x"], keys(&other)["x"], "each start has a new key");

    let player = "login=studio&name=Kay&email=kay%40example.com";
    let token = cookie(&post(&shop, "sign-in", player));
    let claims = open(&server.get("/generate/token").cookie(&token).send().token(), &chat_secret_of(&shop)).1;
    let id = claims["external_id"].as_str().unwrap();
    let number = id.strip_prefix("studio-").unwrap();
    assert!(number.parse::<u64>().is_ok() && claims["email"] == "kay@example.com", "{claims}");
    let exchanges: Value = get(&shop, "exchanges/chat").json();
    let steps = exchanges[0]["steps"].as_array().unwrap();
    let text = |index: usize| steps[index]["text"].as_str().unwrap();
    assert_eq!(text(2), "for the login studio: verified with its published key, and not expired");
    assert_eq!(text(3), format!("kay@example.com, external id {id}"));

    let unconfirmed = cookie(&post(&shop, "sign-in", &format!("{player}&kind=unconfirmed-email")));
    assert_eq!(server.get("/help-center/token").cookie(&unconfirmed).send().refusal(), "422 00-04");
    let foreign = cookie(&post(&other, "sign-in", player));
    assert_eq!(server.get("/generate/token").cookie(&foreign).send().refusal(), "401 00-01");
    assert!(server.stop().log.join("\n").contains("login=\"studio\""));
}

#[test]
fn a_login_token_in_memory_is_in_no_cookie() {
    let (server, shop) = demo_and_shop();
    let signed_in = post(&shop, "sign-in", "name=Kay&email=kay%40example.com&in_memory=true");
    let set: Vec<_> = signed_in.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
    assert!(!set.is_empty() && set.iter().all(|(_, cookie)| cookie.starts_with("token=; ")), "{set:?}");
    let session = get(&shop, "data").json()["session"].clone();
    assert_eq!(session["in_memory"], true);
    let bearer = format!("Bearer {}", session["login_token"].as_str().unwrap());
    let response = server.get("/generate/token").header("Authorization", bearer).send();
    assert_eq!(open(&response.token(), &chat_secret_of(&shop)).1["email"], "kay@example.com");
    post(&shop, "sign-out", "");
    assert_eq!(get(&shop, "data").json()["session"]["login_token"], Value::Null);
}

#[test]
fn a_login_that_ends_after_a_minute_takes_the_zendesk_token_with_it() {
    let (server, shop) = demo_and_shop();
    for login in ["xsolla", "studio"] {
        let form = format!("login={login}&name=Kay&email=kay%40example.com&kind=minute");
        let token = cookie(&post(&shop, "sign-in", &form));
        let claims = open(&server.get("/generate/token").cookie(&token).send().token(), &chat_secret_of(&shop)).1;
        let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert!((30..=60).contains(&lifetime), "{login}: {lifetime} s");
    }
}

#[test]
fn the_service_is_unreachable_while_the_proxy_is_cut() {
    let (server, shop) = demo_and_shop();
    assert_eq!(server.get("/generate/token").send().status, 401);
    assert_eq!(post(&shop, "service/down", "").status, 204);
    assert_eq!(server.get("/generate/token").send().status, 0);
    assert_eq!(post(&shop, "zendesk", "").status, 502);
    assert_eq!(post(&shop, "service/up", "").status, 204);
    assert_eq!(server.get("/generate/token").send().status, 401);
}

#[test]
fn with_a_real_secret_it_accepts_pasted_login_tokens_and_creates_none() {
    let folder = Folder::new();
    let file = folder.write("secret", LOGIN_SECRET);
    let (server, greeting) =
        demo_with(&["--login-secret-file", file.to_str().unwrap(), "--origin", "https://shop.example.com"]);
    let shop = shop(&greeting);
    assert!(!greeting.contains("eyJ") && !greeting.contains(LOGIN_SECRET), "{greeting}");
    let data = get(&shop, "data");
    assert_eq!((&data.json()["can_mint"], data.body.contains(LOGIN_SECRET)), (&false.into(), false));
    assert_eq!(Request::new(shop.address, "GET", "/studio/keys").send().status, 404, "there is no second login");
    let wrong_characters = "the text has characters that a login token can't have; paste only the token";
    for (form, problem) in [
        ("name=Jane+Doe&email=jane%40example.com", "the form has no login token; paste one"),
        ("login_token=a.b%3Bc", wrong_characters),
        ("login_token=%01", wrong_characters),
        (&format!("login_token={}", "x".repeat(4092)), "the token is too long for a cookie"),
    ] {
        let refused = post(&shop, "sign-in", form);
        assert_eq!((refused.status, refused.header("set-cookie")), (303, None), "{form}");
        let shown = get(&shop, "data").json()["session"]["problem"].as_str().unwrap().to_owned();
        assert!(shown.starts_with(problem), "{shown}");
    }
    let token = LoginToken::valid().mint();
    let pasted = post(&shop, "sign-in", &format!("login_token=+Bearer+{}%0A{}+", &token[..50], &token[50..]));
    assert!(pasted.header("set-cookie").unwrap().starts_with(&format!("token={token};")));
    let response = server.get("/generate/token").cookie(&token).header("Origin", "https://shop.example.com").send();
    assert_eq!(response.status, 200);
    fs::write(&file, "short").unwrap();
    for (secret_file, refusal) in [
        (file.to_str().unwrap(), "login.secret_file ("),
        ("/no/such/file", "--login-secret-file (/no/such/file): can't be read"),
    ] {
        assert_refused(&["--listen", "127.0.0.1:0", "--login-secret-file", secret_file], refusal);
    }
    let wrong_origin = ["--listen", "127.0.0.1:0", "--origin", "shop.example.com"];
    assert_refused(&wrong_origin, "--origin: is not written as browsers send it");
}

#[test]
fn cross_site_gives_shop_and_service_different_hosts() {
    let (server, greeting) = demo_with(&["--cross-site"]);
    assert!(greeting.contains("  http://localhost:"), "{greeting}");
    assert!(greeting.contains(&format!("http://{}/generate/token", server.public)));
}

#[test]
fn serve_has_no_routes_of_the_demo() {
    let server = Server::with_all_products(&[]);
    for path in ["/", "/data", "/sign-in", "/sign-out", "/exchanges/chat", "/zendesk", "/service/down", "/service/up"] {
        for method in ["GET", "POST"] {
            assert_eq!(server.request(method, path).body("name=x").send().refusal(), "404 00-08", "{method} {path}");
            assert_eq!(Request::new(server.admin, method, path).send().status, 404, "{method} {path}");
        }
    }
}

#[test]
fn too_many_connections_are_closed_and_the_demo_works_on() {
    let (server, shop) = demo_and_shop();
    let held: Vec<_> = (0..200).map(|_| server.connect()).collect();
    assert_eq!(get(&shop, "data").status, 200);
    drop(held);
    until("answered again", || server.get("/generate/token").send().status == 401);
}
