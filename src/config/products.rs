//! Which secrets do Zendesk's products have, and is each in its own place?

use super::Chat;
use super::load::Reader;
use super::login::{Login, Signature};
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
    let [key, file_key] = wanted.secret_keys();
    let secret = reader.required_secret(key, file_key);
    let allow_weak = reader.flag("allow_weak_secrets");
    if reader.was_read(key) || reader.was_read(file_key) {
        check_secret(reader, if reader.has(key) { key } else { file_key }, &secret, allow_weak);
    }
    let others = PRODUCTS.into_iter().filter(|product| *product != wanted);
    let others = others.filter_map(|product| {
        let [key, file_key] = product.secret_keys();
        Some((product, reader.secret(key, file_key)?))
    });
    let others = others.collect();
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
    let _ = key_id(reader);
    let own = [
        (["login.secret", "login.secret_file"], current),
        (["login.previous_secret", "login.previous_secret_file"], previous),
        (Product::Chat.secret_keys(), Some(&chat.secret)),
    ];
    let mut seen: Vec<(&str, &Secret)> = Vec::new();
    for (keys, secret) in own.into_iter().chain(others.iter().map(|(keys, secret)| (*keys, secret.as_ref()))) {
        let Some((key, secret)) = keys.into_iter().find(|key| reader.was_read(key)).zip(secret) else { continue };
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
    let [key, file_key] = product.secret_keys();
    let secret = reader.secret(key, file_key);
    if secret.is_some() {
        let read = if reader.has(key) { key } else { file_key };
        reader.warn(read, "only serves inspect: tokens for this product are not issued yet");
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
