//! Settings of each Zendesk product: `[chat]`, `[messaging]`, `[help_center]` and `[support_sdk]`.

use std::time::Duration;

use super::problem::Source;
use super::reader::Reader;
use super::secret::Secret;
use super::settings::SETTINGS;

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

/// Longest life of a Messaging token. Zendesk sets no limit; ours is that of a login, a day by default,
/// since whoever finds the token is the player for so long.
const MESSAGING_MAX_LIFETIME: Duration = Duration::from_hours(24);

/// Most bytes of a key id, which goes into the header of every Messaging token. Zendesk's have 28.
const MAX_KEY_ID: usize = 255;

/// Most bytes of a label of a domain (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// Most bytes of a fallback domain: an email has 254 at most (RFC 5321 §4.5.3.1.3), and the player's id, a UUID, stands
/// before it.
const MAX_FALLBACK_DOMAIN: usize = 254 - 37;

/// The type of Xsolla's logins by a code that was sent to the email.
const PROVES_EMAIL: &str = "email";

const SECOND: Duration = Duration::from_secs(1);

/// Settings of one product whose tokens are issued.
#[derive(Debug)]
pub struct Section {
    /// The secret that its tokens are signed with.
    pub secret: Secret,
    /// How it wants a player named.
    pub identity: IdentityRule,
    /// What else goes into its tokens.
    pub claims: ClaimSet,
}

/// What a product's claims depend on, besides the player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimSet {
    /// See [`Product::Chat`].
    Chat {
        /// How long a token lives.
        lifetime: Duration,
    },
    /// See [`Product::Messaging`].
    Messaging {
        /// How long a token lives.
        lifetime: Duration,
        /// The id by which Zendesk knows the secret.
        key_id: String,
    },
    /// See [`Product::HelpCenter`].
    HelpCenter,
    /// See [`Product::SupportSdk`].
    SupportSdk,
}

/// How a product wants a player named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRule {
    /// Login claims to take the name from, in this order.
    pub name_from: Vec<String>,
    /// What becomes of the email.
    pub email: EmailRule,
    /// Every product's domain of made-up emails: whoever claims one as their own could be found as another player.
    pub fallback_domains: Vec<String>,
}

/// What becomes of a player's email.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmailRule {
    /// There has to be one, and it is the name where there is no other.
    Needed {
        /// Gives a player without an email `<sub>@<domain>`.
        fallback_domain: Option<String>,
    },
    /// It is sent when there is one.
    Unverified,
    /// The same, and the shop vouches for it that it is the player's own.
    Verified {
        /// For logins of these types alone (claim `type`); for all where there is nothing.
        types: Option<Vec<String>>,
    },
    /// It is kept back, as a name too.
    Omitted,
}

/// What a product's tokens are signed with.
#[derive(Debug)]
pub struct ProductKey {
    /// The shared secret.
    pub secret: Secret,
    /// The id by which Messaging knows the secret; the others have none.
    pub key_id: Option<String>,
}

impl Product {
    /// How a person names it, in arguments and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Messaging => "messaging",
            Self::HelpCenter => "help-center",
            Self::SupportSdk => "support-sdk",
        }
    }

    /// The setting that holds its secret, and the one that names a file instead.
    #[must_use]
    pub const fn secret_keys(self) -> [&'static str; 2] {
        match self {
            Self::Chat => ["chat.secret", "chat.secret_file"],
            Self::Messaging => ["messaging.secret", "messaging.secret_file"],
            Self::HelpCenter => ["help_center.secret", "help_center.secret_file"],
            Self::SupportSdk => ["support_sdk.secret", "support_sdk.secret_file"],
        }
    }

    /// Whether pages ask for its tokens; the others are asked for by Zendesk's servers.
    #[must_use]
    pub const fn is_for_pages(self) -> bool {
        matches!(self, Self::Chat | Self::Messaging | Self::HelpCenter)
    }

    /// Whether Zendesk takes the email of its tokens for the player; the others go by the external id.
    #[must_use]
    pub const fn knows_by_email(self) -> bool {
        matches!(self, Self::HelpCenter | Self::SupportSdk)
    }

    /// Whether a setting stands in its section.
    #[must_use]
    pub fn has_setting(self, key: &str) -> bool {
        let [own, _] = self.secret_keys();
        own.split('.').next() == key.split('.').next()
    }
}

impl ClaimSet {
    /// The product whose claims they are.
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

/// Every product that anything is set of; Chat where nothing is set of any, since there has to be one.
pub(super) fn wanted(reader: &Reader) -> Vec<Product> {
    let wanted: Vec<Product> = PRODUCTS.into_iter().filter(|product| first_set(reader, *product).is_some()).collect();
    if wanted.is_empty() { vec![Product::Chat] } else { wanted }
}

/// The first setting of a product that anybody set.
fn first_set(reader: &Reader, product: Product) -> Option<&'static str> {
    let is_given = |key: &str| !matches!(reader.source(key), Source::Default | Source::Missing);
    SETTINGS.iter().map(|setting| setting.key).find(|key| product.has_setting(key) && is_given(key))
}

/// Reads the section of every product that is wanted.
pub(super) fn read(reader: &mut Reader) -> Vec<Section> {
    let mut sections: Vec<Section> = wanted(reader).into_iter().map(|product| section(reader, product)).collect();
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

/// Reads one section whole, so that all that is wrong with it is reported.
fn section(reader: &mut Reader, product: Product) -> Section {
    let since = match first_set(reader, product) {
        Some(key) => format!(", since {key} ({}) is set", reader.source(key)),
        None => ", or that of another product: messaging.secret, help_center.secret or support_sdk.secret".to_owned(),
    };
    let identity = identity_rule(reader, product);
    let claims = claim_set(reader, product, &since);
    Section { identity, claims, secret: reader.required_secret(product.secret_keys(), &since, "") }
}

fn identity_rule(reader: &mut Reader, product: Product) -> IdentityRule {
    let needed = |reader: &mut Reader, key| {
        let needs = "needs a domain in lower case that is yours and takes no mail: players.example.com";
        EmailRule::Needed { fallback_domain: reader.checked(key, needs, is_fallback_domain) }
    };
    let (name_from, email) = match product {
        Product::Chat => ("chat.name_from", needed(reader, "chat.fallback_email_domain")),
        Product::Messaging => ("messaging.name_from", messaging_email(reader)),
        Product::HelpCenter => ("help_center.name_from", needed(reader, "help_center.fallback_email_domain")),
        Product::SupportSdk => ("support_sdk.name_from", needed(reader, "support_sdk.fallback_email_domain")),
    };
    IdentityRule { name_from: reader.list(name_from), email, fallback_domains: Vec::new() }
}

fn is_fallback_domain(text: &str) -> bool {
    is_email_domain(text)
        && text.len() <= MAX_FALLBACK_DOMAIN
        && !text.contains(|letter: char| letter.is_ascii_uppercase())
}

/// Whether a text can be the domain of an email: `Domain` (RFC 5321 §4.1.2) of two labels or more. The last has a
/// letter, or it would be an IPv4 address (RFC 1123 §2.1). An internationalized name has an ASCII form (RFC 5890
/// §2.3.2.1); only that can be compared without mapping it first.
#[must_use]
pub fn is_email_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let has_letter = |label: &str| label.bytes().any(|byte| byte.is_ascii_alphabetic());
    text.split('.').all(is_label) && text.rsplit_once('.').is_some_and(|(_, last)| has_letter(last))
}

fn messaging_email(reader: &mut Reader) -> EmailRule {
    const TYPES: &str = "messaging.verified_types";
    let types = reader.has(TYPES).then(|| reader.list(TYPES));
    let email = reader.parsed("messaging.email", |text| match text {
        "unverified" => Ok(EmailRule::Unverified),
        "verified" => Ok(EmailRule::Verified { types: types.clone() }),
        "omit" => Ok(EmailRule::Omitted),
        _ => Err("needs to be unverified, verified or omit".to_owned()),
    });
    match (&email, types) {
        (Some(EmailRule::Verified { .. }), None) => reader.warn(
            "messaging.email",
            "vouches for every email: see that the login project lets nobody in before the email is confirmed, or \
             whoever signs up with a player's email reads their conversations; messaging.verified_types = [\"email\"] \
             vouches only where a code was sent to it",
        ),
        (Some(EmailRule::Verified { .. }), Some(types)) => {
            let others: Vec<&str> = types.iter().map(String::as_str).filter(|own| *own != PROVES_EMAIL).collect();
            if !others.is_empty() {
                let what = "which does not prove the email: see that the login project lets nobody in by it before the \
                            email is confirmed, or keep to email";
                reader.warn(TYPES, format!("vouches for logins of type {}, {what}", others.join(", ")));
            }
        }
        (Some(_), Some(_)) => {
            reader.reject(TYPES, "needs messaging.email = \"verified\", which it limits; set that, or drop this");
        }
        (_, None) | (None, Some(_)) => {}
    }
    email.unwrap_or(EmailRule::Omitted)
}

fn claim_set(reader: &mut Reader, product: Product, since: &str) -> ClaimSet {
    match product {
        Product::Chat => ClaimSet::Chat { lifetime: reader.seconds("chat.lifetime", SECOND..=CHAT_MAX_LIFETIME) },
        Product::Messaging => {
            let lifetime = reader.seconds("messaging.lifetime", SECOND..=MESSAGING_MAX_LIFETIME);
            if !reader.has("messaging.key_id") {
                reader.reject("messaging.key_id", format!("is needed{since}; Zendesk shows it beside the secret"));
            }
            ClaimSet::Messaging { lifetime, key_id: key_id(reader).unwrap_or_default() }
        }
        Product::HelpCenter => ClaimSet::HelpCenter,
        Product::SupportSdk => ClaimSet::SupportSdk,
    }
}

fn key_id(reader: &mut Reader) -> Option<String> {
    let needs = "needs the key's id as Zendesk shows it, without blanks: app_0123456789abcdef01234567";
    let is_id = |text: &str| text.len() <= MAX_KEY_ID && text.bytes().all(|byte| byte.is_ascii_graphic());
    reader.checked("messaging.key_id", needs, is_id)
}

/// Gives each wanted product that lacks one a random secret, for a command whose tokens nobody gets.
pub(super) fn make_up_secrets(reader: &mut Reader) {
    for product in wanted(reader) {
        let [key, file_key] = product.secret_keys();
        if !reader.has_secret([key, file_key])
            && let Ok(secret) = Secret::generate()
        {
            reader.assume(key, String::from_utf8_lossy(secret.bytes()).into_owned());
        }
    }
    if !reader.has("messaging.key_id") {
        reader.assume("messaging.key_id", "none".to_owned());
    }
}

/// Reads what the products' tokens are signed with, `wanted` first, which has to be there.
pub(super) fn keys(reader: &mut Reader, wanted: Product) -> (ProductKey, Vec<(Product, Secret)>) {
    let secret = reader.required_secret(wanted.secret_keys(), "", "");
    let allow_weak = reader.flag("allow_weak_secrets");
    if let Some(key) = reader.read_from(wanted.secret_keys()) {
        check_secret(reader, key, &secret, allow_weak);
    }
    let others = PRODUCTS.into_iter().filter(|product| *product != wanted);
    let others = others.filter_map(|product| Some((product, reader.secret(product.secret_keys())?))).collect();
    let key_id = key_id(reader);
    reader.refuse_shown_secrets();
    (ProductKey { secret, key_id }, others)
}

/// Judges one secret alone.
pub(super) fn check_secret(reader: &mut Reader, key: &'static str, secret: &Secret, allow_weak: bool) {
    match secret.weakness() {
        Some(weakness) if weakness.may_be_allowed() && allow_weak => {
            reader.warn(key, format!("WEAK SECRET: {weakness}"));
        }
        Some(weakness) => reader.reject(key, weakness.to_string()),
        None => {}
    }
    if secret.has_wrapping() {
        reader.warn(key, "has white space or quotes around it, which count as part of it; is that meant?");
    }
    if secret.has_odd_characters() {
        reader.warn(key, "has characters that no generator of secrets makes; copy it again");
    }
}
