//! Which products get tokens, and does what is set of each make sense?

use std::time::Duration;

use super::load::Reader;
use super::origin::OriginPattern;
use super::problem::Source;
use super::products::{
    CHAT_MAX_LIFETIME, ClaimSet, EmailRule, IdentityRule, MESSAGING_MAX_LIFETIME, PRODUCTS, Product, Section,
};
use super::secret::Secret;
use super::settings::SETTINGS;

const SECOND: Duration = Duration::from_secs(1);

/// Most bytes of a key id, which goes into the header of every Messaging token. Zendesk's have 28.
const MAX_KEY_ID: usize = 255;

/// What to do about a product that something is set of, but no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingSecret {
    /// Tell the person.
    Reject,
    /// Make one up: no token is issued to anybody.
    MakeUp,
}

/// Reads the section of every product that is wanted.
pub fn read(reader: &mut Reader, missing: MissingSecret) -> Vec<Section> {
    let wanted: Vec<Product> = wanted(reader).collect();
    let sections = wanted.into_iter().filter_map(|product| section(reader, product, missing));
    let mut sections: Vec<Section> = sections.collect();
    let fallback_domains: Vec<String> =
        sections.iter().filter_map(|section| fallback_domain(section).cloned()).collect();
    for section in &mut sections {
        section.identity.fallback_domains.clone_from(&fallback_domains);
    }
    sections
}

const fn fallback_domain(section: &Section) -> Option<&String> {
    match &section.identity.email {
        EmailRule::Needed { fallback_domain } => fallback_domain.as_ref(),
        EmailRule::Unverified | EmailRule::Verified | EmailRule::Omitted => None,
    }
}

/// Every product that anything is set of; Chat where nothing is set of any, since there has to be one.
pub fn wanted(reader: &Reader) -> impl Iterator<Item = Product> {
    let is_set = |product: &Product| first_set(reader, *product).is_some();
    let is_any_set = PRODUCTS.iter().any(is_set);
    PRODUCTS.into_iter().filter(move |product| is_set(product) || !is_any_set && *product == Product::Chat)
}

/// The first setting of a product that anybody set.
fn first_set(reader: &Reader, product: Product) -> Option<&'static str> {
    let is_given = |key: &str| !matches!(reader.source(key), Source::Default | Source::Missing);
    SETTINGS.iter().map(|setting| setting.key).find(|key| product.has_setting(key) && is_given(key))
}

/// What of a product is set, and where: the reason that more is needed.
fn since(reader: &Reader, product: Product) -> Option<String> {
    first_set(reader, product).map(|key| format!("since {key} ({}) is set", reader.source(key)))
}

/// Reads one section whole, so that all that is wrong with it is told.
fn section(reader: &mut Reader, product: Product, missing: MissingSecret) -> Option<Section> {
    let identity = identity_rule(reader, product);
    let claims = claim_set(reader, product, missing);
    let secret = match missing {
        MissingSecret::MakeUp if !reader.has_secret(product.secret_keys()) => Secret::generate().ok(),
        MissingSecret::Reject if !reader.has_secret(product.secret_keys()) => {
            let [key, file_key] = product.secret_keys();
            let why = since(reader, product).unwrap_or_else(|| OR_ANOTHER.to_owned());
            reader.reject(key, format!("is needed, {why}; give it, or in {file_key} the path of a file that holds it"));
            None
        }
        MissingSecret::MakeUp | MissingSecret::Reject => reader.secret(product.secret_keys()),
    }?;
    Some(Section { secret, identity, claims })
}

const OR_ANOTHER: &str = "or that of another product: messaging.secret, help_center.secret or support_sdk.secret";

fn claim_set(reader: &mut Reader, product: Product, missing: MissingSecret) -> ClaimSet {
    match product {
        Product::Chat => {
            ClaimSet::Chat { lifetime: reader.seconds("chat.lifetime", SECOND..=CHAT_MAX_LIFETIME).unwrap_or_default() }
        }
        Product::Messaging => {
            let lifetime = reader.seconds("messaging.lifetime", SECOND..=MESSAGING_MAX_LIFETIME).unwrap_or_default();
            if missing == MissingSecret::Reject && !reader.has("messaging.key_id") {
                let why = since(reader, product).unwrap_or_default();
                reader.reject("messaging.key_id", format!("is needed, {why}; Zendesk shows it beside the secret"));
            }
            ClaimSet::Messaging { lifetime, key_id: key_id(reader).unwrap_or_default() }
        }
        Product::HelpCenter => ClaimSet::HelpCenter,
        Product::SupportSdk => ClaimSet::SupportSdk,
    }
}

/// Reads the id of the Messaging key.
pub fn key_id(reader: &mut Reader) -> Option<String> {
    let needs = "needs the key's id as Zendesk shows it, without blanks: app_0123456789abcdef01234567";
    reader.parsed("messaging.key_id", |text| {
        let is_id = text.len() <= MAX_KEY_ID && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_id { Ok(text.to_owned()) } else { Err(needs.to_owned()) }
    })
}

fn identity_rule(reader: &mut Reader, product: Product) -> IdentityRule {
    let needed = |reader: &mut Reader, key| EmailRule::Needed { fallback_domain: reader.parsed(key, domain) };
    let (name_from, email) = match product {
        Product::Chat => ("chat.name_from", needed(reader, "chat.fallback_email_domain")),
        Product::Messaging => ("messaging.name_from", messaging_email(reader)),
        Product::HelpCenter => ("help_center.name_from", needed(reader, "help_center.fallback_email_domain")),
        Product::SupportSdk => ("support_sdk.name_from", needed(reader, "support_sdk.fallback_email_domain")),
    };
    IdentityRule { name_from: reader.list(name_from), email, fallback_domains: Vec::new() }
}

fn messaging_email(reader: &mut Reader) -> EmailRule {
    let email = reader.parsed("messaging.email", |text| match text {
        "unverified" => Ok(EmailRule::Unverified),
        "verified" => Ok(EmailRule::Verified),
        "omit" => Ok(EmailRule::Omitted),
        _ => Err("needs to be unverified, verified or omit".to_owned()),
    });
    if email == Some(EmailRule::Verified) {
        reader.warn(
            "messaging.email",
            "vouches for every email: see that the login project lets nobody in before the email is confirmed, or \
             whoever signs up with a player's email reads their conversations",
        );
    }
    email.unwrap_or(EmailRule::Omitted)
}

fn domain(text: &str) -> Result<String, String> {
    let is_host = OriginPattern::parse(&format!("https://{text}")).is_ok_and(|origin| origin.is_exact());
    let is_domain =
        is_host && text.contains('.') && !text.contains(':') && text.ends_with(|last: char| !last.is_ascii_digit());
    let needs = "needs a domain in lower case that is yours and takes no mail: players.example.com";
    if is_domain { Ok(text.to_owned()) } else { Err(needs.to_owned()) }
}
