//! Which Zendesk products are there, and what can be set of each?

use std::time::Duration;

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

/// Longest life of a Messaging token. Zendesk sets no limit; ours is that of a login, a day by default,
/// since whoever finds the token is the player for so long.
pub const MESSAGING_MAX_LIFETIME: Duration = Duration::from_hours(24);

/// Every product.
pub const PRODUCTS: [Product; 4] = [Product::Chat, Product::Messaging, Product::HelpCenter, Product::SupportSdk];

/// What is set of one product whose tokens are issued.
#[derive(Debug)]
pub struct Section {
    /// The secret that its tokens are signed with.
    pub secret: Secret,
    /// How it wants a player named.
    pub identity: IdentityRule,
    /// What else goes into its tokens.
    pub claims: ClaimSet,
}

/// What a product's claims hang on, besides the player.
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
    Verified,
    /// It is kept back, as a name too.
    Omitted,
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
        match self {
            Self::Chat | Self::Messaging | Self::HelpCenter => true,
            Self::SupportSdk => false,
        }
    }

    /// Whether Zendesk takes the email of its tokens for the player; the others go by the external id.
    #[must_use]
    pub const fn knows_by_email(self) -> bool {
        match self {
            Self::HelpCenter | Self::SupportSdk => true,
            Self::Chat | Self::Messaging => false,
        }
    }

    /// Whether a setting stands in its section.
    #[must_use]
    pub fn has_setting(self, key: &str) -> bool {
        let section = |key: &str| key.split('.').next().map(str::to_owned);
        section(key) == section(self.secret_keys()[0])
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
