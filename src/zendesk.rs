//! What does Zendesk want to hear of a player?

pub mod identity;
pub mod signing_key;
pub mod chat;
pub mod rules;
