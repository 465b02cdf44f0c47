//! The page of `desk`: who may use it, its settings form, its work, and its end.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use crate::client::{Answer, Request, send};
use crate::commands::CommandOutput;
use crate::desk_api::{
    APP, CHAT_TOKEN, DeskApi, EMAIL, EXTERNAL_ID, KEY_ID, KEY_SECRET, Step, USER, answer, error, failure,
};
use crate::harness::{Process, command, send_signal};
use crate::login_tokens::{LoginToken, SUB};
use crate::published_keys::until;
use crate::reload::Folder;
use crate::stub::Reply;

const GETS: [&str; 6] = ["", "page.js", "page.css", "state", "job", "record"];
const POSTS: [&str; 8] = ["settings", "token", "find", "conversations", "messages", "plan", "resolve", "visitor"];

/// The desk in a folder of its own, which is killed when dropped.
struct Desk {
    child: Process,
    folder: Folder,
    /// Where the printed address leads.
    address: SocketAddr,
    /// The path of the page, `/` at its end.
    home: String,
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// A browser that has opened the page.
struct Browser<'a> {
    desk: &'a Desk,
    cookie: String,
    csrf: String,
}

impl Desk {
    /// The desk with the settings of an API.
    fn start(api: &DeskApi) -> Self {
        let settings = api.settings();
        let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Self::run(command(&["desk", "--no-browser", "--listen", "127.0.0.1:0"], &settings))
    }

    fn without_settings() -> Self {
        Self::run(command(&["desk", "--no-browser", "--listen", "127.0.0.1:0"], &[]))
    }

    /// Starts a command, and waits for the address that it prints on a line of its own.
    fn run(mut command: Command) -> Self {
        let folder = Folder::new();
        command.current_dir(folder.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Process(command.spawn().unwrap());
        let mut printed = BufReader::new(child.0.stdout.take().unwrap());
        let mut errors = child.0.stderr.take().unwrap();
        let mut text = String::new();
        let url = loop {
            let start = text.len();
            if printed.read_line(&mut text).unwrap() == 0 {
                errors.read_to_string(&mut text).unwrap();
                panic!("the desk did not start: {text}");
            }
            if let Some(url) = text[start..].strip_prefix("http://") {
                break url.trim_end().to_owned();
            }
        };
        let (address, key) = url.split_once('/').unwrap();
        let output = Arc::new(Mutex::new(text.clone()));
        let readers = [Box::new(printed) as Box<dyn Read + Send>, Box::new(errors)].map(|mut stream| {
            let output = Arc::clone(&output);
            thread::spawn(move || {
                let mut text = String::new();
                stream.read_to_string(&mut text).unwrap();
                *output.lock().unwrap() += &text;
            })
        });
        let (address, home) = (address.parse().unwrap(), format!("/{key}"));
        Self { child, folder, address, home, output, readers: readers.into() }
    }

    fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.address, method, &format!("{}{path}", self.home))
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Opens the page in the browser that comes first.
    fn open(&self) -> Browser<'_> {
        let page = self.request("GET", "").send();
        assert_eq!(page.status, 200, "{page:?}");
        let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let state = self.request("GET", "state").header("Cookie", &cookie).send().json();
        Browser { desk: self, cookie, csrf: state["csrf"].as_str().unwrap().to_owned() }
    }

    /// Sends a signal, and returns the exit status and everything printed.
    fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        send_signal(signal, &self.child.0.id().to_string());
        let mut status = None;
        until("stopped", || {
            status = self.child.0.try_wait().unwrap();
            status.is_some()
        });
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        (status.unwrap().code(), self.output.lock().unwrap().clone())
    }
}

impl Browser<'_> {
    fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send()
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.posting(path).body(body.to_string()).send()
    }

    fn request(&self, method: &str, path: &str) -> Request {
        self.desk.request(method, path).header("Cookie", &self.cookie)
    }

    /// A POST as the page sends it, without its body.
    fn posting(&self, path: &str) -> Request {
        let request = self.request("POST", path).header("Origin", self.desk.origin());
        request.header("Content-Type", "application/json").header("X-CSRF-Token", &self.csrf)
    }

    /// A plan for the user of the examples.
    fn plan(&self, remedy: &str) -> Value {
        let plan = self.post("plan", &json!({"user": USER, "remedy": remedy, "into": null}));
        assert_eq!(plan.status, 200, "{plan:?}");
        plan.json()
    }

    /// The work, when it has ended.
    fn ended(&self) -> Value {
        let mut job = json!(null);
        until("ended", || {
            job = self.get("job").json();
            job["running"] == json!(false)
        });
        job
    }
}

/// Status and sentence of a refusal, which has nothing else.
fn refusal(answer: &Answer) -> (u16, String) {
    let json = answer.json();
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"), "{answer:?}");
    assert_eq!(json.as_object().unwrap().len(), 1, "{answer:?}");
    (answer.status, json["error"].as_str().unwrap().to_owned())
}

/// The folder's files, without the desk's own process.
fn files(folder: &Folder) -> Vec<String> {
    let names = fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_str().unwrap().to_owned()).collect()
}

/// Runs the desk, which ends at once.
fn ends(folder: &Folder, arguments: &[&str], settings: &[(&str, &str)]) -> CommandOutput {
    let mut command = command(&[&["desk", "--no-browser"], arguments].concat(), settings);
    command.current_dir(folder.path("")).stdin(Stdio::null()).output().unwrap().into()
}

#[test]
fn the_page_is_only_below_a_random_path() {
    let api = DeskApi::start();
    let (desk, other) = (Desk::start(&api), Desk::start(&api));
    let is_random =
        |home: &str| home.len() == 34 && home.trim_matches('/').bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_random(&desk.home) && is_random(&other.home) && desk.home != other.home, "{}", desk.home);
    let browser = desk.open();
    let key = desk.home.trim_matches('/');
    let homes =
        ["/", &other.home, &format!("/{}/", &key[..31]), &format!("//{key}/"), &format!("/{key}x/")].map(str::to_owned);
    for home in homes {
        for path in GETS.iter().chain(&POSTS) {
            for method in ["GET", "POST"] {
                let request = Request::new(desk.address, method, &format!("{home}{path}"));
                let request = request.header("Cookie", &browser.cookie).header("Origin", desk.origin());
                let answer = request.header("X-CSRF-Token", &browser.csrf).send();
                let expected = "there is no such page; open the printed address".to_owned();
                assert_eq!(refusal(&answer), (404, expected), "{method} {home}{path}");
                assert_eq!(answer.header("set-cookie"), None);
            }
        }
    }
    for path in GETS {
        assert!(!browser.get(path).body.contains(key), "{path}");
    }
    assert_eq!(api.asked(), [""; 0]);
}

#[test]
fn only_the_browser_that_opens_the_page_first_can_use_it() {
    let api = DeskApi::start();
    let desk = Desk::start(&api);
    // Neither of these opens the page.
    for (method, path) in [("HEAD", ""), ("GET", "state"), ("GET", "page.js"), ("OPTIONS", "")] {
        let answer = desk.request(method, path).send();
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{method} {path}");
    }
    let first = desk.request("GET", "").send();
    let cookie = first.header("set-cookie").unwrap();
    let (value, attributes) = cookie.strip_prefix("desk=").unwrap().split_once("; ").unwrap();
    assert!(value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()), "{cookie}");
    assert_eq!(attributes, format!("Path={}; HttpOnly; SameSite=Strict", desk.home));
    let csrf = desk.request("GET", "state").header("Cookie", format!("desk={value}")).send().json()["csrf"].clone();
    let wrong = format!("desk={}", "0".repeat(32));
    let cookies = ["", "desk=", &wrong, &value[..31], &format!("desk={}", &value[..31]), &format!("other={value}")];
    for cookie in cookies.map(str::to_owned) {
        for path in GETS {
            let answer = desk.request("GET", path).header("Cookie", &cookie).send();
            assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{cookie} {path}");
            assert!(answer.body.starts_with("this page is open in another browser"), "{answer:?}");
        }
        for path in POSTS {
            let request = desk.request("POST", path).header("Cookie", &cookie).header("Origin", desk.origin());
            let request = request.header("X-CSRF-Token", csrf.as_str().unwrap());
            let answer = request.header("Content-Type", "application/json").body("{}").send();
            assert_eq!(answer.status, 403, "{cookie} {path}");
        }
    }
    // A cookie of the same name from another page on this host does not lock the browser out.
    let both = format!("desk=tossed; desk={value}; a=b");
    assert_eq!(desk.request("GET", "state").header("Cookie", both).send().status, 200);
    assert_eq!(api.asked(), [""; 0]);
}

#[test]
fn other_host_names_are_refused() {
    let api = DeskApi::start();
    let desk = Desk::start(&api);
    let (port, home) = (desk.address.port(), &desk.home);
    let ask = |hosts: &str, path: &str, cookie: &str| {
        let request = format!("GET {home}{path} HTTP/1.1\r\n{hosts}Cookie: {cookie}\r\nConnection: close\r\n\r\n");
        send(desk.address, request.as_bytes())
    };
    let own = format!("Host: 127.0.0.1:{port}\r\n");
    let foreign = [
        format!("evil.example:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        format!("localhost.:{port}"),
        format!("127.0.0.2:{port}"),
        format!("[::1]:{port}"),
        format!("127.0.0.1:{port}0"),
        "127.0.0.1".to_owned(),
        "localhost".to_owned(),
        String::new(),
    ];
    let foreign = foreign.map(|host| format!("Host: {host}\r\n"));
    // Before the page is open, too: DNS rebinding must not take the cookie.
    for hosts in foreign.iter().chain([&format!("{own}{own}")]) {
        let answer = ask(hosts, "", "");
        assert!([400, 403].contains(&answer.status) && answer.header("set-cookie").is_none(), "{hosts}: {answer:?}");
    }
    let browser = desk.open();
    for hosts in &foreign {
        for path in GETS {
            let answer = ask(hosts, path, &browser.cookie);
            assert!(answer.status == 403 && !answer.body.contains(&browser.csrf), "{hosts} {path}: {answer:?}");
        }
    }
    for hosts in [own, format!("Host: localhost:{port}\r\n")] {
        assert_eq!(ask(&hosts, "state", &browser.cookie).status, 200, "{hosts}");
    }
}

#[test]
fn a_post_needs_its_own_origin_csrf_token_and_type() {
    let api = DeskApi::start();
    let desk = Desk::start(&api);
    let browser = desk.open();
    let plan = browser.plan("delete-user");
    let asked = api.asked().len();
    let own = [("Origin", desk.origin()), ("X-CSRF-Token", browser.csrf.clone())];
    let own = [&own[..], &[("Content-Type", "application/json".to_owned())]].concat();
    let port = desk.address.port();
    let mut changes: Vec<(&str, Option<String>, u16)> = vec![("Origin", None, 403), ("X-CSRF-Token", None, 403)];
    changes.push(("Content-Type", None, 415));
    for origin in ["https://evil.example", "null", "http://127.0.0.1", &format!("https://127.0.0.1:{port}"), ""] {
        changes.push(("Origin", Some(origin.to_owned()), 403));
    }
    let origin = format!("http://127.0.0.1:{port}@evil.example");
    changes.push(("Origin", Some(origin), 403));
    for token in ["", &browser.csrf[..31], &"0".repeat(32), &browser.cookie["desk=".len()..]] {
        changes.push(("X-CSRF-Token", Some(token.to_owned()), 403));
    }
    // A form of another site can send these types.
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        changes.push(("Content-Type", Some(media_type.to_owned()), 415));
    }
    let body =
        json!({"plan": plan["plan"], "confirmation": plan["confirm"], "user": USER, "email": EMAIL, "expect": "x"});
    for (name, value, status) in changes {
        for path in POSTS {
            let mut request = browser.request("POST", path);
            for (header, own) in &own {
                if let Some(value) = if *header == name { value.as_ref() } else { Some(own) } {
                    request = request.header(header, value);
                }
            }
            let answer = request.body(body.to_string()).send();
            assert_eq!(refusal(&answer).0, status, "{path} {name}: {value:?}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    let twice = browser.posting("find").header("Origin", "https://evil.example").body(body.to_string()).send();
    assert_eq!(refusal(&twice).0, 403);
    for path in GETS {
        let answer = browser.request("GET", path).header("Origin", "https://evil.example").send();
        assert_eq!(refusal(&answer).0, 403, "{path}");
    }
    assert_eq!((api.asked().len(), api.users().len(), browser.get("job").json()), (asked, 1, json!(null)));
    // The same request with all three is accepted.
    assert_eq!(browser.post("resolve", &body).status, 202);
    browser.ended();
}

#[test]
fn no_other_method_than_post_changes_anything() {
    let api = DeskApi::start();
    let desk = Desk::start(&api);
    let browser = desk.open();
    let plan = browser.plan("delete-user");
    let asked = api.asked().len();
    let confirmed = json!({"plan": plan["plan"], "confirmation": plan["confirm"]}).to_string();
    let query = format!("?plan={}&confirmation=delete", plan["plan"].as_str().unwrap());
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        for path in POSTS {
            for query in ["", &query] {
                let request = browser.request(method, &format!("{path}{query}")).header("Origin", desk.origin());
                let request = request.header("X-CSRF-Token", &browser.csrf).header("Content-Type", "application/json");
                let answer = request.body(&confirmed).send();
                assert_eq!((answer.status, answer.header("allow").as_deref()), (405, Some("POST")), "{method} {path}");
                if method != "HEAD" {
                    assert_eq!(refusal(&answer).1, "the request is not the page's; load the page again");
                }
            }
        }
    }
    for path in GETS {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let request = browser.request(method, path).header("Origin", desk.origin());
            let request = request.header("X-CSRF-Token", &browser.csrf).header("Content-Type", "application/json");
            assert_eq!(refusal(&request.body(&confirmed).send()).0, 405, "{method} {path}");
        }
        browser.get(path);
    }
    assert_eq!((api.asked().len(), api.users().len(), files(&desk.folder)), (asked, 1, Vec::<String>::new()));
}

#[test]
fn all_answers_have_strict_headers_and_the_page_has_nothing_inline() {
    let api = DeskApi::start();
    let desk = Desk::start(&api);
    let refused = desk.request("GET", "state").send();
    let browser = desk.open();
    let mut answers: Vec<(u16, Answer)> = vec![(403, refused)];
    answers.extend(GETS.map(|path| (if path == "record" { 404 } else { 200 }, browser.get(path))));
    answers.push((404, browser.get("nothing")));
    answers.push((
        404,
        send(desk.address, format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", desk.address).as_bytes()),
    ));
    answers.push((405, browser.get("find")));
    answers.push((403, browser.request("POST", "find").body("{}").send()));
    answers.push((400, browser.posting("find").body("{").send()));
    answers.push((413, browser.posting("find").body("x".repeat((64 << 10) + 1)).send()));
    answers.push((200, browser.post("find", &json!({"email": EMAIL, "expect": "new-login-id"}))));
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                  form-action 'none'; base-uri 'none'; frame-ancestors 'none'";
    for (status, answer) in answers {
        let header = |name: &str| answer.header(name).unwrap_or_default();
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(header("cache-control"), "no-store", "{answer:?}");
        assert_eq!(header("content-security-policy"), policy, "{answer:?}");
        assert_eq!(header("referrer-policy"), "same-origin", "{answer:?}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{answer:?}");
        assert!(!header("content-type").is_empty(), "{answer:?}");
    }
    let page = browser.get("").body;
    let inline = ["style=", "<style", " on", "javascript:", "src=\"http", "href=\"http", "//"];
    let tags: Vec<&str> = page.split('<').filter_map(|part| part.split('>').next()).collect();
    assert!(tags.len() > 100 && !tags.iter().any(|tag| inline.iter().any(|text| format!("<{tag}").contains(text))));
    let scripts: Vec<&&str> = tags.iter().filter(|tag| tag.starts_with("script")).collect();
    assert_eq!(scripts, [&"script src=\"page.js\" defer"]);
    let script = browser.get("page.js").body;
    for text in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://"] {
        assert!(!script.contains(text), "{text}");
    }
    assert!(!browser.get("page.css").body.contains("url("));
}

#[test]
fn a_wrong_body_is_refused_and_asks_nothing() {
    let api = DeskApi::start();
    let desk = Desk::start(&api);
    let browser = desk.open();
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let bodies = ["", "{", "null", "[]", "1", "\"x\"", "{\"email\":1}", "{\"user\":{}}", "\u{0}", "{}", &deep];
    for path in POSTS {
        // Each of the form's sections may be missing.
        let is_form = |body: &str| path == "settings" && body.ends_with('}');
        for body in bodies.iter().filter(|body| !is_form(body)) {
            let answer = browser.posting(path).body(body).send();
            assert_eq!(refusal(&answer), (400, "the request is not the page's".to_owned()), "{path}: {body:.20}");
        }
        assert_eq!(refusal(&browser.posting(path).body(b"\xff\xfe").send()).0, 400, "{path}");
        let big = json!({"token": "x".repeat(64 << 10)});
        let too_long = (413, "the text is too long; paste only the token".to_owned());
        assert_eq!(refusal(&browser.post(path, &big)), too_long, "{path}");
    }
    for (path, body, sentence) in [
        ("find", json!({"email": "sue", "expect": "x"}), "the email has no @; give the player's whole email"),
        ("find", json!({"email": EMAIL, "expect": " "}), "the login id is empty; give the one that the player has now"),
        ("plan", json!({"user": USER, "remedy": "nuke"}), "there is no such remedy; load the page again"),
        ("token", json!({"token": "not a token"}), "the text has no token with an email or a login id"),
        ("visitor", json!({"id": ".."}), "the id is empty, '.' or '..'; give the visitor's id"),
    ] {
        let (status, text) = refusal(&browser.post(path, &body));
        assert_eq!((status, text.starts_with(sentence)), (422, true), "{path}: {text}");
    }
    assert_eq!(api.asked(), [""; 0]);
}

#[test]
fn a_pasted_token_gives_email_and_login_id_and_is_sent_nowhere() {
    let api = DeskApi::start();
    let desk = Desk::start(&api);
    let browser = desk.open();
    let token = LoginToken::valid().mint();
    for text in [token.clone(), format!("Authorization: Bearer {token}\n"), format!("  {token}  ")] {
        let answer = browser.post("token", &json!({"token": text}));
        assert_eq!((answer.status, answer.json()), (200, json!({"email": "jane@example.com", "external_id": SUB})));
    }
    assert_eq!((api.asked(), files(&desk.folder)), (vec![], vec![]));
    assert!(!desk.stop("TERM").1.contains(&token));
}

#[test]
fn a_remedy_is_carried_out_only_with_the_newest_plan_and_its_word() {
    for (remedy, word, deletes) in [("forget-email", "delete", 1), ("delete-user", "delete", 0)] {
        let api = DeskApi::start();
        let desk = Desk::start(&api);
        let browser = desk.open();
        let record = api.users()[0].to_string();
        let found = browser.post("find", &json!({"email": EMAIL, "expect": "new-login-id"})).json();
        assert_eq!((&found["conflict"], &found["users"][0]["role"]), (&json!(true), &json!("old")));
        let offers = found["users"][0]["remedies"].as_array().unwrap();
        let names: Vec<&str> = offers.iter().map(|offer| offer["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["merge-into", "forget-email", "delete-user"]);

        let [outdated, plan] = [browser.plan("delete-user"), browser.plan(remedy)];
        assert_eq!((&plan["confirm"], &plan["user"]["external_id"]), (&json!(word), &json!(EXTERNAL_ID)));
        let request = plan["requests"][0].as_str().unwrap();
        assert!(request.starts_with(&format!("DELETE {}/sc/v2/apps/{APP}/users/{USER}", api.url())), "{request}");
        let resolve =
            |plan: &Value, word: &str| browser.post("resolve", &json!({"plan": plan["plan"], "confirmation": word}));
        assert_eq!(refusal(&resolve(&outdated, word)).0, 409);
        for wrong in ["", "yes", "Delete", "merge"] {
            let expected = (422, format!("the confirmation differs; type {word}"));
            assert_eq!(refusal(&resolve(&plan, wrong)), expected, "{wrong}");
        }
        assert_eq!((api.count("DELETE"), browser.get("job").json(), files(&desk.folder).len()), (0, json!(null), 0));

        assert_eq!(resolve(&plan, &format!(" {word} ")).status, 202);
        let job = browser.ended();
        let text = job["outcome"]["text"].as_str().unwrap();
        assert_eq!((&job["outcome"]["done"], text.starts_with("Done: user")), (&json!(true), true), "{job}");
        assert_eq!((api.count("DELETE"), api.users().len()), (1, deletes), "{job}");
        assert_eq!(refusal(&resolve(&plan, word)).0, 409, "a plan is carried out once");

        let name = job["record"].as_str().unwrap();
        let saved = desk.folder.path(name);
        assert_eq!(fs::metadata(&saved).unwrap().permissions().mode() & 0o777, 0o600);
        let download = browser.get("record");
        assert_eq!((download.status, &download.body), (200, &format!("{record}\n")));
        assert_eq!(download.body, fs::read_to_string(&saved).unwrap());
        assert_eq!(download.header("content-disposition"), Some(format!("attachment; filename=\"{name}\"")));
        assert_eq!(api.count("DELETE"), 1);
    }
}

#[test]
fn only_one_thing_is_done_at_a_time() {
    let api = DeskApi::start();
    let desk = Desk::start(&api);
    let browser = desk.open();
    let resolve = || {
        let plan = browser.plan("forget-email");
        browser.post("resolve", &json!({"plan": plan["plan"], "confirmation": "delete"}))
    };
    // The plan and the check before the deletion each show the user; the deletion is then tried again after a pause.
    let busy = Reply::With(503, "Retry-After: 3\r\n".to_owned(), error("busy", "Busy").to_string());
    api.then([Step::Do, Step::Do, Step::Say(busy)]);
    assert_eq!(resolve().status, 202);
    until("tried again", || browser.get("job").json()["steps"].as_array().is_some_and(|steps| steps.len() == 2));
    let second = resolve();
    assert_eq!(refusal(&second), (409, "something is being done already; wait for its end".to_owned()));
    let job = browser.ended();
    assert!(job["steps"][1].as_str().unwrap().contains("trying again in 3.0 s (attempt 2 of 5)"), "{job}");
    assert_eq!((&job["outcome"]["done"], api.count("DELETE")), (&json!(true), 2), "{job}");
}

#[test]
fn the_form_tries_the_keys_and_writes_the_settings_file() {
    let api = DeskApi::start();
    let desk = Desk::without_settings();
    let browser = desk.open();
    let state = browser.get("state").json();
    assert_eq!(
        (&state["conversations"], &state["chat_api"], &state["settings_file"]),
        (&json!(null), &json!(null), &json!("desk.toml"))
    );
    let find = json!({"email": EMAIL, "expect": "new-login-id"});
    assert_eq!(refusal(&browser.post("find", &find)).0, 422, "there are no settings yet");

    let form = form(&api);
    let saved = browser.post("settings", &form);
    assert_eq!((saved.status, saved.json()), (200, json!({})));
    let asked = api.asked();
    assert!(asked.len() == 2 && asked.iter().all(|request| request.starts_with("GET ")), "{asked:?}");
    let file = desk.folder.path("desk.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with("# ") && text.contains(&format!("key_secret = \"{KEY_SECRET}\"\n")),
        "the file has the keys"
    );

    // In effect without a restart.
    let state = browser.get("state").json();
    assert_eq!(state["conversations"]["app_id"], json!(APP));
    assert_eq!(state["chat_api"]["url"], json!(format!("{}/api/v2/chat", api.url())));
    assert_eq!(browser.post("find", &find).json()["conflict"], json!(true));
    assert_eq!(browser.post("visitor", &json!({"id": "9855790-xjj3ukxyIhn6j3"})).status, 200);
    let again = refusal(&browser.post("settings", &form));
    assert_eq!(again, (409, "there are settings already; change the settings file instead".to_owned()));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    // The other commands, and the next start, take the file.
    let check = command(&["check", "--config", file.to_str().unwrap()], &[]).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stderr));
    let next = Desk::run(command(
        &["desk", "--no-browser", "--listen", "127.0.0.1:0", "--config", file.to_str().unwrap()],
        &[],
    ));
    assert_eq!(next.open().get("state").json()["conversations"]["app_id"], json!(APP));
}

/// The form with the keys of an API.
fn form(api: &DeskApi) -> Value {
    let (messaging, chat) = (format!(" {}/sc/ ", api.url()), format!("{}/api/v2/chat", api.url()));
    json!({
        "conversations": {"zendesk": messaging, "app_id": APP, "key_id": KEY_ID, "key_secret": KEY_SECRET, "brand_id": ""},
        "chat_api": {"zendesk": chat, "token": CHAT_TOKEN},
    })
}

#[test]
fn wrong_values_are_shown_at_their_fields_and_nothing_is_written() {
    let api = DeskApi::start();
    let desk = Desk::without_settings();
    let browser = desk.open();
    for (field, value, problem) in [
        ("conversations.zendesk", "", "is needed: acme"),
        ("conversations.zendesk", "acme zendesk", ""),
        ("conversations.app_id", "", "is needed"),
        ("conversations.app_id", "?", ""),
        ("conversations.key_id", "a b", ""),
        ("conversations.key_secret", "", ""),
        ("conversations.key_secret", "my secret key of Zendesk", "has white space"),
        ("conversations.brand_id", "a/b", ""),
        ("chat_api.zendesk", "https://", ""),
        ("chat_api.token", "changeme", ""),
    ] {
        let mut form = form(&api);
        let (section, name) = field.split_once('.').unwrap();
        form[section][name] = json!(value);
        let answer = browser.post("settings", &form);
        let json = answer.json();
        let problems = json["problems"].as_array().unwrap_or_else(|| panic!("{field}: {json}"));
        assert_eq!((answer.status, json["error"].is_string(), problems.len()), (422, true, 1), "{field}: {json}");
        assert_eq!(problems[0]["field"], json!(field), "{value}");
        assert!(problems[0]["text"].as_str().unwrap().contains(problem), "{field}: {json}");
        assert!(value.len() < 8 || !answer.body.contains(value), "{field}: {json}");
    }
    let empty = refusal(&browser.post("settings", &json!({"conversations": null, "chat_api": null})));
    assert_eq!(empty, (422, "the form is empty; give the keys of Messaging, of Chat, or of both".to_owned()));
    assert_eq!((api.asked(), files(&desk.folder)), (vec![], vec![]));
}

#[test]
fn keys_that_do_not_work_are_not_written() {
    let api = DeskApi::start();
    let desk = Desk::without_settings();
    let browser = desk.open();
    let wrong_key = "another-secret-of-zendesk-1234567890";
    for (field, value, fix) in [
        ("/conversations/key_secret", wrong_key, "check conversations.key_id and conversations.key_secret"),
        (
            "/conversations/app_id",
            "5d8cff3cd55b040010928b5c",
            "check conversations.subdomain (or base_url) and conversations.app_id",
        ),
        ("/chat_api/token", wrong_key, "check chat_api.token"),
    ] {
        let mut form = form(&api);
        *form.pointer_mut(field).unwrap() = json!(value);
        let (status, text) = refusal(&browser.post("settings", &form));
        assert!(status == 422 && text.contains(fix) && !text.contains(wrong_key), "{field}: {text}");
    }
    let state = browser.get("state").json();
    assert_eq!((files(&desk.folder), &state["conversations"]), (vec![], &json!(null)));
    // One of the two sections is enough.
    let mut form = form(&api);
    form["conversations"] = json!(null);
    assert_eq!(browser.post("settings", &form).status, 200);
    let state = browser.get("state").json();
    assert!(state["conversations"].is_null() && state["chat_api"].is_object(), "{state}");
}

#[test]
fn the_form_overwrites_no_file() {
    let api = DeskApi::start();
    let desk = Desk::without_settings();
    let browser = desk.open();
    let file = desk.folder.write("desk.toml", "precious");
    let meanwhile = "desk.toml was written in the meantime; stop the support desk and start it again".to_owned();
    assert_eq!(refusal(&browser.post("settings", &form(&api))), (409, meanwhile.clone()));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    // Nor does it follow a link.
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(desk.folder.path("elsewhere"), &file).unwrap();
    assert_eq!(refusal(&browser.post("settings", &form(&api))), (409, meanwhile));
    assert_eq!(files(&desk.folder), ["desk.toml"]);
}

#[test]
fn wrong_settings_and_arguments_end_it_before_anything_is_served() {
    let folder = Folder::new();
    for (name, text, message) in [
        ("broken.toml", "[conversations\n", "broken.toml"),
        ("incomplete.toml", "[conversations]\nsubdomain = \"acme\"\n", "conversations.app_id"),
        ("service.toml", "listen = \"127.0.0.1:1\"\n", "has neither [conversations] nor [chat_api]; add one"),
        ("empty.toml", "", "has neither [conversations] nor [chat_api]; add one"),
        ("desk.toml", "", "desk.toml has neither"),
    ] {
        let file = folder.write(name, text);
        let by_argument = ends(&folder, &["--config", file.to_str().unwrap()], &[]);
        let by_variable = ends(&folder, &[], &[("config", file.to_str().unwrap())]);
        for output in
            [by_argument, by_variable].into_iter().chain((name == "desk.toml").then(|| ends(&folder, &[], &[])))
        {
            assert_eq!((output.status, output.out.as_str()), (Some(2), ""), "{name}: {}", output.err);
            assert!(output.err.contains(message), "{name}: {}", output.err);
        }
    }
    let folder = Folder::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:127.0.0.1]:0"] {
        for arguments in [&["--listen", address][..], &["--listen", "127.0.0.1:0", "--published", address]] {
            let output = ends(&folder, arguments, &[]);
            assert_eq!((output.status, output.out.as_str()), (Some(2), ""), "{arguments:?}: {}", output.err);
            let key = arguments[arguments.len() - 2];
            assert!(output.err.starts_with(&format!("{key}: must be a loopback address")), "{}", output.err);
        }
    }
    assert_eq!(ends(&folder, &["--published", "127.0.0.1:8002"], &[]).status, Some(2));
}

#[test]
fn in_a_container_it_answers_the_published_address() {
    // The container's port and the published one differ here; Docker's proxy leads from one to the other.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("0.0.0.0:{port}");
    let desk =
        Desk::run(command(&["desk", "--no-browser", "--listen", &listen, "--published", "127.0.0.1:18002"], &[]));
    assert_eq!(desk.address.port(), 18_002);
    let ask = |host: &str| {
        let request = format!("GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n", desk.home);
        send(SocketAddr::from(([127, 0, 0, 1], port)), request.as_bytes()).status
    };
    let statuses = [format!("127.0.0.1:{port}"), listen, "172.17.0.2:18002".to_owned()].map(|host| ask(&host));
    assert_eq!((statuses, ask("127.0.0.1:18002")), ([403; 3], 200));
}

#[test]
fn it_finds_a_free_port_and_opens_the_browser() {
    let taken = TcpListener::bind("127.0.0.1:8002");
    let folder = Folder::new();
    let opener = folder.write("xdg-open", "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$0.opened\"\n");
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o700)).unwrap();
    let start = |path: &Path| {
        let mut command = command(&["desk"], &[]);
        command.env("PATH", path);
        Desk::run(command)
    };
    let desk = start(&folder.path(""));
    assert!(desk.address.ip().is_loopback() && desk.address.port() != 8002);
    let opened = || fs::read_to_string(folder.path("xdg-open.opened")).unwrap_or_default();
    until("opened", || opened().ends_with('\n'));
    assert_eq!(opened(), format!("{}{}\n", desk.origin(), desk.home));
    // A machine without a browser is no error.
    let without = start(Path::new("/nowhere"));
    assert_eq!(without.open().get("state").status, 200);
    let (status, output) = without.stop("INT");
    assert_eq!((status, output.matches("http://").count()), (Some(0), 1), "{output}");
    drop(taken);
}

#[test]
fn a_stop_finishes_the_work_first() {
    for signal in ["TERM", "INT", "HUP"] {
        let api = DeskApi::start();
        let desk = Desk::start(&api);
        let browser = desk.open();
        let plan = browser.plan("delete-user");
        // The signal comes during the pause before the second attempt.
        let busy = Reply::With(503, "Retry-After: 3\r\n".to_owned(), error("busy", "Busy").to_string());
        api.then([Step::Do, Step::Say(busy)]);
        let confirmed = json!({"plan": plan["plan"], "confirmation": "delete"});
        assert_eq!(browser.post("resolve", &confirmed).status, 202);
        until("refused", || api.count("DELETE") == 1);
        let (status, output) = desk.stop(signal);
        assert_eq!((status, api.count("DELETE"), api.users().len()), (Some(0), 2, 0), "{signal}: {output}");
        assert!(output.contains("waiting for the work that has begun"), "{signal}: {output}");
        assert!(output.contains("Done: user") && output.contains("are deleted"), "{signal}: {output}");
    }
}

#[test]
fn the_keys_are_in_no_answer_and_no_output() {
    let secrets = [KEY_ID, KEY_SECRET, CHAT_TOKEN];
    let clean = |what: &str, text: &str| {
        assert!(!secrets.iter().any(|secret| text.contains(secret)), "{what}: {text}");
    };
    let api = DeskApi::start();
    let desk = Desk::without_settings();
    let browser = desk.open();
    // An API that repeats the keys in its errors, first while they are tried and then in use.
    let echo = || answer(403, &error(KEY_SECRET, &format!("not for {KEY_ID}, {CHAT_TOKEN}")));
    api.then([echo(), answer(403, &json!({"error": CHAT_TOKEN, "message": "no"}))]);
    clean("tried", &browser.post("settings", &form(&api)).body);
    let mut odd = form(&api);
    odd["conversations"]["app_id"] = json!("?");
    clean("odd", &browser.post("settings", &odd).body);
    assert_eq!(browser.post("settings", &form(&api)).status, 200);
    for path in GETS {
        let answer = browser.get(path);
        clean(path, &answer.body);
        clean(path, &format!("{:?}", answer.headers));
    }
    let bodies = [
        ("find", json!({"email": EMAIL, "expect": "new-login-id"})),
        ("conversations", json!({"user": USER})),
        ("messages", json!({"conversation": "c"})),
        ("plan", json!({"user": USER, "remedy": "forget-email", "into": null})),
        ("settings", form(&api)),
    ];
    for (path, body) in &bodies {
        for step in [answer(403, &error(KEY_SECRET, KEY_ID)), answer(400, &json!({"error": KEY_SECRET}))] {
            if *path != "settings" {
                api.then([step]);
            }
            let answer = browser.post(path, body);
            assert!(answer.status >= 400, "{path}: {answer:?}");
            clean(path, &answer.body);
        }
    }
    api.then([answer(403, &json!({"error": CHAT_TOKEN, "message": CHAT_TOKEN}))]);
    let visitor = browser.post("visitor", &json!({"id": "9855790-xjj3ukxyIhn6j3"}));
    assert_eq!(visitor.status, 502);
    clean("visitor", &visitor.body);
    let plan = browser.plan("delete-user");
    clean("plan", &plan.to_string());
    api.then([Step::Do, failure(500), answer(403, &error(KEY_SECRET, KEY_ID))]);
    assert_eq!(browser.post("resolve", &json!({"plan": plan["plan"], "confirmation": "delete"})).status, 202);
    let job = browser.ended();
    assert_eq!((&job["outcome"]["done"], api.users().len()), (&json!(false), 1), "{job}");
    clean("job", &job.to_string());
    clean("output", &desk.stop("TERM").1);
}
