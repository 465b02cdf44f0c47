//! A stub of the support desk's APIs. It checks each request against the Sunshine Conversations API's own description
//! (`fixtures/sunshine-conversations-users.json`, of `zendesk/sunshine-conversations-api-spec` 17.12.1), and answers with its examples.
//! What that file does not have follows the same specification (creation, conversations) and developer.zendesk.com, *Merging users*.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::stub::{ReceivedRequest, Reply, Stub};

pub const APP: &str = "5d8cff3cd55b040010928b5b";
pub const KEY_ID: &str = "app_67a11490f0305f4a391e9f8b";
pub const KEY_SECRET: &str = "k3yS3cr3tOfTheConversationsApi";
pub const CHAT_TOKEN: &str = "0authT0kenOfTheChatApi";

/// The user of the description's examples.
pub const USER: &str = "67a11490f0305f4a391e9f8a";
pub const EXTERNAL_ID: &str = "your-own-id";
pub const EMAIL: &str = "sue@example.org";

/// An API with the user of the examples.
pub struct DeskApi {
    stub: Stub,
    state: Arc<State>,
}

/// How the API handles one request.
pub enum Step {
    /// Does what the request asks for, and answers as described.
    Do,
    /// Does nothing, and answers with this.
    Say(Reply),
    /// Does what the request asks for, and answers with this.
    DoAndSay(Reply),
}

/// Answers with this instead.
pub fn answer(status: u16, body: &Value) -> Step {
    Step::Say(Reply::Answer(status, body.to_string()))
}

/// An error of the Sunshine Conversations API.
pub fn error(code: &str, title: &str) -> Value {
    json!({"errors": [{"code": code, "title": title}]})
}

/// A status that the API has for its own failures.
pub fn failure(status: u16) -> Step {
    answer(status, &error("internal_error", "Something broke"))
}

struct State {
    description: Value,
    users: Mutex<Vec<Value>>,
    /// Ids of conversations with the ids of their users.
    conversations: Mutex<Vec<(String, String)>>,
    /// For the next requests; later ones are handled as described.
    steps: Mutex<VecDeque<Step>>,
    received: Mutex<Vec<ReceivedRequest>>,
    breaches: Mutex<Vec<String>>,
}

impl DeskApi {
    pub fn start() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sunshine-conversations-users.json");
        let description: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let users = description.pointer("/components/examples/listUsers/value/users").unwrap().as_array().unwrap();
        let users = Mutex::new(users.clone());
        let (steps, received, breaches) = (Mutex::default(), Mutex::default(), Mutex::default());
        let conversations = Mutex::default();
        let state = Arc::new(State { description, users, conversations, steps, received, breaches });
        let answering = Arc::clone(&state);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let stub = Stub::start(address, move |request| (String::new(), answering.answer(&request)));
        Self { stub, state }
    }

    /// The settings for this API.
    pub fn settings(&self) -> Vec<(String, String)> {
        let settings = [
            ("conversations.base_url", format!("{}/sc", self.stub.url())),
            ("conversations.app_id", APP.to_owned()),
            ("conversations.key_id", KEY_ID.to_owned()),
            ("conversations.key_secret", KEY_SECRET.to_owned()),
            ("chat_api.base_url", format!("{}/api/v2/chat", self.stub.url())),
            ("chat_api.token", CHAT_TOKEN.to_owned()),
        ];
        settings.map(|(key, value)| (key.to_owned(), value)).to_vec()
    }

    pub fn url(&self) -> String {
        self.stub.url()
    }

    pub fn then(&self, steps: impl IntoIterator<Item = Step>) {
        self.state.steps.lock().unwrap().extend(steps);
    }

    pub fn users(&self) -> Vec<Value> {
        self.state.users.lock().unwrap().clone()
    }

    pub fn add(&self, user: Value) {
        self.state.users.lock().unwrap().push(user);
    }

    /// Gives a user this many conversations.
    pub fn add_conversations(&self, user: &str, count: usize) {
        let mut conversations = self.state.conversations.lock().unwrap();
        let first = conversations.len();
        conversations.extend((first..first + count).map(|number| (format!("c{number:05}"), user.to_owned())));
    }

    /// How many conversations a user has.
    pub fn conversations(&self, user: &str) -> usize {
        self.state.conversations.lock().unwrap().iter().filter(|(_, owner)| owner == user).count()
    }

    /// Method and target of each request so far.
    pub fn asked(&self) -> Vec<String> {
        self.all().iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }

    pub fn all(&self) -> Vec<ReceivedRequest> {
        self.state.received.lock().unwrap().clone()
    }

    /// How many requests of a method there were.
    pub fn count(&self, method: &str) -> usize {
        self.all().iter().filter(|request| request.method == method).count()
    }
}

impl Drop for DeskApi {
    fn drop(&mut self) {
        let breaches = self.state.breaches.lock().unwrap();
        assert!(breaches.is_empty() || std::thread::panicking(), "{breaches:?}");
    }
}

/// Decodes percent-encoding; `None` if the result is not UTF-8.
pub fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.extend(hex::decode(digits).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

impl State {
    fn answer(&self, request: &ReceivedRequest) -> Reply {
        self.received.lock().unwrap().push(request.clone());
        let step = self.steps.lock().unwrap().pop_front().unwrap_or(Step::Do);
        if let Step::Say(reply) = step {
            return reply;
        }
        let is_chat = request.target.starts_with("/api/v2/");
        let described = if is_chat { visitor(request) } else { self.described(request) };
        let reply = described.unwrap_or_else(|breach| {
            self.breaches.lock().unwrap().push(format!("{breach}: {} {}", request.method, request.target));
            Reply::Answer(400, String::new())
        });
        if let Step::DoAndSay(other) = step { other } else { reply }
    }

    /// Checks a request against the description, and does what it asks for.
    fn described(&self, request: &ReceivedRequest) -> Result<Reply, &'static str> {
        let login = STANDARD.encode(format!("{KEY_ID}:{KEY_SECRET}"));
        if request.header("authorization") != Some(format!("Basic {login}").as_str()) {
            return Ok(Reply::Answer(401, error("unauthorized", "Authorization is required").to_string()));
        }
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let segments: Vec<&str> = path.strip_prefix("/sc/").ok_or("not below the base URL")?.split('/').collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("POST", ["v1.1", "apps", APP, "appusers", "merge"]) => return self.merge(&request.body),
            ("POST", ["v2", "apps", APP, "users"]) => return self.create(&request.body),
            ("GET", ["v2", "apps", APP, "conversations"]) => return self.list_conversations(query),
            _ => {}
        }
        let paths = self.description["paths"].as_object().unwrap();
        let fits = |template: &&String| {
            let parts: Vec<&str> = template.trim_start_matches('/').split('/').collect();
            parts.len() == segments.len()
                && parts.iter().zip(&segments).all(|(part, segment)| part.starts_with('{') || part == segment)
        };
        let template = paths.keys().find(fits).ok_or("no such path")?;
        let operation = paths[template].get(request.method.to_lowercase()).ok_or("no such method")?;
        let allowed = [&paths[template]["parameters"], &operation["parameters"]];
        let is_allowed = |name: &str| {
            let mut names = allowed.iter().filter_map(|list| list.as_array()).flatten();
            names.any(|parameter| parameter["$ref"].as_str().is_some_and(|reference| reference.ends_with(name)))
        };
        let query: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        for name in query.keys() {
            let parameter = match name.as_str() {
                "filter[identities.email]" => "userFilterQuery",
                "brandId" => "brandIdQuery",
                _ => return Err("an unknown parameter"),
            };
            if !is_allowed(parameter) {
                return Err("a parameter of another operation");
            }
        }
        if decoded(segments[2]).as_deref() != Some(APP) {
            return Ok(Reply::Answer(404, error("app_not_found", "App not found").to_string()));
        }
        let id = segments.get(4).map(|id| decoded(id).ok_or("an id that is not UTF-8")).transpose()?;
        match operation["operationId"].as_str().unwrap() {
            "ListUsers" => Ok(self.list(query.get("filter[identities.email]").ok_or("no filter")?)),
            name => Ok(self.act(name, &id.unwrap(), query.get("brandId").map(String::as_str), operation)),
        }
    }

    fn list(&self, email: &str) -> Reply {
        let has = |user: &&Value| {
            let identities = user["identities"].as_array().into_iter().flatten();
            identities.into_iter().any(|identity| identity["type"] == "email" && identity["value"] == email)
        };
        let users = self.users.lock().unwrap();
        Reply::Answer(200, json!({"users": users.iter().filter(has).collect::<Vec<_>>()}).to_string())
    }

    /// *Create User*: `externalId` is a text of 1 to 1,024 characters, `brandId` one of at most 24.
    fn create(&self, body: &str) -> Result<Reply, &'static str> {
        let body: BTreeMap<String, String> = serde_json::from_str(body).map_err(|_| "not a body of texts")?;
        if body.keys().any(|name| name != "externalId" && name != "brandId") {
            return Err("an unknown member");
        }
        let external_id = body.get("externalId").ok_or("no externalId")?;
        if external_id.is_empty() || external_id.len() > 1024 {
            return Err("an externalId of another length");
        }
        let mut users = self.users.lock().unwrap();
        let brand_id = body.get("brandId").map_or(Value::Null, |brand| json!(brand));
        if users.iter().any(|user| user["externalId"] == *external_id && user["brandId"] == brand_id) {
            return Ok(Reply::Answer(409, error("conflict", "User already exists").to_string()));
        }
        let id = format!("{:024x}", users.len() + 0xabc);
        users.push(json!({"id": id, "externalId": external_id, "brandId": brand_id, "identities": [], "profile": {}, "metadata": {}}));
        Ok(Reply::Answer(201, json!({"user": users.last()}).to_string()))
    }

    /// The merge of API v1.1: conversations, identities and profile of the discarded user go to the surviving one.
    fn merge(&self, body: &str) -> Result<Reply, &'static str> {
        let body: Value = serde_json::from_str(body).map_err(|_| "not JSON")?;
        let id = |name: &str| body[name]["_id"].as_str().map(str::to_owned);
        let (Some(surviving), Some(discarded)) = (id("surviving"), id("discarded")) else { return Err("no two ids") };
        if body.as_object().unwrap().len() != 2 || surviving == discarded {
            return Err("not a merge of two users");
        }
        let mut users = self.users.lock().unwrap();
        let at = |users: &[Value], id: &str| users.iter().position(|user| user["id"] == id);
        let (Some(_), Some(from)) = (at(&users, &surviving), at(&users, &discarded)) else {
            let error = json!({"error": {"code": "user_not_found", "description": "User not found"}});
            return Ok(Reply::Answer(404, error.to_string()));
        };
        let old = users.remove(from);
        let into = at(&users, &surviving).unwrap();
        let mut identities = users[into]["identities"].as_array().unwrap().clone();
        identities.extend(old["identities"].as_array().unwrap().iter().cloned());
        users[into]["identities"] = json!(identities);
        for (name, value) in old["profile"].as_object().into_iter().flatten() {
            users[into]["profile"][name] = value.clone();
        }
        for (_, owner) in self.conversations.lock().unwrap().iter_mut().filter(|(_, owner)| *owner == discarded) {
            owner.clone_from(&surviving);
        }
        Ok(Reply::Answer(200, json!({"appUser": {"_id": surviving}}).to_string()))
    }

    /// *List Conversations*, with cursors.
    fn list_conversations(&self, query: &str) -> Result<Reply, &'static str> {
        let query: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if query.keys().any(|name| !["filter[userId]", "page[size]", "page[after]"].contains(&name.as_str())) {
            return Err("an unknown parameter");
        }
        let user = query.get("filter[userId]").ok_or("no filter")?;
        let size: usize = query.get("page[size]").map_or(Ok(25), |size| size.parse()).map_err(|_| "not a size")?;
        if !(1..=100).contains(&size) {
            return Err("another size of a page");
        }
        let all = self.conversations.lock().unwrap();
        let after = |(id, _): &&(String, String)| query.get("page[after]").is_none_or(|after| id > after);
        let mut rest = all.iter().filter(|(_, owner)| owner == user).filter(after);
        let page: Vec<&str> = rest.by_ref().take(size).map(|(id, _)| id.as_str()).collect();
        let more = rest.next().is_some();
        let listed = page.iter().map(|id| {
            let second = id[1..].parse::<u32>().unwrap() % 60;
            let date = format!("2025-02-03T16:21:{second:02}.308Z");
            json!({"id": id, "type": "personal", "isDefault": false, "lastUpdatedAt": date, "createdAt": date})
        });
        let listed: Vec<Value> = listed.collect();
        let meta = if more { json!({"hasMore": true, "afterCursor": page.last()}) } else { json!({"hasMore": false}) };
        Ok(Reply::Answer(200, json!({"conversations": listed, "meta": meta}).to_string()))
    }

    fn act(&self, operation: &str, id: &str, brand: Option<&str>, described: &Value) -> Reply {
        let example = |name: &str| &self.description["components"]["examples"][name]["value"];
        let mut users = self.users.lock().unwrap();
        let is_in_brand =
            |user: &Value| brand.is_none_or(|brand| user["brandId"].as_str().is_none_or(|own| own == brand));
        // Upper and lower case of an external id are the same to Zendesk.
        let has_external_id =
            |user: &Value| user["externalId"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(id));
        let has_id = |user: &Value| user["id"] == id || has_external_id(user) && is_in_brand(user);
        let Some(at) = users.iter().position(has_id) else {
            let error = described.pointer("/responses/404/content/application~1json/examples/default/value").unwrap();
            return Reply::Answer(404, error.to_string());
        };
        match operation {
            "GetUser" => {}
            "DeleteUser" => {
                users.remove(at);
                return Reply::Answer(200, example("emptyResponse").to_string());
            }
            "DeleteUserPersonalInformation" => {
                for member in ["identities", "profile", "metadata"] {
                    users[at][member] = example("deleteUserPersonalInformation")["user"][member].clone();
                }
            }
            other => panic!("{other}"),
        }
        Reply::Answer(200, json!({"user": users[at]}).to_string())
    }
}

/// The visitor in the Chat API's documentation.
fn visitor(request: &ReceivedRequest) -> Result<Reply, &'static str> {
    if request.header("authorization") != Some(format!("Bearer {CHAT_TOKEN}").as_str()) {
        return Ok(Reply::Answer(401, json!({"error": "invalid_token"}).to_string()));
    }
    let visitor = json!({
        "banned": false, "notes": "", "id": "9855790.xjj3ukxyIhn6j3", "email": "sue@example.org", "phone": "", "created": 1_586_950_554,
        "name": "Sue", "external_id": "82cd5e0c-9d6e-4e7c-8d0b-7f6f6d5a1a11"
    });
    match (request.method.as_str(), request.target.as_str()) {
        ("GET", "/api/v2/chat/visitors/9855790-xjj3ukxyIhn6j3") => Ok(Reply::Answer(200, visitor.to_string())),
        ("GET", target) if target.starts_with("/api/v2/chat/visitors/") => {
            Ok(Reply::Answer(404, json!({"error": "NotFound", "message": "Visitor not found"}).to_string()))
        }
        _ => Err("no such path"),
    }
}
