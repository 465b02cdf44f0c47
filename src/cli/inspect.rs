//! `inspect`: judges the token on standard input and says what is wrong with it.

use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;

use crate::config::products::{Product, ProductKey};
use crate::config::secret::Secret;
use crate::config::{Config, environment};
use crate::exchange::{Exchange, ExchangeError, Issued};
use crate::http::error::ErrorCode;
use crate::http::error::Reason;
use crate::http::token::now;
use crate::login::json::Object;
use crate::login::keys::VerifiedBy;
use crate::login::token::LoginToken;
use crate::login::verifier::Credentials;
use crate::metrics::Metrics;
use crate::zendesk::rules::{self, Finding};
use crate::zendesk::signing_key::is_signed_with;

use super::explanation::{Explanation, Verdict};
use super::mends;
use super::opened::Opened;
use super::pasted::Pasted;
use crate::terminal::{block_on, json, print};

/// What `inspect --help` says last.
pub const AFTER_HELP: &str = "\
The token comes from standard input, never from the arguments, which shells remember:

  zendesk-token inspect --config FILE < token.txt
  xclip -out | zendesk-token inspect --config FILE --zendesk chat

Cookie, Set-Cookie or Authorization lines, a curl command, an address with ?token=, or the JSON of an answer will do as well.

Exit status: 0 the token is good, 1 it is refused or can't be judged, 2 wrong arguments or settings.";

/// Most bytes read; a token has 8 KiB at most.
const MAX_BYTES: u64 = 1 << 20;

/// Arguments of `inspect`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Judge a token issued for this Zendesk product, instead of a login token
    #[arg(long, value_name = "PRODUCT")]
    zendesk: Option<ProductName>,

    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProductName {
    Chat,
    Messaging,
    HelpCenter,
    SupportSdk,
}

/// Explains the token on standard input; the exit status says whether it is good.
///
/// # Errors
/// No token, wrong settings, or a closed standard output.
pub fn run(arguments: &Arguments, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let explanation = if let Some(product) = arguments.zendesk {
        let product = product.product();
        let (key, others) = Config::load_for_product(file, environment(), product)?;
        explain_issued(read_token("token")?, product, &key, &others)
    } else {
        let config = Config::load_for_login(file, environment())?;
        explain_login(read_token(&config.login.cookie)?, &config)?
    };
    let told = if arguments.json { json(&explanation)? } else { explanation.text() };
    print(told)?;
    Ok(if explanation.verdict == Verdict::Accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl ProductName {
    const fn product(self) -> Product {
        match self {
            Self::Chat => Product::Chat,
            Self::Messaging => Product::Messaging,
            Self::HelpCenter => Product::HelpCenter,
            Self::SupportSdk => Product::SupportSdk,
        }
    }
}

/// The token on standard input.
fn read_token(cookie: &str) -> anyhow::Result<Pasted> {
    let mut input = io::stdin().lock();
    if input.is_terminal() {
        writeln!(
            io::stderr(),
            "Paste the token, then press Enter and Ctrl-D. A terminal cuts lines at 4,095 letters; longer ones need a file."
        )?;
    }
    let mut bytes = Vec::new();
    input.by_ref().take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(Pasted::read(&bytes, cookie)?)
}

/// Judges a login token by the exchange that serves, for each product that is configured.
fn explain_login(pasted: Pasted, config: &Config) -> anyhow::Result<Explanation> {
    let exchange = Exchange::new(config, &Metrics::new(), None)?;
    let opened = Opened::read(&pasted.token);
    let mut explanation = Explanation::new("login", Opened::read(&pasted.token), now());
    explanation.warnings.extend(mends::short_login(&opened));
    let credentials = Credentials { bearer: None, cookies: vec![LoginToken::new(pasted.token)] };
    block_on(async {
        let mut no_login = None;
        for product in config.products.iter().map(|section| section.claims.product()) {
            // Where there is no login, there is none for whichever product.
            let issued = match no_login {
                Some(error) => Err(error),
                None => exchange.run(product, &credentials, now()).await,
            };
            match issued {
                Ok(issued) => {
                    explanation.signed_with = Some(issued.verified_by.word());
                    explanation.accept(product, agent_sees(&issued));
                }
                Err(error) => {
                    explanation.signed_with = error.verified_by().map(VerifiedBy::word);
                    let refusal = Reason::from(error).error_code();
                    let is_unknown = matches!(refusal, ErrorCode::LoginUnavailable | ErrorCode::Internal);
                    let finding = mends::finding(error, &config.login, &opened);
                    explanation.refuse(product, refusal.code(), is_unknown, finding);
                    no_login = Some(error).filter(|error| matches!(error, ExchangeError::Login(_)));
                }
            }
        }
    })?;
    explanation.wrap(pasted.taken_off, pasted.defect);
    Ok(explanation)
}

/// What an issued token tells of the player.
fn agent_sees(issued: &Issued) -> Object {
    let claims = Opened::read(issued.token.as_str().as_bytes()).claims.unwrap_or_default();
    let told = ["name", "email", "email_verified", "external_id"];
    claims.into_iter().filter(|(name, _)| told.contains(&name.as_str())).collect()
}

/// Judges an issued token by its product's rules.
fn explain_issued(pasted: Pasted, product: Product, key: &ProductKey, others: &[(Product, Secret)]) -> Explanation {
    let (opened, now) = (Opened::read(&pasted.token), now());
    let token = &String::from_utf8_lossy(&pasted.token);
    let mut findings = Vec::new();
    let signed_with = is_signed_with(key.secret.bytes(), token).then(|| product.secret_keys()[0]);
    if let (Some(header), Some(claims)) = (&opened.header, &opened.claims) {
        if signed_with.is_none() {
            findings.push(wrong_secret(token, product, key, others));
        }
        if opened.has_member_twice {
            let mend = "send each once: readers disagree on which of the two counts";
            findings.push(Finding::new("has a member twice", mend));
        }
        findings.extend(rules::breaches(product, header, claims, key.key_id.as_deref(), now));
    } else {
        let cause = "is no token: not three parts in base64url, with a JSON object in the first two";
        findings.push(Finding::new(cause, opened.spelling_mend()));
    }
    let mut explanation = Explanation::new(product.word(), opened, now);
    explanation.verdict = if findings.is_empty() { Verdict::Accepted } else { Verdict::Refused };
    (explanation.findings, explanation.signed_with) = (findings, signed_with);
    explanation.wrap(pasted.taken_off, pasted.defect);
    explanation
}

/// Says which of the usual slips made the signature, where it is one.
fn wrong_secret(token: &str, product: Product, key: &ProductKey, others: &[(Product, Secret)]) -> Finding {
    let [own, _] = product.secret_keys();
    let other = others.iter().find(|(_, secret)| is_signed_with(secret.bytes(), token));
    let mend = if let Some((other, _)) = other {
        format!("it is signed with {}; each product has its own secret", other.secret_keys()[0])
    } else if let Some(slip) = slip(token, key.secret.bytes()) {
        format!("it is signed with {own} {slip}; use its bytes as Zendesk shows them")
    } else {
        format!("see that the signer and {own} have the secret that Zendesk shows")
    };
    Finding::new(format!("signed with another secret than {own}"), mend)
}

fn slip(token: &str, secret: &[u8]) -> Option<&'static str> {
    let slips = [
        ("and a newline after it", Some([secret, b"\n"].concat())),
        ("decoded from base64", STANDARD.decode(secret).ok()),
        ("decoded from hexadecimal", hex::decode(secret).ok()),
        ("in quotes", Some([b"\"", secret, b"\""].concat())),
    ];
    slips
        .into_iter()
        .find(|(_, bytes)| bytes.as_ref().is_some_and(|bytes| is_signed_with(bytes, token)))
        .map(|slip| slip.0)
}
