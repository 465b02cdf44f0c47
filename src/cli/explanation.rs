//! What `inspect` prints of a token, for a person and for a script.

use std::fmt::Write;

use serde::Serialize;

use crate::config::products::Product;
use crate::http::error::ErrorCode;
use crate::login::Timestamp;
use crate::login::claims::whole_seconds;
use crate::login::json::{Json, Object};
use crate::zendesk::rules::Finding;

use super::opened::Opened;
use crate::terminal::{date, printable, time_claim};

/// Widest column of names; longer names push their values aside.
const MAX_WIDTH: usize = 40;

/// What is said of a number that is no time in seconds.
const NO_TIME: &str = "no time between 1970 and 9999; in milliseconds?";

/// Everything that is said of one token. Its JSON is what `--json` prints.
#[derive(Serialize)]
pub struct Explanation {
    /// What the token was judged as: `login`, or a product.
    pub judged_as: &'static str,
    /// Whether it is good.
    pub verdict: Verdict,
    /// What stood around it.
    taken_off: Vec<&'static str>,
    /// The code that the service would refuse it with, for the first product that does.
    pub refusal: Option<&'static str>,
    /// The key that verified it: `current`, `previous`, `published`, or the setting of a product's secret.
    pub signed_with: Option<&'static str>,
    /// What speaks against it.
    pub findings: Vec<Finding>,
    /// What a person should know of it, good or not.
    pub warnings: Vec<Finding>,
    /// What becomes of a login token, for each product that is configured.
    products: Vec<Judged>,
    header: Option<Object>,
    claims: Option<Object>,
    times: Vec<Time>,
}

/// The verdict of the code that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is good.
    Accepted,
    /// It is not.
    Refused,
    /// The Login API, which knows, gave no answer.
    Unknown,
}

/// What one product makes of a login.
#[derive(Serialize)]
struct Judged {
    product: &'static str,
    /// The code that the service would refuse it with.
    refusal: Option<&'static str>,
    /// What the agent would see of the player.
    agent_sees: Option<Object>,
}

/// A claim that is a time.
#[derive(Serialize)]
struct Time {
    claim: String,
    at: Option<String>,
    in_words: String,
}

impl Explanation {
    /// Of a token that nothing is said against so far.
    #[must_use]
    pub fn new(judged_as: &'static str, opened: Opened, now: Timestamp) -> Self {
        let times = opened.claims.iter().flatten().filter_map(|(claim, value)| {
            let at = whole_seconds(value.as_number()?)?;
            let (in_words, date) = (time_claim(claim, at, now)?, date(at));
            let in_words = if date.is_some() { in_words } else { NO_TIME.to_owned() };
            Some(Time { claim: claim.clone(), at: date, in_words })
        });
        Self {
            judged_as,
            verdict: Verdict::Accepted,
            taken_off: Vec::new(),
            refusal: None,
            signed_with: None,
            findings: Vec::new(),
            warnings: Vec::new(),
            products: Vec::new(),
            times: times.collect(),
            header: opened.header,
            claims: opened.claims,
        }
    }

    /// Adds a product whose agents would see this of the player.
    pub fn accept(&mut self, product: Product, agent_sees: Object) {
        self.products.push(Judged { product: product.word(), refusal: None, agent_sees: Some(agent_sees) });
    }

    /// Adds a product that the player gets no token for, or that can't be judged now.
    pub fn refuse(&mut self, product: Product, refusal: &'static str, is_unknown: bool, finding: Finding) {
        self.products.push(Judged { product: product.word(), refusal: Some(refusal), agent_sees: None });
        self.verdict = if is_unknown { Verdict::Unknown } else { Verdict::Refused };
        self.refusal = self.refusal.or(Some(refusal));
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Adds what stood around the token, and refuses it where the service does not read it so.
    pub fn wrap(&mut self, taken_off: Vec<&'static str>, defect: Option<Finding>) {
        self.taken_off = taken_off;
        let Some(defect) = defect else { return };
        self.verdict = Verdict::Refused;
        // What follows from the defect is not a second cause.
        if self.header.is_none() {
            self.findings.clear();
        }
        self.findings.insert(0, defect);
        // Issued tokens are not judged for products.
        for judged in &mut self.products {
            self.refusal = Some(ErrorCode::TokenInvalid.code());
            judged.refusal = self.refusal;
        }
    }

    /// For a person.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for layer in &self.taken_off {
            let _ = writeln!(text, "Taken off: {layer}");
        }
        self.write_members(&mut text, "Header", self.header.as_ref());
        self.write_members(&mut text, "Claims", self.claims.as_ref());
        let _ = match self.verdict {
            Verdict::Accepted => writeln!(text, "Good as a {} token", self.judged_as),
            Verdict::Refused => writeln!(text, "Refused as a {} token", self.judged_as),
            Verdict::Unknown => writeln!(text, "Can't be judged as a {} token", self.judged_as),
        };
        if let Some(key) = self.signed_with {
            let _ = writeln!(text, "  signed with {}", key_in_words(key));
        }
        for Judged { product, agent_sees, .. } in &self.products {
            for (name, value) in agent_sees.iter().flatten() {
                let _ = writeln!(text, "  {product}: the agent sees {name} {}", shown(value));
            }
        }
        for Finding { cause, mend } in &self.findings {
            let _ = writeln!(text, "  {}\n    → {}", printable(cause), printable(mend));
        }
        for Finding { cause, mend } in &self.warnings {
            let _ = writeln!(text, "  Warning: {}\n    → {}", printable(cause), printable(mend));
        }
        for Judged { product, refusal, .. } in &self.products {
            if let Some(refusal) = refusal {
                let _ = writeln!(text, "  {product}: the service answers {refusal}");
            }
        }
        text
    }

    fn write_members(&self, text: &mut String, title: &str, members: Option<&Object>) {
        let Some(members) = members else {
            let _ = writeln!(text, "{title}: can't be read\n");
            return;
        };
        let _ = writeln!(text, "{title}");
        let width = members.keys().map(|name| printable(name).chars().count()).max().unwrap_or_default().min(MAX_WIDTH);
        for (name, value) in members {
            let _ = write!(text, "  {:<width$}  {}", printable(name), shown(value));
            if let Some(time) = self.times.iter().find(|time| title == "Claims" && time.claim == *name) {
                let at = time.at.as_ref().map_or(String::new(), |at| format!("{at}, "));
                let _ = write!(text, "  {at}{}", time.in_words);
            }
            text.push('\n');
        }
        text.push('\n');
    }
}

fn shown(value: &Json) -> String {
    printable(&serde_json::to_string(value).unwrap_or_default())
}

/// The words of the log, for a person.
fn key_in_words(key: &str) -> &str {
    match key {
        "current" => "login.secret",
        "previous" => "the previous secret (login.previous_secret), which won't verify for ever",
        "published" => "the key that its kid names, which the login project publishes",
        other => other,
    }
}
