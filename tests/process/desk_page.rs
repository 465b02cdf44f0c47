//! The page of `desk`: who may use it, and what its requests do. `tests/outside/desk.py` tests it in a browser.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::client::{Answer, Request, send};
use crate::desk_api::{CHAT_TOKEN, DeskApi, EMAIL, EXTERNAL_ID, KEY_ID, KEY_SECRET, Step, USER, answer};
use crate::harness::{Process, command, send_signal};
use crate::published_keys::until;
use crate::reload::Folder;
use crate::stub::Reply;

pub const NOW: &str = "new-login-id";

/// The desk, the browser that opened its page, and what it printed.
pub struct Desk {
    process: Process,
    pub folder: Folder,
    pub address: SocketAddr,
    /// The path, `/` at its end.
    pub home: String,
    pub cookie: String,
    csrf: String,
}

/// The desk with the settings of an API in a file, or without settings.
pub fn start(api: Option<&DeskApi>) -> Desk {
    let folder = Folder::new();
    if let Some(api) = api {
        let lines = api.settings().into_iter().map(|(key, value)| format!("{key} = \"{value}\"\n"));
        let file = folder.write("desk.toml", &lines.collect::<String>());
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let mut command = desk(&["--listen", "127.0.0.1:0"], &folder);
    Desk::open(&mut command, folder)
}

pub fn desk(arguments: &[&str], folder: &Folder) -> Command {
    let mut command = command(&[&["desk", "--no-browser"], arguments].concat(), &[]);
    command.current_dir(folder.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Address and path of the page, which is on a line of its own.
pub fn printed(child: &mut Child) -> (SocketAddr, String) {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
    let url = lines.into_iter().find(|line| line.starts_with("http://")).unwrap();
    let (address, key) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    (address.parse().unwrap(), format!("/{key}"))
}

impl Desk {
    pub fn open(command: &mut Command, folder: Folder) -> Self {
        let mut process = Process(command.spawn().unwrap());
        let (address, home) = printed(&mut process.0);
        let page = Request::new(address, "GET", &home).send();
        assert_eq!(page.status, 200, "{page:?}");
        let cookie = page.header("set-cookie").unwrap();
        assert!(cookie.ends_with(&format!("; Path={home}; HttpOnly; SameSite=Strict")), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut desk = Self { process, folder, address, home, cookie, csrf: String::new() };
        let csrf = desk.get("state").json()["csrf"].as_str().unwrap().to_owned();
        desk.csrf = csrf;
        desk
    }

    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.address, method, &format!("{}{path}", self.home))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path).header("Cookie", &self.cookie).send()
    }

    /// Posts as the page does.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.posting(path).header("Content-Type", "application/json").body(body.to_string()).send()
    }

    /// A post as the page sends it, without type and body.
    pub fn posting(&self, path: &str) -> Request {
        let request = self.request("POST", path).header("Cookie", &self.cookie).header("X-CSRF-Token", &self.csrf);
        request.header("Origin", format!("http://{}", self.address))
    }

    /// The work of a plan.
    pub fn job(&self, plan: &Value) -> Value {
        self.get(&format!("jobs/{}", plan["plan"].as_str().unwrap())).json()
    }

    /// The work of a plan, once it has ended.
    pub fn ended(&self, plan: &Value) -> Value {
        let mut job = Value::Null;
        until("done", || {
            job = self.job(plan);
            !job["outcome"].is_null()
        });
        job
    }

    pub fn resolve(&self, plan: &Value, word: &str) -> Answer {
        self.post("resolve", &json!({"plan": plan["plan"], "confirmation": word}))
    }

    pub fn plan(&self, remedy: &str) -> Value {
        let answer = self.post("plan", &json!({"user": USER, "remedy": remedy, "expect": NOW}));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// The files in its folder but the settings.
    pub fn records(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.folder.path("")).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| !path.ends_with("desk.toml")).collect()
    }

    /// What it printed to standard error, after this signal.
    pub fn stop_by(mut self, signal: &str) -> String {
        send_signal(signal, &self.process.0.id().to_string());
        let mut errors = String::new();
        self.process.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(self.process.0.wait().unwrap().code(), Some(0), "{errors}");
        errors
    }
}

pub const PATHS: [(&str, &str); 14] = [
    ("GET", ""),
    ("GET", "page.css"),
    ("GET", "page.js"),
    ("GET", "state"),
    ("GET", "jobs/0"),
    ("GET", "records/0"),
    ("POST", "settings"),
    ("POST", "token"),
    ("POST", "find"),
    ("POST", "conversations"),
    ("POST", "messages"),
    ("POST", "plan"),
    ("POST", "resolve"),
    ("POST", "visitor"),
];

#[test]
fn the_desk_is_only_below_a_random_path_and_for_the_first_browser() {
    let api = DeskApi::start();
    let (one, other) = (start(Some(&api)), start(Some(&api)));
    let is_random =
        |home: &str| home.len() == 34 && home.trim_matches('/').bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_random(&one.home) && is_random(&other.home) && one.home != other.home, "{}", one.home);
    let own = |request: Request| {
        let request = request.header("Origin", format!("http://{}", one.address)).header("X-CSRF-Token", &one.csrf);
        request.header("Content-Type", "application/json").body("{}")
    };
    for (method, path) in PATHS {
        for home in ["/", &other.home, &one.home[..33], &format!("/{}", one.home), &format!("{}x/", &one.home[..33])] {
            let request = Request::new(one.address, method, &format!("{home}{path}")).header("Cookie", &one.cookie);
            assert_eq!(own(request).send().status, 404, "{method} {home}{path}");
        }
        for cookie in ["", "desk=", &one.cookie.to_uppercase(), &other.cookie, &one.cookie[..20]] {
            let answer = own(one.request(method, path).header("Cookie", cookie)).send();
            assert!(
                answer.status == 403 && answer.body.contains("open in another browser"),
                "{method} {path} {cookie}"
            );
            assert_eq!(answer.header("set-cookie"), None, "{method} {path}");
        }
    }
    assert!(api.asked().is_empty(), "nothing was asked");
}

#[test]
fn only_the_first_get_of_the_page_takes_the_cookie() {
    let api = DeskApi::start();
    let folder = Folder::new();
    let lines = api.settings().into_iter().map(|(key, value)| format!("{key} = \"{value}\"\n"));
    folder.write("desk.toml", &lines.collect::<String>());
    let mut process = Process(desk(&["--listen", "127.0.0.1:0"], &folder).spawn().unwrap());
    let (address, home) = printed(&mut process.0);
    for (method, path, host) in [
        ("HEAD", "", address.to_string()),
        ("GET", "state", address.to_string()),
        ("GET", "", "evil.example".to_owned()),
        ("GET", "", format!("evil.example:{}", address.port())),
    ] {
        let request = format!("{method} {home}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = send(address, request.as_bytes());
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{method} {path} {host}");
    }
    assert!(Request::new(address, "GET", &home).send().header("set-cookie").is_some());
    assert_eq!(Request::new(address, "GET", &home).send().status, 403, "once");
}

#[test]
fn other_hosts_and_origins_and_requests_without_the_csrf_token_are_refused() {
    let api = DeskApi::start();
    let desk = start(Some(&api));
    let port = desk.address.port();
    for host in [
        format!("evil.example:{port}"),
        "127.0.0.1".to_owned(),
        format!("127.0.0.1:{port}.evil.example"),
        String::new(),
        format!("127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}"),
    ] {
        for (method, path) in PATHS {
            let (home, cookie, csrf) = (&desk.home, &desk.cookie, &desk.csrf);
            let answer = send(
                desk.address,
                format!(
                    "{method} {home}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: {cookie}\r\n\
                     X-CSRF-Token: {csrf}\r\nOrigin: http://{host}\r\nContent-Length: 2\r\n\r\n{{}}"
                )
                .as_bytes(),
            );
            assert!([400, 403].contains(&answer.status), "{host:?} {method} {path}: {answer:?}");
            assert!(!answer.body.contains(csrf), "{host:?} {path}");
        }
    }
    let localhost = format!("localhost:{port}");
    let request = format!(
        "GET {}state HTTP/1.1\r\nHost: {localhost}\r\nConnection: close\r\nCookie: {}\r\n\r\n",
        desk.home, desk.cookie
    );
    assert_eq!(send(desk.address, request.as_bytes()).status, 200, "localhost is the same machine");
    let own = format!("http://{}", desk.address);
    let posts = PATHS.into_iter().filter(|(method, _)| *method == "POST");
    for (method, path) in posts {
        for (origin, csrf) in [
            (None, Some(desk.csrf.as_str())),
            (Some("null"), Some(&desk.csrf)),
            (Some("https://evil.example"), Some(&desk.csrf)),
            (Some("http://127.0.0.1"), Some(&desk.csrf)),
            (Some(&format!("http://localhost:{port}")), Some(&desk.csrf)),
            (Some(&own.replace("http:", "https:")), Some(&desk.csrf)),
            (Some(&own), None),
            (Some(&own), Some("")),
            (Some(&own), Some(&desk.csrf[..31])),
            (Some(&own), Some(&desk.cookie["desk=".len()..])),
        ] {
            let mut request = desk.request(method, path).header("Cookie", &desk.cookie);
            for (name, value) in [("Origin", origin), ("X-CSRF-Token", csrf)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
            let answer = request.body(json!({"user": USER, "remedy": "delete-user", "expect": NOW}).to_string()).send();
            assert_eq!(answer.status, 403, "{path} {origin:?} {csrf:?}: {answer:?}");
        }
    }
    assert!(api.asked().is_empty(), "nothing was asked");
}

#[test]
fn every_answer_has_the_headers_and_nothing_changes_by_get() {
    let api = DeskApi::start();
    let desk = start(Some(&api));
    let plan = desk.plan("delete-user");
    for (method, path) in PATHS {
        let answer = if method == "GET" { desk.get(path) } else { desk.post(path, &json!({})) };
        for (name, value) in
            [("cache-control", "no-store"), ("referrer-policy", "same-origin"), ("x-content-type-options", "nosniff")]
        {
            assert_eq!(answer.header(name).as_deref(), Some(value), "{method} {path}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; ") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), None);
        for other in ["GET", "DELETE", "PUT", "PATCH"].into_iter().filter(|other| *other != method) {
            let query = format!("{path}?plan={}&confirmation=delete", plan["plan"].as_str().unwrap());
            let request = desk.request(other, &query).header("Cookie", &desk.cookie).header("X-CSRF-Token", &desk.csrf);
            let answer = request.header("Origin", format!("http://{}", desk.address)).send();
            assert_eq!(answer.status, 405, "{other} {path}");
        }
    }
    assert_eq!((api.users().len(), api.count("DELETE"), api.count("POST")), (1, 0, 0));
    for answer in [desk.get("state"), desk.get("jobs/0"), desk.post("find", &json!({"email": EMAIL, "expect": NOW}))] {
        for secret in [KEY_SECRET, KEY_ID, CHAT_TOKEN] {
            assert!(!answer.body.contains(secret), "{answer:?}");
        }
    }
}

#[test]
fn hostile_text_of_the_api_stays_text() {
    let api = DeskApi::start();
    let hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>";
    api.add(json!({"id": "9", "externalId": hostile, "identities": [{"type": "email", "value": EMAIL}]}));
    let desk = start(Some(&api));
    let found = desk.post("find", &json!({"email": EMAIL, "expect": NOW}));
    assert_eq!(found.json()["users"][1]["external_id"], hostile);
    assert_eq!(found.header("content-type").as_deref(), Some("application/json"));
    assert_eq!(found.header("x-content-type-options").as_deref(), Some("nosniff"));
    // The page makes no HTML of texts, and its policy lets no inline script run.
    let page = desk.get("").body + &desk.get("page.js").body + &desk.get("page.css").body;
    for unsafe_part in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("] {
        assert!(!page.contains(unsafe_part), "{unsafe_part}");
    }
    for inline in ["<style", "style=", "onclick", "<script>", "http://", "https://", "@import"] {
        assert!(!page.contains(inline), "{inline}");
    }
}

#[test]
fn odd_bodies_are_refused() {
    let api = DeskApi::start();
    let desk = start(Some(&api));
    let deep = "[".repeat(60_000);
    let raw_value = format!("{}1{}", r#"{"$serde_json::private::RawValue":""#.repeat(200), r#""}"#.repeat(200));
    for (_, path) in PATHS.into_iter().filter(|(method, _)| *method == "POST") {
        for body in ["", "null", "[]", "{", "\u{0}", r#"{"user":1,"email":[],"token":{},"id":7}"#, &deep, &raw_value] {
            let answer = desk.posting(path).header("Content-Type", "application/json").body(body).send();
            // Nothing is required in the form of the settings, which are there already.
            let status = if path == "settings" && answer.status != 400 { 409 } else { 400 };
            assert_eq!((answer.status, answer.json()["error"].is_string()), (status, true), "{path} {answer:?}");
        }
        let huge = desk.post(path, &json!("x".repeat(65_536)));
        assert_eq!(huge.status, 413, "{path}");
    }
    for (body, message) in [
        (json!({"user": "..", "remedy": "delete-user", "expect": NOW}), "the id is empty, '.' or '..'"),
        (json!({"user": USER, "remedy": "rm", "expect": NOW}), "no such remedy"),
        (json!({"user": "nobody", "remedy": "delete-user", "expect": NOW}), "no user of Messaging has the id"),
        (json!({"user": USER, "remedy": "merge-into", "expect": USER}), "the present login id is that of the old user"),
        (json!({"user": USER, "remedy": "merge-into", "expect": ""}), "the present login id is not an id"),
        (
            json!({"user": USER, "remedy": "merge-into", "expect": " x"}),
            "the present login id begins or ends with a space",
        ),
    ] {
        let answer = desk.post("plan", &body);
        let status = if message.starts_with("no user") { 404 } else { 422 };
        assert!(answer.status == status && answer.body.contains(message), "{message}: {answer:?}");
    }
    assert_eq!((desk.get("jobs/0").status, desk.get("records/0").status), (404, 404));
    assert_eq!(desk.stop_by("TERM"), "");
}

#[test]
fn only_the_newest_plan_is_carried_out_and_only_once() {
    let api = DeskApi::start();
    let desk = start(Some(&api));
    let (first, second) = (desk.plan("delete-user"), desk.plan("merge-into"));
    assert_eq!(desk.resolve(&first, "delete").status, 409);
    let path = |plan: &Value| format!("records/{}", plan["plan"].as_str().unwrap());
    assert_eq!((desk.get(&path(&first)).status, desk.get(&path(&second)).json()), (404, api.users()[0].clone()));
    for word in ["", "yes", "merged", "delete"] {
        let answer = desk.resolve(&second, word);
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (422, Some("the confirmation differs; type merge"))
        );
    }
    assert_eq!((api.count("POST"), desk.records().len()), (0, 0));
    assert_eq!(desk.resolve(&second, " Merge").status, 202);
    assert_eq!(desk.resolve(&second, "merge").status, 202, "the first answer may have been lost");
    let job = desk.ended(&second);
    assert!(job["outcome"]["done"] == true && job["outcome"]["text"].as_str().unwrap().starts_with("Done: "), "{job}");
    let [record] = &desk.records()[..] else { panic!("{:?}", desk.records()) };
    assert_eq!(fs::metadata(record).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(desk.get(&path(&second)).body, fs::read_to_string(record).unwrap());
    assert_eq!((api.users().len(), &api.users()[0]["externalId"]), (1, &json!(NOW)));
    assert_eq!(desk.resolve(&second, "merge").status, 202);
    assert_eq!((api.count("POST"), desk.records().len()), (2, 1), "created and merged once");
}

#[test]
fn a_user_that_is_not_in_the_way_any_more_is_not_offered_for_deletion() {
    let api = DeskApi::start();
    let desk = start(Some(&api));
    assert!(
        desk.plan("delete-user")["warnings"][0]
            .as_str()
            .unwrap()
            .starts_with("No user has the login id new-login-id yet")
    );
    let user = |external_id: &str, identities: Value| {
        answer(200, &json!({"user": {"id": USER, "externalId": external_id, "identities": identities}}))
    };
    let email = json!([{"type": "email", "value": EMAIL}]);
    for changed in [user("New-login-id", email), user(EXTERNAL_ID, json!([]))] {
        api.then([changed]);
        let refused = desk.post("plan", &json!({"user": USER, "remedy": "delete-user", "expect": NOW}));
        let text = "the user has changed in the meantime, so nothing was changed; check it again";
        assert_eq!((refused.status, refused.json()["error"].as_str()), (409, Some(text)));
    }
}

#[test]
fn a_deletion_is_not_planned_for_what_is_no_login_id() {
    let api = DeskApi::start();
    api.add(json!({"id": "8", "externalId": NOW, "identities": [{"type": "email", "value": EMAIL}]}));
    let desk = start(Some(&api));
    for remedy in ["forget-email", "delete-user"] {
        for (expect, message) in [
            (USER, "the present login id is that of the old user"),
            ("8", "the present login id is the id of a user, but not the login id (external id) of one"),
        ] {
            let refused = desk.post("plan", &json!({"user": USER, "remedy": remedy, "expect": expect}));
            assert!(refused.status == 422 && refused.body.contains(message), "{refused:?}");
            let refused = desk.post("find", &json!({"email": EMAIL, "expect": expect}));
            assert!(refused.status == 422 && refused.body.contains(message), "{refused:?}");
        }
        api.then([Step::Do, answer(403, &json!({}))]);
        let unknown = desk.post("plan", &json!({"user": USER, "remedy": remedy, "expect": NOW}));
        assert!(unknown.status >= 400 && unknown.body.contains("status 403"), "{unknown:?}");
    }
}

#[test]
fn a_present_user_of_another_brand_is_a_present_user() {
    let api = DeskApi::start();
    api.add(json!({"id": "8", "externalId": NOW, "brandId": "1", "identities": []}));
    let desk = start(Some(&api));
    assert_eq!(desk.plan("delete-user")["warnings"], json!([]));
    let warnings = desk.plan("merge-into")["warnings"].to_string();
    assert!(!warnings.contains("No user has") && warnings.contains("User 8 of another brand has"), "{warnings}");
}

#[test]
fn wrong_settings_end_it_before_anything_is_served() {
    for (text, message) in [
        ("", "has neither [conversations] nor [chat_api]"),
        ("login.secret = \"x\"", "has neither [conversations] nor [chat_api]"),
        ("[conversations]\nsubdomain = \"acme\"", "conversations.key_secret"),
        ("[conversations]\nsubdomain = \"acme\"\n[chat_api]\nsubdomain = \"acme\"", "chat_api.token"),
        ("[chat_api", "is not TOML"),
    ] {
        let folder = Folder::new();
        folder.write("desk.toml", text);
        let output = desk(&[], &folder).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(message) && output.stdout.is_empty(), "{message}: {errors}");
        assert_eq!(output.status.code(), Some(2), "{errors}");
    }
}

#[test]
fn the_page_sees_the_outcome_after_a_signal_and_a_second_one_does_not_wait() {
    let api = DeskApi::start();
    let mut desk = start(Some(&api));
    let (plan, later) = (desk.plan("delete-user"), Reply::With(503, "Retry-After: 40\r\n".to_owned(), String::new()));
    api.then([Step::Do, Step::Say(later)]);
    assert_eq!(desk.resolve(&plan, "delete").status, 202);
    until("refused", || api.count("DELETE") == 1);
    send_signal("INT", &desk.process.0.id().to_string());
    let stopping = || desk.resolve(&json!({"plan": "x"}), "delete").body.contains("the support desk is stopping");
    until("stopping", stopping);
    assert_eq!(desk.job(&plan)["outcome"], Value::Null, "the page still answers");
    send_signal("INT", &desk.process.0.id().to_string());
    let mut errors = String::new();
    desk.process.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(desk.process.0.wait().unwrap().code(), Some(1), "{errors}");
    assert!(errors.contains("stopped before the work has ended; look at the users"), "{errors}");
}

#[test]
fn a_link_without_its_file_is_a_problem_and_not_a_first_start() {
    let folder = Folder::new();
    symlink(folder.path("nowhere"), folder.path("desk.toml")).unwrap();
    let output = desk(&[], &folder).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{errors}");
    assert!(errors.contains("desk.toml"), "{errors}");
}

#[test]
fn find_shows_the_players_present_user_of_each_brand() {
    let api = DeskApi::start();
    let user = |id: &str, external_id: &str, brand: &str| json!({"id": id, "externalId": external_id, "brandId": brand, "identities": [{"type": "email", "value": EMAIL}]});
    let mut present = user("7", NOW, "1");
    present["identities"] = Value::Null;
    for user in [user("6", "old-of-1", "1"), present] {
        api.add(user);
    }
    let desk = start(Some(&api));
    let found = desk.post("find", &json!({"email": EMAIL, "expect": NOW})).json();
    let roles: Vec<(&str, &str)> = found["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| (user["id"].as_str().unwrap(), user["role"].as_str().unwrap()))
        .collect();
    assert_eq!(roles, [(USER, "old"), ("6", "old"), ("7", "present")], "{found}");
    assert!(found["users"][1]["remedies"].as_array().unwrap().iter().all(|remedy| remedy["why_not"].is_null()));
    let same = desk.post("find", &json!({"email": EMAIL, "expect": "OLD-of-1"})).json();
    assert_eq!((&same["users"][1]["role"], &same["users"][1]["remedies"]), (&json!("present"), &json!([])), "{same}");
}
