//! The remedies of a conflict: what each keeps and deletes, what it needs, and how it is carried out.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::terminal::printable;

use super::api::{ApiError, Refusal};
use super::conversations::{Conversations, Record, User};
use super::finding::{conflicts, is_same_login_id};
use super::messages::{ApiFailure, BRAND, CONVERSATIONS};
use super::record;

/// A way to free the email of an old user for the player's present user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Merges the old user into the present one.
    Merge,
    /// Deletes personal information; keeps the conversations.
    ForgetEmail,
    /// Deletes the user and its conversations.
    DeleteUser,
}

/// From gentle to hard.
pub(super) const REMEDIES: [Remedy; 3] = [Remedy::Merge, Remedy::ForgetEmail, Remedy::DeleteUser];

/// What a merge was tested against, and what to look at after it.
pub(super) const MERGE_NOTE: &str = "The merge was tested against a stand-in that follows the documentation of Zendesk's API, not against an \
     account of Zendesk. After it, open the player's conversations in Zendesk and check that the old ones are there.";

pub(super) const OTHER_BRAND: &str = "is of a user of another brand; only users of one brand can be merged";

/// Most emails of a user that are looked up after a remedy.
const MAX_EMAILS: usize = 100;

const CHECKING: &str = "checking the result";

/// A remedy for one user, checked and ready to be carried out.
pub(super) struct Plan {
    /// The old user.
    pub(super) old: User,
    /// The player's present login id, if it is known.
    login_id: Option<String>,
    /// Whether no user has that login id, in any brand.
    is_new_player: bool,
    action: Action,
}

/// A [`Remedy`] with what it needs.
enum Action {
    Merge(Target),
    ForgetEmail,
    DeleteUser,
}

/// The player's present user, for a merge.
pub(super) enum Target {
    Existing(User),
    /// None yet.
    New(NewUser),
}

/// A user that is created for a merge, in the brand of the old one.
pub(super) struct NewUser {
    pub(super) login_id: String,
    /// A user of another brand that has the login id.
    elsewhere: Option<User>,
}

/// Why there is no plan.
#[derive(Debug)]
pub(super) enum PlanError {
    /// No login id of a player is like this; the text says why, and what to do.
    NotALoginId(&'static str),
    /// The users can't be merged; the text says why the login id can't be the player's present one, and what to do.
    Impossible(&'static str),
    Api(ApiError),
}

/// The state of the API after a remedy.
pub(super) struct After {
    /// The old user; `None` if it does not exist any more.
    pub(super) old: Option<User>,
    /// The user that it was merged into.
    pub(super) merged_into: Option<User>,
    /// Whether that user was created for the merge.
    pub(super) created: bool,
    /// The users that have an email which the old user had, except the one that it was merged into.
    pub(super) holders: Vec<User>,
}

/// The users are not as they were shown.
#[derive(Debug, thiserror::Error)]
#[error("the user has changed in the meantime, so nothing was changed; check it again")]
pub(super) struct Changed;

impl Remedy {
    /// The argument that selects the remedy.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge-into",
            Self::ForgetEmail => "forget-email",
            Self::DeleteUser => "delete-user",
        }
    }

    /// What the remedy is called on the page.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Merge => "Merge into the player's present user",
            Self::ForgetEmail => "Delete the email and the personal information",
            Self::DeleteUser => "Delete the user and its conversations",
        }
    }

    /// What is there afterwards.
    pub(super) const fn keeps(self) -> &'static [&'static str] {
        match self {
            Self::Merge => &[
                "All conversations, for the player and for your agents",
                "The email, name and other personal information, now of the present user",
            ],
            Self::ForgetEmail => &["The conversations, for your agents"],
            Self::DeleteUser => &[],
        }
    }

    /// What is lost for good.
    pub(super) const fn loses(self) -> &'static [&'static str] {
        match self {
            Self::Merge => &[
                "The old user itself: who signs in with the old login id gets a new user",
                "The present user's name and other values, where the old user has them too",
                "Custom data (metadata) beyond 4 KB",
                "The player may have to sign in again",
            ],
            Self::ForgetEmail => &[
                "The old user's email, name, picture and custom fields",
                "The player does not see the old conversations any more",
            ],
            Self::DeleteUser => {
                &["The old user's conversations, also for your agents", "Everything else of the old user"]
            }
        }
    }

    /// The word that confirms the remedy on the page.
    pub(super) const fn confirmation(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::ForgetEmail | Self::DeleteUser => "delete",
        }
    }

    /// What the remedy does, in few words.
    pub(super) const fn summary(self) -> &'static str {
        match self {
            Self::Merge => {
                "moves everything to the player's present user: the player and your agents keep the conversations"
            }
            Self::ForgetEmail => {
                "frees the email; keeps the conversations, deletes the user's name and other personal information"
            }
            Self::DeleteUser => "permanently deletes the user and all its conversations",
        }
    }
}

impl Plan {
    /// Looks up the users of a remedy. `login_id` is the player's present one, which a merge needs. Without it, it is not known whether
    /// another user that has the email is the player.
    pub(super) async fn prepare(
        conversations: &Conversations,
        remedy: Remedy,
        old: &str,
        login_id: Option<&str>,
    ) -> Result<Self, PlanError> {
        let old = conversations.show(old).await?.user;
        let target = match login_id {
            Some(login_id) => match Target::find(conversations, &old, login_id).await {
                Ok(target) => Some(target),
                // A user has the login id, but not one to merge with.
                Err(PlanError::Impossible(_)) if remedy != Remedy::Merge => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        let is_new_player = matches!(target, Some(Target::New(NewUser { elsewhere: None, .. })));
        let action = match (remedy, target) {
            (Remedy::Merge, Some(target)) => Action::Merge(target),
            (Remedy::Merge, None) => return Err(PlanError::NotALoginId("is missing")),
            (Remedy::ForgetEmail, _) => Action::ForgetEmail,
            (Remedy::DeleteUser, _) => Action::DeleteUser,
        };
        Ok(Self { old, login_id: login_id.map(str::to_owned), is_new_player, action })
    }

    pub(super) const fn remedy(&self) -> Remedy {
        match self.action {
            Action::Merge(_) => Remedy::Merge,
            Action::ForgetEmail => Remedy::ForgetEmail,
            Action::DeleteUser => Remedy::DeleteUser,
        }
    }

    /// Where a merge leads.
    pub(super) const fn target(&self) -> Option<&Target> {
        if let Action::Merge(target) = &self.action { Some(target) } else { None }
    }

    /// The requests that the plan sends, in their order.
    pub(super) fn requests(&self, conversations: &Conversations) -> Result<Vec<String>, ApiError> {
        let user = &self.old;
        Ok(match &self.action {
            Action::Merge(target) => {
                let create = matches!(target, Target::New(_)).then(|| conversations.create_url()).transpose()?;
                create.into_iter().chain([conversations.merge_url()?]).map(|url| format!("POST {url}")).collect()
            }
            Action::ForgetEmail => vec![format!("DELETE {}", conversations.forget_url(user)?)],
            Action::DeleteUser => vec![format!("DELETE {}", conversations.delete_url(user)?)],
        })
    }

    /// What the remedy does to these users: "This will …", or "This would …" in a dry run.
    pub(super) fn effect(&self, verb: &str) -> String {
        let old = printable(&self.old.id);
        match &self.action {
            Action::Merge(target) => {
                let into = match target {
                    Target::Existing(user) => format!("user {}", printable(&user.id)),
                    Target::New(new) => format!("a new user with the login id {}", printable(&new.login_id)),
                };
                format!(
                    "This {verb} move the conversations, email, name and other personal information of user {old} to {into}, and \
                     delete user {old}."
                )
            }
            Action::ForgetEmail => format!(
                "This {verb} permanently delete the email, name and other personal information of user {old}; the conversations \
                 stay."
            ),
            Action::DeleteUser => format!("This {verb} permanently delete user {old} and ALL ITS CONVERSATIONS."),
        }
    }

    /// What a person should consider before.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(login_id) = self.login_id.as_deref().filter(|_| self.is_new_player) {
            let mistake = match self.remedy() {
                Remedy::Merge => "the conversations go to a user that the player never signs in as",
                Remedy::ForgetEmail | Remedy::DeleteUser => "this may be the player's present user",
            };
            warnings.push(format!(
                "No user has the login id {} yet. Compare it with the shop's records, letter by letter, and with its prefix if there is \
                 one: if it is wrong, {mistake}.",
                printable(login_id)
            ));
        }
        let Some(target) = self.target() else { return warnings };
        let emails = |user: &User| user.emails().map(|email| email.value.to_lowercase()).collect::<BTreeSet<_>>();
        let has_signed_in = |user: &User| user.external_id.is_some() && user.authenticated != Some(false);
        if let Target::Existing(present) = target {
            let [old_emails, present_emails] = [emails(&self.old), emails(present)];
            let differ = ![&old_emails, &present_emails].iter().any(|emails| emails.is_empty())
                && old_emails.is_disjoint(&present_emails);
            if differ && has_signed_in(&self.old) && has_signed_in(present) {
                let list = |emails: &BTreeSet<String>| {
                    emails.iter().map(|email| printable(email)).collect::<Vec<_>>().join(", ")
                };
                warnings.push(format!(
                    "The two users have signed in with different emails: {} and {}. Merge them only if you are sure that they are \
                     one person; otherwise one person reads the conversations of another.",
                    list(&old_emails),
                    list(&present_emails)
                ));
            }
        }
        if let Target::New(NewUser { login_id, elsewhere: Some(user) }) = target {
            warnings.push(format!(
                "User {} of another brand has the login id {}. It is not touched: the new user is for the brand of the old one.",
                printable(&user.id),
                printable(login_id)
            ));
        }
        warnings.push(MERGE_NOTE.to_owned());
        warnings
    }

    /// Saves the users' records to a new file: the old one's, or a list of both if a merge changes an existing user.
    ///
    /// # Errors
    /// [`Changed`] if the users are not as in the plan, [`record::BackupError`], or an [`ApiFailure`].
    pub(super) async fn save_records(&self, conversations: &Conversations, path: &Path) -> anyhow::Result<()> {
        let records = self.current_records(conversations).await;
        let records = records.map_err(|error| ApiFailure(CONVERSATIONS.cause(&error) + "; nothing was changed"))?;
        Ok(record::save(path, &records.ok_or(Changed)?)?)
    }

    /// The records of the users as they are now; `None` if they are not as in the plan.
    pub(super) async fn current_records(&self, conversations: &Conversations) -> Result<Option<String>, ApiError> {
        let Some(old) = same(conversations, &self.old).await? else { return Ok(None) };
        let Some(Target::Existing(present)) = self.target() else { return Ok(Some(old)) };
        Ok(same(conversations, present).await?.map(|present| format!("[{old},{present}]")))
    }

    /// Sends the requests, and looks up the result. `progress` gets each step.
    ///
    /// # Errors
    /// [`Changed`] if the player has signed in meanwhile, or an [`ApiFailure`] that says what was done.
    pub(super) async fn carry_out(
        &self,
        conversations: &Conversations,
        progress: impl Fn(String),
    ) -> anyhow::Result<After> {
        let user = &self.old;
        match &self.action {
            Action::Merge(target) => merge(conversations, user, target, progress).await,
            Action::ForgetEmail => deleted(conversations, user, conversations.forget(user), progress).await,
            Action::DeleteUser => deleted(conversations, user, conversations.delete(user), progress).await,
        }
    }
}

/// A user's record, if the user is as it was.
async fn same(conversations: &Conversations, user: &User) -> Result<Option<String>, ApiError> {
    let record = conversations.refresh(user).await?.filter(|record| record.user == *user);
    Ok(record.map(|record| record.json))
}

/// Sends a deletion, and looks up the result.
async fn deleted(
    conversations: &Conversations,
    user: &User,
    deletion: impl Future<Output = Result<(), ApiError>>,
    progress: impl Fn(String),
) -> anyhow::Result<After> {
    progress(format!("sending the deletion of user {}", printable(&user.id)));
    let deletion = deletion.await;
    progress(CHECKING.to_owned());
    let after = After::load(conversations, user, None, false).await;
    deletion.map_err(|error| {
        let is_unchanged = after.as_ref().is_ok_and(|after| after.old.as_ref() == Some(user));
        let state = if is_unchanged && !error.is_temporary() {
            "; nothing was deleted"
        } else {
            "; whether anything was deleted is not known: look at the user again"
        };
        ApiFailure(CONVERSATIONS.cause(&error) + state)
    })?;
    after.map_err(|error| unknown_result(&error).into())
}

/// Creates the player's present user if needed, sends the merge, and looks up the result.
async fn merge(
    conversations: &Conversations,
    old: &User,
    target: &Target,
    progress: impl Fn(String),
) -> anyhow::Result<After> {
    let (present, created) = match target {
        Target::Existing(user) => (user.clone(), false),
        Target::New(NewUser { login_id, .. }) => {
            let user = create(conversations, login_id, old.brand_id.as_deref()).await?;
            progress(format!("created user {} with the login id {}", printable(&user.id), printable(login_id)));
            if user.id == old.id || user.brand_id != old.brand_id {
                let text = "the new user is of another brand; the users were not merged: check conversations.brand_id";
                return Err(ApiFailure(format!("{text}; user {} was created", printable(&user.id))).into());
            }
            (user, true)
        }
    };
    progress(format!("merging user {} into user {}", printable(&old.id), printable(&present.id)));
    let merged = conversations.merge(old, &present).await;
    progress(CHECKING.to_owned());
    let after = After::load(conversations, old, Some(&present), created).await;
    match (merged, after) {
        (Ok(()), after) => after.map_err(|error| unknown_result(&error).into()),
        // The response was lost, but the request was carried out: only that can have moved an email.
        (Err(error), Ok(after))
            if error.is_temporary()
                && !has_emails_of(&present, old)
                && after.is_merged(old, present.external_id.as_deref()) =>
        {
            Ok(after)
        }
        (Err(error), after) => {
            let state = match after.ok().and_then(|after| after.old) {
                None => "; whether the users were merged is not known: look at them again",
                Some(_) if error.is_temporary() => {
                    "; the users are not merged yet: look again in some minutes, before you do anything else"
                }
                Some(_) => "; the users were not merged",
            };
            let made = if created { format!("; user {} was created", printable(&present.id)) } else { String::new() };
            Err(ApiFailure(CONVERSATIONS.cause(&error) + state + &made).into())
        }
    }
}

impl Target {
    /// The user with the player's present login id, in the brand of the old user.
    pub(super) async fn find(conversations: &Conversations, old: &User, login_id: &str) -> Result<Self, PlanError> {
        const OF_OLD_USER: &str =
            "is that of the old user (upper and lower case do not count); give the player's present one";
        let not_a_login_id = |why| Err(PlanError::NotALoginId(why));
        let impossible = |why| Err(PlanError::Impossible(why));
        if login_id.trim() != login_id {
            return not_a_login_id("begins or ends with a space; copy it again");
        }
        if old.has_login_id(login_id) {
            return impossible(OF_OLD_USER);
        }
        if is_same_login_id(&old.id, login_id) {
            return not_a_login_id(OF_OLD_USER);
        }
        let found = match conversations.show_in_brand(login_id, old.brand_id.as_deref()).await {
            Err(ApiError::InvalidId) => return not_a_login_id("is not an id (empty, '.' or '..')"),
            found => found?,
        };
        match found {
            Some(Record { user, .. }) if !user.has_login_id(login_id) => {
                not_a_login_id("is the id of a user, but not the login id (external id) of one")
            }
            Some(Record { user, .. }) if user.external_id.as_deref() != Some(login_id) => {
                impossible("differs from the user's login id in upper and lower case; give it as the user has it")
            }
            Some(Record { user, .. }) if user.brand_id != old.brand_id => impossible(OTHER_BRAND),
            Some(Record { user, .. }) => Ok(Self::Existing(user)),
            None => {
                // Each brand may have a user with the login id, where users are separated by brand.
                let elsewhere =
                    if old.brand_id.is_some() { conversations.show_in_brand(login_id, None).await? } else { None };
                let elsewhere = elsewhere.map(|record| record.user);
                Ok(Self::New(NewUser { login_id: login_id.to_owned(), elsewhere }))
            }
        }
    }
}

/// Creates the player's present user, or takes the one that an earlier attempt created.
async fn create(conversations: &Conversations, external_id: &str, brand_id: Option<&str>) -> anyhow::Result<User> {
    let failure = |error: &ApiError| {
        ApiFailure(
            CONVERSATIONS.cause(error) + "; the users were not merged; whether the new user was created is not known",
        )
    };
    match conversations.create(external_id, brand_id).await {
        Err(ApiError::Refused(Refusal { status: 409, .. })) => {
            let existing = conversations.show_in_brand(external_id, brand_id).await.map_err(|error| failure(&error))?;
            // A user with identities is the player, who has signed in meanwhile: nobody has seen that user's emails.
            existing.map(|record| record.user).filter(|user| user.identities.is_empty()).ok_or_else(|| Changed.into())
        }
        created => created.map_err(|error| failure(&error).into()),
    }
}

fn unknown_result(error: &ApiError) -> ApiFailure {
    let message = CONVERSATIONS.failure(error).0;
    ApiFailure(format!("the API accepted the request; checking the result failed: {message}"))
}

impl From<ApiError> for PlanError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl After {
    async fn load(
        conversations: &Conversations,
        before: &User,
        present: Option<&User>,
        created: bool,
    ) -> Result<Self, ApiError> {
        let old = match present {
            Some(present) => conversations.refresh_merged(before, present).await?,
            None => conversations.refresh(before).await?.map(|record| record.user),
        };
        let merged_into = match present {
            Some(present) => conversations.refresh(present).await?.map(|record| record.user),
            None => None,
        };
        // The user's own record counts, since a list may lag behind.
        let mut holders: Vec<User> = old.iter().filter(|user| user.emails().next().is_some()).cloned().collect();
        for email in before.emails().take(MAX_EMAILS) {
            let found = conversations.find(&email.value).await?;
            let is_other = |user: &User| user.id != before.id && present.is_none_or(|present| user.id != present.id);
            found.into_iter().filter(is_other).for_each(|user| user.add_to(&mut holders));
        }
        Ok(Self { old, merged_into, created, holders })
    }

    fn is_done(&self, plan: &Plan) -> bool {
        match (plan.remedy(), &self.old) {
            (Remedy::Merge, _) => self.is_merged(&plan.old, plan.login_id.as_deref()),
            (_, None) => true,
            (Remedy::ForgetEmail, Some(user)) => user.emails().next().is_none(),
            (_, Some(_)) => false,
        }
    }

    /// Whether the old user is gone, and the other has its emails and still the player's login id.
    fn is_merged(&self, old: &User, login_id: Option<&str>) -> bool {
        let is_player = |user: &User| user.external_id.as_deref() == login_id && has_emails_of(user, old);
        self.old.is_none() && self.merged_into.as_ref().is_some_and(is_player)
    }

    /// Whether Messaging accepts the player now, as far as it can be seen.
    pub(super) fn is_resolved(&self, plan: &Plan) -> bool {
        self.is_done(plan) && self.in_the_way(plan).next().is_none()
    }

    /// The users that still conflict with the player, if the player's login id is known.
    fn in_the_way(&self, plan: &Plan) -> impl Iterator<Item = &User> {
        let login_id = plan.login_id.as_deref();
        let others = self.holders.iter().filter(|user| user.id != plan.old.id);
        others.filter(move |user| login_id.is_some_and(|login_id| conflicts(user, login_id)))
    }

    /// What was done, or is not done yet, and who else has the email.
    pub(super) fn text(&self, plan: &Plan) -> String {
        let remedy = plan.remedy();
        let id = printable(&plan.old.id);
        let into = self.merged_into.as_ref().map(|user| printable(&user.id));
        let mut text = match (remedy, &self.old, into) {
            (Remedy::Merge, None, Some(into)) if self.is_done(plan) => {
                self.done(plan, &format!("user {id} is merged into user {into}.\n{MERGE_NOTE}"))
            }
            (Remedy::DeleteUser, None, _) => self.done(plan, &format!("user {id} and its conversations are deleted.")),
            (Remedy::ForgetEmail, None, _) => self.done(plan, &format!("user {id} is deleted.")),
            (Remedy::ForgetEmail, Some(_), _) if self.is_done(plan) => {
                self.done(plan, &format!("user {id} has no email any more, and keeps its conversations."))
            }
            (Remedy::Merge, None, None) => format!(
                "The API accepted the request and user {id} is gone, but the user that it was merged into is not there{BRAND}."
            ),
            (Remedy::Merge, None, Some(into)) => format!(
                "The API accepted the request and user {id} is gone, but user {into} does not have both its email and the player's login id: look again in a minute."
            ),
            _ => format!("The API accepted the request, but has not finished: look at user {id} again in a minute."),
        };
        text.push('\n');
        for holder in self.holders.iter().filter(|holder| holder.id != plan.old.id) {
            let _ = writeln!(text, "User {} has the email too.", printable(&holder.id));
        }
        text
    }

    /// What is done, and whether another user is still in the way.
    fn done(&self, plan: &Plan, result: &str) -> String {
        match self.in_the_way(plan).next() {
            None => format!("Done: {result}"),
            Some(user) => format!(
                "Not finished: user {} with the login id {} has the email too, so Messaging still refuses the player. Done so far: \
                 {result}",
                printable(&user.id),
                printable(user.external_id.as_deref().unwrap_or_default())
            ),
        }
    }
}

/// Whether a user has all emails that another one had.
fn has_emails_of(user: &User, before: &User) -> bool {
    before.emails().all(|had| user.emails().any(|email| email.value.eq_ignore_ascii_case(&had.value)))
}
