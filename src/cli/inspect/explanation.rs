//! The report of `inspect` on one token, as text and as JSON.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use crate::config::login::LoginName;
use crate::config::products::Product;
use crate::http::error::ErrorCode;
use crate::login::Timestamp;
use crate::login::claims::whole_seconds;
use crate::login::json::{Json, Object};
use crate::login::keys::VerifiedBy;
use crate::terminal::{date, printable, time_claim};
use crate::zendesk::rules::Finding;

use super::decoded_token::DecodedToken;

/// Widest column of names, in characters.
const MAX_WIDTH: usize = 40;

/// `Serialize` gives the JSON of `--json`, `Display` the text.
#[derive(Serialize)]
pub(crate) struct Explanation {
    judged_as: &'static str,
    pub(crate) verdict: Verdict,
    taken_off: Vec<&'static str>,
    /// The error code of the first product that refuses the token.
    refusal: Option<&'static str>,
    /// The login that a login token is for.
    login: Option<LoginName>,
    /// `current`, `previous`, `published`, `user-token`, or the setting of a product's secret.
    pub(crate) signed_with: Option<&'static str>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) warnings: Vec<Finding>,
    /// One entry for each configured product; empty for a Zendesk token.
    products: Vec<ProductVerdict>,
    header: Option<Object>,
    claims: Option<Object>,
    times: Vec<Time>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Accepted,
    Refused,
    /// The Login API did not answer.
    Unknown,
}

#[derive(Serialize)]
struct ProductVerdict {
    product: &'static str,
    /// The error code of the service's answer.
    refusal: Option<&'static str>,
    /// The claims that the agent sees.
    agent_sees: Option<Object>,
}

#[derive(Serialize)]
struct Time {
    claim: String,
    at: Option<String>,
    in_words: String,
}

impl Explanation {
    /// An accepted token, so far.
    pub(crate) fn new(judged_as: &'static str, decoded: DecodedToken, now: Timestamp) -> Self {
        let times = decoded.claims.iter().flatten().filter_map(|(claim, value)| {
            let at = whole_seconds(value.as_number()?)?;
            let (in_words, date) = (time_claim(claim, at, now)?, date(at));
            let in_words =
                if date.is_some() { in_words } else { "not between 1970 and 9999; in milliseconds?".to_owned() };
            Some(Time { claim: claim.clone(), at: date, in_words })
        });
        Self {
            judged_as,
            verdict: Verdict::Accepted,
            taken_off: Vec::new(),
            refusal: None,
            login: None,
            signed_with: None,
            findings: Vec::new(),
            warnings: Vec::new(),
            products: Vec::new(),
            times: times.collect(),
            header: decoded.header,
            claims: decoded.claims,
        }
    }

    /// Sets the login that the token is for, and the key that verified it.
    pub(crate) fn set_login(&mut self, login: Option<&LoginName>, key: Option<VerifiedBy>) {
        self.login = login.cloned();
        self.signed_with = key.map(VerifiedBy::as_str);
    }

    /// Adds a product that accepts the login.
    pub(crate) fn accept(&mut self, product: Product, agent_sees: Object) {
        self.products.push(ProductVerdict { product: product.as_str(), refusal: None, agent_sees: Some(agent_sees) });
    }

    /// Adds a product that refuses the login, or can't check it now.
    pub(crate) fn refuse(&mut self, product: Product, refusal: &'static str, is_unknown: bool, finding: Finding) {
        self.products.push(ProductVerdict { product: product.as_str(), refusal: Some(refusal), agent_sees: None });
        self.verdict = if is_unknown { Verdict::Unknown } else { Verdict::Refused };
        self.refusal = self.refusal.or(Some(refusal));
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Adds what was removed around the token, and the defect of the cookie, for which the service refuses the token.
    pub(crate) fn wrap(&mut self, taken_off: Vec<&'static str>, defect: Option<Finding>) {
        self.taken_off = taken_off;
        let Some(defect) = defect else { return };
        self.verdict = Verdict::Refused;
        // If the token can't be read, the defect is the only cause.
        if self.header.is_none() {
            self.findings.clear();
        }
        self.findings.insert(0, defect);
        for product in &mut self.products {
            self.refusal = Some(ErrorCode::TokenInvalid.code());
            product.refusal = self.refusal;
            product.agent_sees = None;
        }
    }

    fn write_members(&self, f: &mut Formatter<'_>, title: &str, members: Option<&Object>) -> fmt::Result {
        let Some(members) = members else {
            return writeln!(f, "{title}: can't be read\n");
        };
        writeln!(f, "{title}")?;
        let width = members.keys().map(|name| printable(name).chars().count()).max().unwrap_or_default().min(MAX_WIDTH);
        for (name, value) in members {
            write!(f, "  {:<width$}  {}", printable(name), printable_value(value))?;
            if let Some(time) = self.times.iter().find(|time| title == "Claims" && time.claim == *name) {
                let at = time.at.as_ref().map_or(String::new(), |at| format!("{at}, "));
                write!(f, "  {at}{}", time.in_words)?;
            }
            writeln!(f)?;
        }
        writeln!(f)
    }
}

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for layer in &self.taken_off {
            writeln!(f, "Removed: {layer}")?;
        }
        self.write_members(f, "Header", self.header.as_ref())?;
        self.write_members(f, "Claims", self.claims.as_ref())?;
        let verdict = match self.verdict {
            Verdict::Accepted => "Accepted",
            Verdict::Refused => "Refused",
            Verdict::Unknown => "Can't be checked now",
        };
        writeln!(f, "{verdict} as a {} token", self.judged_as)?;
        if let Some(login) = &self.login {
            writeln!(f, "  for the login {}", login.as_str())?;
        }
        if let Some(key) = self.signed_with {
            writeln!(f, "  signed with {}", key_text(key, self.login.as_ref()))?;
        }
        for ProductVerdict { product, agent_sees, .. } in &self.products {
            for (name, value) in agent_sees.iter().flatten() {
                writeln!(f, "  {product}: the agent sees {name} {}", printable_value(value))?;
            }
        }
        for (prefix, findings) in [("", &self.findings), ("Warning: ", &self.warnings)] {
            for Finding { cause, fix } in findings {
                writeln!(f, "  {prefix}{}\n    → {}", printable(cause), printable(fix))?;
            }
        }
        for ProductVerdict { product, refusal, .. } in &self.products {
            if let Some(refusal) = refusal {
                writeln!(f, "  {product}: the service answers {refusal}")?;
            }
        }
        Ok(())
    }
}

fn printable_value(value: &Json) -> String {
    printable(&serde_json::to_string(value).unwrap_or_default())
}

fn key_text(key: &str, login: Option<&LoginName>) -> String {
    let own = |name: &str| login.map_or_else(|| name.to_owned(), |login| login.key(name));
    match key {
        "current" => own("secret"),
        "previous" => format!("{}; such tokens are refused after you remove that setting", own("previous_secret")),
        "user-token" => "a key derived from support_sdk.secret".to_owned(),
        "published" => "the login's published key that the token's kid names".to_owned(),
        other => other.to_owned(),
    }
}
