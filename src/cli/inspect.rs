//! `inspect`: checks the token on standard input, and explains what is wrong with it.

pub(crate) mod decoded_token;
mod explanation;
mod fixes;
pub(crate) mod input;

use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::config::login::Login;
use crate::config::products::{PRODUCTS, Product, ProductKeys};
use crate::config::{Config, environment};
use crate::exchange::{Exchange, ExchangeError, Issued};
use crate::http::error::{ErrorCode, Reason};
use crate::login::json::Object;
use crate::login::now;
use crate::login::token::LoginToken;
use crate::login::verifier::Credentials;
use crate::metrics::Metrics;
use crate::terminal::{block_on, json, print};
use crate::zendesk::rules::{self, Finding};
use crate::zendesk::signing_key::is_signed_with;

use decoded_token::DecodedToken;
use explanation::{Explanation, Verdict};
use input::Pasted;

pub(crate) const AFTER_HELP: &str = "\
The token comes from standard input, not from the arguments, which the shell keeps in its history:

  zendesk-token inspect --config FILE < token.txt
  xclip -out | zendesk-token inspect --config FILE --zendesk chat

Also accepted: Cookie, Set-Cookie or Authorization lines, a curl command, a URL with ?token=, or a JSON response.

Exit status: 0 the token is accepted, 1 it is refused or can't be checked, 2 wrong arguments or settings.";

/// Bytes read from standard input; a token has 8 KiB at most.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Check a token for this Zendesk product, instead of a login token
    #[arg(long, value_name = "PRODUCT")]
    zendesk: Option<Product>,

    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

impl ValueEnum for Product {
    fn value_variants<'a>() -> &'a [Self] {
        &PRODUCTS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

/// Explains the token on standard input; exit status 0 means that it is accepted.
pub(crate) fn run(arguments: &Arguments, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let explanation = if let Some(product) = arguments.zendesk {
        let keys = Config::load_for_product(file, &environment(), product)?;
        explain_issued(read_token("token")?, product, &keys)
    } else {
        let config = Config::load_for_login(file, &environment())?;
        let pasted = read_token(&config.login_cookie)?;
        let token = LoginToken::new(pasted.token.clone());
        if token.is_user_token() {
            explain_user_token(pasted, token, &config)?
        } else {
            explain_login(pasted, &config)?
        }
    };
    print(if arguments.json { json(&explanation)? } else { explanation.to_string() })?;
    Ok(if explanation.verdict == Verdict::Accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read_token(cookie: &str) -> anyhow::Result<Pasted> {
    let mut input = io::stdin().lock();
    if input.is_terminal() {
        writeln!(
            io::stderr(),
            "Paste the token, then press Enter and Ctrl-D (on Windows Ctrl-Z and Enter). A terminal cuts long lines, that of macOS after \
             1,024 characters and that of Linux after 4,095: put a longer token into a file."
        )?;
    }
    let mut bytes = Vec::new();
    input.by_ref().take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(Pasted::read(&bytes, cookie)?)
}

/// Checks a login token with the code of the service, for each configured product.
fn explain_login(pasted: Pasted, config: &Config) -> anyhow::Result<Explanation> {
    let exchange = Exchange::new(config, &Metrics::new(), None)?;
    let decoded = DecodedToken::read(&pasted.token);
    let mut explanation = Explanation::new("login", DecodedToken::read(&pasted.token), now());
    if !config.products.iter().all(|section| section.outlives_login) {
        explanation.warnings.extend(fixes::short_login(&decoded));
    }
    let credentials = Credentials { bearer: None, cookies: vec![LoginToken::new(pasted.token)] };
    block_on(async {
        let mut login_error = None;
        for product in config.products.iter().map(|section| section.product) {
            // Without a valid login, the result is the same for every product.
            let issued = match &login_error {
                Some(error) => Err(ExchangeError::clone(error)),
                None => exchange.run(product, &credentials, now()).await,
            };
            explanation.judge(product, &issued, &config.logins, &decoded);
            login_error = issued.err().filter(|error| matches!(error, ExchangeError::Login(_)));
        }
    })?;
    explanation.wrap(pasted.taken_off, pasted.defect);
    Ok(explanation)
}

/// Checks a user token of the Support SDK with the code of the service.
fn explain_user_token(pasted: Pasted, token: LoginToken, config: &Config) -> anyhow::Result<Explanation> {
    let exchange = Exchange::new(config, &Metrics::new(), None)?;
    let decoded = DecodedToken::read(&pasted.token);
    let mut explanation = Explanation::new("Support SDK user", DecodedToken::read(&pasted.token), now());
    let credentials = Credentials { bearer: Some(token), cookies: Vec::new() };
    let issued = block_on(exchange.run_for_app(&credentials, now()))?;
    explanation.judge(Product::SupportSdk, &issued, &config.logins, &decoded);
    explanation.wrap(pasted.taken_off, pasted.defect);
    Ok(explanation)
}

impl Explanation {
    /// Adds what the service answers for a product.
    fn judge(
        &mut self,
        product: Product,
        issued: &Result<Issued, ExchangeError>,
        logins: &[Login],
        decoded: &DecodedToken,
    ) {
        match issued {
            Ok(issued) => {
                self.set_login(Some(&issued.verified.login), Some(issued.verified.key));
                self.accept(product, agent_sees(issued));
            }
            Err(error) => {
                let (login, key) = error.login_and_key();
                self.set_login(login, key);
                let refusal = Reason::from(error.clone()).error_code();
                let is_unknown = matches!(refusal, ErrorCode::LoginUnavailable | ErrorCode::Internal);
                self.refuse(product, refusal.code(), is_unknown, fixes::finding(error, logins, decoded));
            }
        }
    }
}

/// The claims of an issued token that the agent sees.
fn agent_sees(issued: &Issued) -> Object {
    let claims = DecodedToken::read(issued.token.as_str().as_bytes()).claims.unwrap_or_default();
    let shown = ["name", "email", "email_verified", "external_id"];
    claims.into_iter().filter(|(name, _)| shown.contains(&name.as_str())).collect()
}

/// Checks a token for a Zendesk product against the rules of that product.
fn explain_issued(pasted: Pasted, product: Product, keys: &ProductKeys) -> Explanation {
    let (decoded, now) = (DecodedToken::read(&pasted.token), now());
    let token = &String::from_utf8_lossy(&pasted.token);
    let mut findings = Vec::new();
    let signed_with = is_signed_with(keys.secret.bytes(), token).then(|| product.secret_key());
    if let (Some(header), Some(claims)) = (&decoded.header, &decoded.claims) {
        if signed_with.is_none() {
            findings.push(wrong_secret(token, product, keys));
        }
        if decoded.has_duplicate_member {
            findings.push(Finding::new(
                "has the same JSON member twice",
                "send each member once: parsers disagree on which value counts",
            ));
        }
        findings.extend(rules::violations(product, header, claims, keys.key_id.as_deref(), now));
    } else {
        let cause = "is not a token: expected three base64url parts, with a JSON object in the first two";
        findings.push(Finding::new(cause, decoded.format_fix()));
    }
    let mut explanation = Explanation::new(product.as_str(), decoded, now);
    explanation.verdict = if findings.is_empty() { Verdict::Accepted } else { Verdict::Refused };
    (explanation.findings, explanation.signed_with) = (findings, signed_with);
    explanation.wrap(pasted.taken_off, pasted.defect);
    explanation
}

/// Says which common mistake made the signature, if any.
fn wrong_secret(token: &str, product: Product, keys: &ProductKeys) -> Finding {
    let own = product.secret_key();
    let other = keys.others.iter().find(|(_, secret)| is_signed_with(secret.bytes(), token));
    let fix = if let Some((other, _)) = other {
        format!("it is signed with {}; each product has its own secret", other.secret_key())
    } else if let Some(mistake) = mistake(token, keys.secret.bytes()) {
        format!("it is signed with {own} {mistake}; use the secret exactly as Zendesk shows it")
    } else {
        format!("check that the signer and {own} use the secret that Zendesk shows")
    };
    Finding::new(format!("not signed with {own}"), fix)
}

fn mistake(token: &str, secret: &[u8]) -> Option<&'static str> {
    let mistakes = [
        ("with a newline at its end", Some([secret, b"\n"].concat())),
        ("decoded from base64", STANDARD.decode(secret).ok()),
        ("decoded from hexadecimal", hex::decode(secret).ok()),
        ("in quotes", Some([b"\"", secret, b"\""].concat())),
    ];
    let is_made = |bytes: Option<Vec<u8>>| bytes.is_some_and(|bytes| is_signed_with(&bytes, token));
    mistakes.into_iter().find_map(|(mistake, bytes)| is_made(bytes).then_some(mistake))
}
