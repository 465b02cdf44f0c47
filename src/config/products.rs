//! Settings of each Zendesk product: `[chat]`, `[messaging]`, `[help_center]` and `[support_sdk]`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::login::Login;
use super::reader::Reader;
use super::secret::Secret;
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

/// Longest lifetime of a Chat token that Zendesk accepts: `exp` at most 420 s after `iat`
/// (support.zendesk.com, article 4408838925082).
pub const CHAT_MAX_LIFETIME: Duration = Duration::from_mins(7);

const VERIFIED_TYPES: &str = "messaging.verified_types";
const USER_TOKEN_LIFETIME: &str = "support_sdk.user_token_lifetime";
const VALID_FROM: &str = "support_sdk.user_tokens_valid_from";

/// The settings of one product's section.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are the settings of these names, which the table describes")]
pub struct Section {
    pub product: Product,
    pub(crate) secret: Secret,
    /// The id of Messaging's key; other products have none.
    pub key_id: Option<String>,
    /// `None` for products whose tokens have no `exp`.
    pub lifetime: Option<Duration>,
    pub(crate) outlives_login: bool,
    pub name_from: Vec<String>,
    pub fallback_email_domain: Option<String>,
    /// `None` for products that need the email.
    pub email: Option<String>,
    pub verified_types: Option<Vec<String>>,
    /// `None` if the product has no user tokens, or they are not turned on.
    pub(crate) user_tokens: Option<UserTokens>,
}

/// The user tokens that the service issues to apps with the Support SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UserTokens {
    pub(crate) lifetime: Duration,
    /// In seconds since 1970; 0 if unset.
    pub(crate) valid_from: i64,
}

/// What the tokens of one product are signed with, and the secrets of the others that are set.
pub(crate) struct ProductKeys {
    pub(crate) secret: Secret,
    pub(crate) key_id: Option<String>,
    pub(crate) others: Vec<(Product, Secret)>,
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

    /// The setting that holds its secret.
    #[must_use]
    pub fn secret_key(self) -> &'static str {
        self.key("secret")
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

    /// The full key of a setting in its section; empty if the section has no such setting.
    fn key(self, name: &str) -> &'static str {
        settings::find(&format!("{}.{name}", self.as_str().replace('-', "_"))).map_or("", |setting| setting.key)
    }
}

/// Reads the sections of the products that have a setting which is set; that of Chat if there are none.
pub(super) fn read(reader: &mut Reader, logins: &[Login]) -> Vec<Section> {
    let mut products: Vec<_> = PRODUCTS.into_iter().filter(|product| first_set(reader, *product).is_some()).collect();
    if products.is_empty() {
        products.push(Product::Chat);
    }
    products.into_iter().map(|product| section(reader, product, logins)).collect()
}

/// Reads what the tokens of `product` are signed with, which must be set, and the secrets of the other products.
pub(super) fn keys(reader: &mut Reader, product: Product) -> ProductKeys {
    let secret = reader.required_secret(product.secret_key(), "");
    reader.check_secrets();
    let others = PRODUCTS.into_iter().filter(|other| *other != product);
    let others = others.filter_map(|other| Some((other, reader.secret(other.secret_key())?))).collect();
    reader.refuse_shown_secrets();
    ProductKeys { secret, key_id: reader.get("messaging.key_id"), others }
}

/// The first setting of a product that is set.
fn first_set(reader: &Reader, product: Product) -> Option<&'static str> {
    SETTINGS.iter().map(|setting| setting.key).find(|key| product.has_key(key) && reader.is_set(key))
}

fn section(reader: &mut Reader, product: Product, logins: &[Login]) -> Section {
    let since = match first_set(reader, product) {
        Some(key) => format!(", since {key} ({}) is set", reader.source(key)),
        None => ", or that of another product: messaging.secret, help_center.secret or support_sdk.secret".to_owned(),
    };
    if product == Product::Messaging && !reader.has("messaging.key_id") {
        reader.reject("messaging.key_id", format!("is needed{since}; Zendesk shows it next to the secret"));
    }
    let secret = reader.required_secret(product.secret_key(), &since);
    let section = Section {
        product,
        user_tokens: if product == Product::SupportSdk { user_tokens(reader, &secret) } else { None },
        secret,
        key_id: reader.get(product.key("key_id")),
        lifetime: reader.get_time(product.key("lifetime")),
        outlives_login: reader.value(product.key("outlives_login")),
        name_from: reader.list(product.key("name_from")),
        fallback_email_domain: reader.get(product.key("fallback_email_domain")),
        email: reader.get(product.key("email")),
        verified_types: reader.has(product.key("verified_types")).then(|| reader.list(VERIFIED_TYPES)),
    };
    check_verified_types(reader, &section, logins);
    section
}

/// Refuses a time in the future, since the tokens that are issued until then would have to be refused at once, and a secret that
/// can be guessed: only Zendesk sees what it signs, but every player has a user token to check a guess with.
fn user_tokens(reader: &mut Reader, secret: &Secret) -> Option<UserTokens> {
    let is_weak = !secret.bytes().is_empty() && secret.weakness().is_some();
    if reader.has(USER_TOKEN_LIFETIME) && reader.value("allow_weak_secrets") && is_weak {
        let what =
            "needs a support_sdk.secret that can't be guessed from a user token; reset it in Zendesk, or drop this";
        reader.reject(USER_TOKEN_LIFETIME, what);
    }
    reader.reject_alone(VALID_FROM, USER_TOKEN_LIFETIME);
    let valid_from = reader.get::<String>(VALID_FROM).and_then(|text| settings::timestamp(&text)).unwrap_or_default();
    let is_past = u64::try_from(valid_from).is_ok_and(|valid_from| Duration::from_secs(valid_from) <= since_1970());
    if !is_past {
        let what = "is in the future, and revokes what was issued before it; give a time that has passed (a date \
                    begins at 00:00 UTC)";
        reader.reject(VALID_FROM, what);
    }
    Some(UserTokens { lifetime: reader.get_time(USER_TOKEN_LIFETIME)?, valid_from })
}

#[expect(clippy::disallowed_methods, reason = "only to find a date that was mistyped; no token is judged by it")]
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Warns of types of login that do not prove the email. Of Xsolla, only the type `email` does: a code was sent to the
/// address. Other providers say in each token whether they verified the email.
fn check_verified_types(reader: &mut Reader, section: &Section, logins: &[Login]) {
    let unproven = |logins: &str| {
        format!(
            "confirms the email of {logins}, which does not prove it: make sure that the login project admits nobody \
             before the email is confirmed, or anyone who signs up with a player's email reads their conversations; \
             messaging.verified_types = [\"email\"] confirms only emails to which a code was sent"
        )
    };
    match (section.email.as_deref(), &section.verified_types) {
        (Some("verified"), _) if !logins.iter().any(Login::is_xsolla) => {}
        (Some("verified"), None) => reader.warn("messaging.email", unproven("every Xsolla login")),
        (Some("verified"), Some(types)) => {
            let others: Vec<&str> = types.iter().map(String::as_str).filter(|own| *own != "email").collect();
            if !others.is_empty() {
                reader.warn(VERIFIED_TYPES, unproven(&format!("Xsolla logins of type {}", others.join(", "))));
            }
            for login in logins.iter().filter(|login| login.is_xsolla() && !login.player.uses_email_claim()) {
                let what = "has emails that messaging.verified_types does not confirm: Xsolla sends its code to the address \
                            in the claim email; use that claim";
                reader.warn(&login.name.key("claims.email"), what);
            }
        }
        (_, Some(_)) => {
            let what = "needs messaging.email = \"verified\", which it limits; set that, or drop this";
            reader.reject(VERIFIED_TYPES, what);
        }
        (_, None) => {}
    }
}
