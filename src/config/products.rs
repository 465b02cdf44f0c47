//! Which secrets do Zendesk's products have, and is each in its own place?

use std::time::Duration;

use super::Chat;
use super::load::Reader;
use super::login::{Login, PREVIOUS_SECRET, SECRET, Signature};
use super::secret::Secret;

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

/// Longest life of a Chat token that Zendesk accepts: `exp` at most 420 s after `iat`
/// (support.zendesk.com, article 4408838925082).
pub const CHAT_MAX_LIFETIME: Duration = Duration::from_mins(7);

/// Every product.
pub const PRODUCTS: [Product; 4] = [Product::Chat, Product::Messaging, Product::HelpCenter, Product::SupportSdk];

impl Product {
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
}

/// What a product's tokens are signed with.
#[derive(Debug)]
pub struct ProductKey {
    /// The shared secret.
    pub secret: Secret,
    /// The id by which Messaging knows the secret; the others have none.
    pub key_id: Option<String>,
}

/// Products whose tokens are not issued yet, so that their secrets only serve to look into tokens.
const NOT_ISSUED: [Product; 3] = [Product::Messaging, Product::HelpCenter, Product::SupportSdk];

/// Reads what the products' tokens are signed with, `wanted` first, which has to be there.
pub fn keys(reader: &mut Reader, wanted: Product) -> (ProductKey, Vec<(Product, Secret)>) {
    let secret = reader.required_secret(wanted.secret_keys(), "");
    let allow_weak = reader.flag("allow_weak_secrets");
    if let Some(key) = reader.read_from(wanted.secret_keys()) {
        check_secret(reader, key, &secret, allow_weak);
    }
    let others = PRODUCTS.into_iter().filter(|product| *product != wanted);
    let others = others.filter_map(|product| Some((product, reader.secret(product.secret_keys())?))).collect();
    (ProductKey { secret, key_id: key_id(reader) }, others)
}

fn key_id(reader: &mut Reader) -> Option<String> {
    reader.parsed("messaging.key_id", |text| Ok(text.to_owned()))
}

/// Judges each secret alone and beside the others.
///
/// One secret in two places is one slot filled with the other's secret: whoever holds the weaker
/// side's secret could then mint for both.
pub fn check_secrets(reader: &mut Reader, login: &Login, chat: &Chat) {
    let allow_weak = reader.flag("allow_weak_secrets");
    let (current, previous) = match &login.signature {
        Signature::Secret { current, previous } => (Some(current), previous.as_ref()),
        Signature::Published { .. } => (None, None),
    };
    let others = NOT_ISSUED.map(|product| (product.secret_keys(), unissued(reader, product)));
    // Nobody needs it here, but a wrong one is told.
    let _ = key_id(reader);
    let own = [(SECRET, current), (PREVIOUS_SECRET, previous), (Product::Chat.secret_keys(), Some(&chat.secret))];
    let mut seen: Vec<(&str, &Secret)> = Vec::new();
    for (keys, secret) in own.into_iter().chain(others.iter().map(|(keys, secret)| (*keys, secret.as_ref()))) {
        let Some((key, secret)) = reader.read_from(keys).zip(secret) else { continue };
        check_secret(reader, key, secret, allow_weak);
        if let Some((twin, _)) = seen.iter().find(|(_, other)| other.bytes() == secret.bytes()) {
            reader
                .reject(key, format!("is the same secret as {twin}; each has its own, so one of the two is misplaced"));
        }
        seen.push((key, secret));
    }
}

/// Reads the secret of a product that no tokens are issued for.
fn unissued(reader: &mut Reader, product: Product) -> Option<Secret> {
    let secret = reader.secret(product.secret_keys());
    if let Some(key) = reader.read_from(product.secret_keys()) {
        reader.warn(key, "only serves inspect: tokens for this product are not issued yet");
    }
    secret
}

/// Judges one secret alone.
fn check_secret(reader: &mut Reader, key: &'static str, secret: &Secret, allow_weak: bool) {
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
}
