//! Is each secret strong, and in its own place?

use super::load::Reader;
use super::login::{Login, PREVIOUS_SECRET, SECRET, Signature};
use super::product_sections::key_id;
use super::products::{PRODUCTS, Product, Section};
use super::secret::Secret;

/// What a product's tokens are signed with.
#[derive(Debug)]
pub struct ProductKey {
    /// The shared secret.
    pub secret: Secret,
    /// The id by which Messaging knows the secret; the others have none.
    pub key_id: Option<String>,
}

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

/// Judges each secret alone and beside the others.
///
/// One secret in two places is one slot filled with the other's secret: whoever holds the weaker
/// side's secret could then mint for both.
pub fn check(reader: &mut Reader, login: &Login, products: &[Section]) {
    let allow_weak = reader.flag("allow_weak_secrets");
    let (current, previous) = match &login.signature {
        Signature::Secret { current, previous } => (Some(current), previous.as_ref()),
        Signature::Published { .. } => (None, None),
    };
    let own = [(SECRET, current), (PREVIOUS_SECRET, previous)];
    let products = products.iter().map(|section| (section.claims.product().secret_keys(), Some(&section.secret)));
    let mut seen: Vec<(&str, &Secret)> = Vec::new();
    for (keys, secret) in own.into_iter().chain(products) {
        let Some((key, secret)) = reader.read_from(keys).zip(secret) else { continue };
        check_secret(reader, key, secret, allow_weak);
        if let Some((twin, _)) = seen.iter().find(|(_, other)| other.bytes() == secret.bytes()) {
            reader
                .reject(key, format!("is the same secret as {twin}; each has its own, so one of the two is misplaced"));
        }
        seen.push((key, secret));
    }
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
