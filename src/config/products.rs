//! Settings of each Zendesk product: `[chat]`, `[messaging]`, `[help_center]` and `[support_sdk]`.

use std::time::Duration;

use super::origin::is_label;
use super::problem::Source;
use super::reader::Reader;
use super::secret::{Secret, Weakness};
use super::settings::{self, SETTINGS};

/// A Zendesk product that takes tokens. Each has its own secret and its own claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Zendesk Chat and the Web Widget (Classic)
    Chat,
    /// Messaging, on the web and in apps
    Messaging,
    /// The Help Center in the Web Widget (Classic)
    HelpCenter,
    /// The Support SDK in apps
    SupportSdk,
}

/// Every product.
pub const PRODUCTS: [Product; 4] = [Product::Chat, Product::Messaging, Product::HelpCenter, Product::SupportSdk];

/// Longest life of a Chat token that Zendesk accepts: `exp` at most 420 s after `iat`
/// (support.zendesk.com, article 4408838925082).
pub const CHAT_MAX_LIFETIME: Duration = Duration::from_mins(7);

/// Most bytes of a fallback domain: an email has at most 254 (RFC 5321 §4.5.3.1.3), of which the player's id, a UUID,
/// and the at sign take 37.
const MAX_FALLBACK_DOMAIN: usize = 254 - 37;

/// Settings of one product.
#[derive(Debug)]
pub struct Section {
    pub(crate) secret: Secret,
    /// Which claims of the login identify the player.
    pub identity: IdentityRule,
    /// The other claims of its tokens.
    pub claims: ClaimSet,
}

/// A product's claims besides the player's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the products, and their fields the settings of that name")]
pub enum ClaimSet {
    Chat { lifetime: Duration },
    Messaging { lifetime: Duration, key_id: String },
    HelpCenter,
    SupportSdk,
}

/// Which claims of a login a product takes name and email from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRule {
    /// Login claims to take the name from, in this order.
    pub name_from: Vec<String>,
    /// Which email is sent.
    pub email: EmailRule,
    /// The fallback domains of all products. A login that claims an email of one could pass for another player.
    pub(crate) fallback_domains: Vec<String>,
}

/// Which email of a player is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmailRule {
    /// The login's, which is required, and is the name if there is no other.
    Needed {
        /// Gives a player without an email `<sub>@<domain>`.
        fallback_domain: Option<String>,
    },
    /// The login's, if there is one.
    Unverified,
    /// The same, with `email_verified`.
    Verified {
        /// The types of login (claim `type`) that prove the email; all if unset.
        types: Option<Vec<String>>,
    },
    /// None, also not as a name.
    Omitted,
}

/// What a product's tokens are signed with.
#[derive(Debug)]
pub(crate) struct ProductKey {
    pub(crate) secret: Secret,
    /// The id of Messaging's key; other products have none.
    pub(crate) key_id: Option<String>,
}

impl Product {
    /// Its name in arguments, reports and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Messaging => "messaging",
            Self::HelpCenter => "help-center",
            Self::SupportSdk => "support-sdk",
        }
    }

    /// The setting that holds its secret, and the one that names a file instead.
    #[must_use]
    pub fn secret_keys(self) -> [&'static str; 2] {
        ["secret", "secret_file"].map(|name| self.key(name))
    }

    /// Whether pages fetch its tokens; Zendesk's servers fetch the others.
    #[must_use]
    pub const fn is_for_pages(self) -> bool {
        matches!(self, Self::Chat | Self::Messaging | Self::HelpCenter)
    }

    /// Whether Zendesk identifies the player by the email; the other products use the external id.
    pub(crate) const fn knows_by_email(self) -> bool {
        matches!(self, Self::HelpCenter | Self::SupportSdk)
    }

    /// Whether a setting is in its section.
    pub(super) fn has_key(self, key: &str) -> bool {
        key.split_once('.').is_some_and(|(section, _)| section.replace('_', "-") == self.as_str())
    }

    /// The full key of a setting in its section.
    fn key(self, name: &str) -> &'static str {
        settings::find(&format!("{}.{name}", self.as_str().replace('-', "_"))).map_or("", |setting| setting.key)
    }
}

impl ClaimSet {
    /// The product that these claims are for.
    #[must_use]
    pub const fn product(&self) -> Product {
        match self {
            Self::Chat { .. } => Product::Chat,
            Self::Messaging { .. } => Product::Messaging,
            Self::HelpCenter => Product::HelpCenter,
            Self::SupportSdk => Product::SupportSdk,
        }
    }
}

/// Whether a text can be the domain of an email: `Domain` (RFC 5321 §4.1.2) with two labels or more. The last has a
/// letter, or it would be an IPv4 address (RFC 1123 §2.1). Internationalized names are only accepted in their ASCII
/// form (RFC 5890 §2.3.2.1), which can be compared as it is.
#[must_use]
pub fn is_email_domain(text: &str) -> bool {
    let has_letter = |label: &str| label.bytes().any(|byte| byte.is_ascii_alphabetic());
    text.split('.').all(|label| is_label(label.as_bytes(), |byte| byte.is_ascii_uppercase()))
        && text.rsplit_once('.').is_some_and(|(_, last)| has_letter(last))
}

pub(super) fn is_fallback_domain(text: &str) -> bool {
    is_email_domain(text) && text.len() <= MAX_FALLBACK_DOMAIN && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether a text can be a key id, which is sent in the header of every token. Zendesk's have 28 bytes.
pub(super) fn is_key_id(text: &str) -> bool {
    text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Reads the section of every product of which something is set; that of Chat if there is none.
pub(super) fn read(reader: &mut Reader) -> Vec<Section> {
    let mut sections: Vec<Section> = configured(reader).into_iter().map(|product| section(reader, product)).collect();
    let fallback_domain = |section: &Section| match &section.identity.email {
        EmailRule::Needed { fallback_domain } => fallback_domain.clone(),
        EmailRule::Unverified | EmailRule::Verified { .. } | EmailRule::Omitted => None,
    };
    let fallback_domains: Vec<String> = sections.iter().filter_map(fallback_domain).collect();
    for section in &mut sections {
        section.identity.fallback_domains.clone_from(&fallback_domains);
    }
    sections
}

fn configured(reader: &Reader) -> Vec<Product> {
    let products: Vec<_> = PRODUCTS.into_iter().filter(|product| first_set(reader, *product).is_some()).collect();
    if products.is_empty() { vec![Product::Chat] } else { products }
}

/// The first setting of a product that is set.
fn first_set(reader: &Reader, product: Product) -> Option<&'static str> {
    let is_set = |key: &str| !matches!(reader.source(key), Source::Default | Source::Missing);
    SETTINGS.iter().map(|setting| setting.key).find(|key| product.has_key(key) && is_set(key))
}

fn section(reader: &mut Reader, product: Product) -> Section {
    let since = match first_set(reader, product) {
        Some(key) => format!(", since {key} ({}) is set", reader.source(key)),
        None => ", or that of another product: messaging.secret, help_center.secret or support_sdk.secret".to_owned(),
    };
    let email = match product {
        Product::Messaging => messaging_email(reader),
        Product::Chat | Product::HelpCenter | Product::SupportSdk => {
            EmailRule::Needed { fallback_domain: reader.get(product.key("fallback_email_domain")) }
        }
    };
    let name_from = reader.list(product.key("name_from"));
    let claims = match product {
        Product::Chat => ClaimSet::Chat { lifetime: reader.time("chat.lifetime") },
        Product::Messaging => {
            if !reader.has("messaging.key_id") {
                reader.reject("messaging.key_id", format!("is needed{since}; Zendesk shows it next to the secret"));
            }
            let lifetime = reader.time("messaging.lifetime");
            ClaimSet::Messaging { lifetime, key_id: reader.value("messaging.key_id") }
        }
        Product::HelpCenter => ClaimSet::HelpCenter,
        Product::SupportSdk => ClaimSet::SupportSdk,
    };
    let secret = reader.required_secret(product.secret_keys(), &since, "");
    Section { secret, identity: IdentityRule { name_from, email, fallback_domains: Vec::new() }, claims }
}

fn messaging_email(reader: &mut Reader) -> EmailRule {
    const TYPES: &str = "messaging.verified_types";
    let types = reader.has(TYPES).then(|| reader.list(TYPES));
    let email: String = reader.value("messaging.email");
    match (email.as_str(), &types) {
        ("verified", None) => reader.warn(
            "messaging.email",
            "confirms every email: make sure that the login project admits nobody before the email is confirmed, or \
             anyone who signs up with a player's email reads their conversations; messaging.verified_types = \
             [\"email\"] confirms only emails to which a code was sent",
        ),
        ("verified", Some(types)) => {
            // The type of Xsolla's logins with a code that was sent to the email.
            let others: Vec<&str> = types.iter().map(String::as_str).filter(|own| *own != "email").collect();
            if !others.is_empty() {
                let what = "which does not prove the email: make sure that the login project admits nobody that way \
                            before the email is confirmed, or keep to email";
                reader.warn(TYPES, format!("confirms the email of logins of type {}, {what}", others.join(", ")));
            }
        }
        ("unverified" | "omit", Some(_)) => {
            reader.reject(TYPES, "needs messaging.email = \"verified\", which it limits; set that, or drop this");
        }
        _ => {}
    }
    match email.as_str() {
        "verified" => EmailRule::Verified { types },
        "unverified" => EmailRule::Unverified,
        _ => EmailRule::Omitted,
    }
}

/// Sets a random secret for each configured product without one, for a command whose tokens are never sent.
pub(super) fn assume_secrets(reader: &mut Reader) {
    for [key, file_key] in configured(reader).into_iter().map(Product::secret_keys) {
        if !reader.has(key)
            && !reader.has(file_key)
            && let Ok(secret) = Secret::generate()
        {
            reader.assume(key, String::from_utf8_lossy(secret.bytes()).into_owned());
        }
    }
    if !reader.has("messaging.key_id") {
        reader.assume("messaging.key_id", "none".to_owned());
    }
}

/// Reads what the tokens of `product` are signed with, which must be set, and the secrets of the other products.
pub(super) fn keys(reader: &mut Reader, product: Product) -> (ProductKey, Vec<(Product, Secret)>) {
    let secret = reader.required_secret(product.secret_keys(), "", "");
    let allow_weak = reader.value("allow_weak_secrets");
    if let Some(key) = reader.read_from(product.secret_keys()) {
        check_secret(reader, key, &secret, allow_weak);
    }
    let others = PRODUCTS.into_iter().filter(|other| *other != product);
    let others = others.filter_map(|other| Some((other, reader.secret(other.secret_keys())?))).collect();
    let key_id = reader.get("messaging.key_id");
    reader.refuse_shown_secrets();
    (ProductKey { secret, key_id }, others)
}

/// Checks one secret.
pub(super) fn check_secret(reader: &mut Reader, key: &str, secret: &Secret, allow_weak: bool) {
    match secret.weakness() {
        Some(Weakness { text, may_be_allowed: true }) if allow_weak => reader.warn(key, format!("WEAK SECRET: {text}")),
        Some(Weakness { text, may_be_allowed: true }) => {
            reader.reject(key, format!("{text}, or set allow_weak_secrets = true if the other side chose it"));
        }
        Some(Weakness { text, .. }) => reader.reject(key, text),
        None => {}
    }
    if secret.has_wrapping() {
        reader.warn(key, "has white space or quotes around it, which count as part of it; is that intended?");
    }
    if secret.has_odd_characters() {
        reader.warn(key, "has characters that no generator of secrets makes; copy it again");
    }
}
