//! Carries out a remedy: the plan that is shown and confirmed, the work with its steps, and the saved record.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{self, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::desk::conversations::{Conversations, User};
use crate::desk::finding::conflicts;
use crate::desk::messages::{CONVERSATIONS, no_user};
use crate::desk::record::file_name;
use crate::desk::remedy::{After, Changed, Plan, PlanError, REMEDIES, Target};
use crate::http::json::Json;
use crate::login::now;
use crate::zendesk::signing_key::random_id;

use super::messaging::failure;
use super::{Body, Desk, Failure};

/// How long the page has to ask for the outcome before the desk ends. It asks every half second.
const TIME_TO_SEE: Duration = Duration::from_secs(2);

/// The plan that may be confirmed, and the work that has begun.
#[derive(Clone, Default)]
pub(super) struct Work(Arc<Mutex<Progress>>);

#[derive(Default)]
struct Progress {
    plan: Option<(String, Arc<Plan>)>,
    /// By the id of the plan.
    jobs: BTreeMap<String, Job>,
    task: Option<JoinHandle<()>>,
    is_stopping: bool,
}

/// A plan that was confirmed.
#[derive(Clone, Default, Serialize)]
struct Job {
    steps: Vec<String>,
    /// Name of the file with the users' records, once it is saved.
    record: Option<String>,
    /// `None` while it runs.
    outcome: Option<Outcome>,
}

#[derive(Clone, Serialize)]
struct Outcome {
    /// Whether Messaging accepts the player now.
    done: bool,
    text: String,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    user: String,
    remedy: String,
    /// The player's present login id.
    expect: String,
}

#[derive(Serialize)]
struct ShownPlan<'a> {
    plan: &'a str,
    title: &'static str,
    user: &'a User,
    into: Option<&'a User>,
    /// The login id of a user that will be created.
    creates: Option<&'a str>,
    will: String,
    warnings: Vec<String>,
    requests: Vec<String>,
    /// The word to type.
    confirm: &'static str,
}

#[derive(Deserialize)]
pub(super) struct Confirmation {
    plan: String,
    confirmation: String,
}

/// Looks up the users of a remedy, and shows what it will do.
pub(super) async fn plan(State(desk): State<Arc<Desk>>, Body(choice): Body<Choice>) -> Result<Response, Failure> {
    let Choice { user, remedy, expect } = choice;
    let remedy = REMEDIES.into_iter().find(|known| known.name() == remedy);
    let remedy = remedy.ok_or_else(|| Failure::unusable("there is no such remedy; load the page again"))?;
    let conversations = desk.conversations()?;
    let plan = Plan::prepare(&conversations, remedy, &user, Some(&expect)).await.map_err(|error| match error {
        PlanError::NotALoginId(why) | PlanError::Impossible(why) => {
            Failure::unusable(format!("the present login id {why}"))
        }
        PlanError::Api(error) => Failure::of_api(&CONVERSATIONS, &error, &no_user(&user)),
    })?;
    // Another user may have this id as its external id, or this one may have become the player's present user.
    if plan.old.id != user || !conflicts(&plan.old, &expect) || plan.old.emails().next().is_none() {
        return Err(Failure(StatusCode::CONFLICT, Changed.to_string()));
    }
    let id = random_id().map_err(|_| Failure::unusable("this machine has no random numbers"))?;
    let (into, creates) = match plan.target() {
        Some(Target::Existing(user)) => (Some(user), None),
        Some(Target::New(new)) => (None, Some(new.login_id.as_str())),
        None => (None, None),
    };
    let shown = ShownPlan {
        plan: &id,
        title: remedy.title(),
        user: &plan.old,
        into,
        creates,
        will: plan.effect("will"),
        warnings: plan.warnings(),
        requests: plan.requests(&conversations).map_err(|error| failure(&error))?,
        confirm: remedy.confirmation(),
    };
    let response = Json(shown).into_response();
    desk.work.progress().plan = Some((id, Arc::new(plan)));
    Ok(response)
}

/// Begins the work of the confirmed plan.
pub(super) async fn resolve(
    State(desk): State<Arc<Desk>>,
    Body(Confirmation { plan: id, confirmation }): Body<Confirmation>,
) -> Result<StatusCode, Failure> {
    let conversations = desk.conversations_with({
        let (work, id) = (desk.work.clone(), id.clone());
        Box::new(move |retry| work.add_step(&id, CONVERSATIONS.retry_text(retry)))
    })?;
    let conflict = |text: &str| Failure(StatusCode::CONFLICT, text.to_owned());
    let mut progress = desk.work.progress();
    // The answer to an earlier request may have been lost.
    if progress.jobs.contains_key(&id) {
        return Ok(StatusCode::ACCEPTED);
    }
    if progress.is_stopping {
        return Err(conflict("the support desk is stopping; start it again"));
    }
    if progress.running().is_some() {
        return Err(conflict("something else is being done; wait for its end"));
    }
    let Some((_, plan)) = progress.plan.as_ref().filter(|(newest, _)| *newest == id) else {
        return Err(conflict("this plan is not the newest one; look again"));
    };
    let plan = Arc::clone(plan);
    let word = plan.remedy().confirmation();
    if !confirmation.trim().eq_ignore_ascii_case(word) {
        return Err(Failure::unusable(format!("the confirmation differs; type {word}")));
    }
    progress.plan = None;
    progress.jobs.insert(id.clone(), Job::default());
    progress.task = Some(tokio::spawn(work(Arc::clone(&desk), id, plan, conversations)));
    Ok(StatusCode::ACCEPTED)
}

/// Does the work of a plan, and keeps its outcome.
async fn work(desk: Arc<Desk>, id: String, plan: Arc<Plan>, conversations: Conversations) {
    let work = desk.work.clone();
    let task = tokio::spawn({
        let (plan, id) = (Arc::clone(&plan), id.clone());
        async move { carry_out(&desk, &id, &plan, &conversations).await }
    });
    let outcome = match task.await {
        Ok(Ok(after)) => Outcome { done: after.is_resolved(&plan), text: after.text(&plan).trim_end().to_owned() },
        Ok(Err(error)) => Outcome { done: false, text: format!("{error:#}.") },
        Err(_panic) => Outcome {
            done: false,
            text: "The support desk failed; whether anything was changed is not known: look at the users again."
                .to_owned(),
        },
    };
    work.update(&id, |job| job.outcome = Some(outcome));
}

async fn carry_out(desk: &Desk, id: &str, plan: &Plan, conversations: &Conversations) -> anyhow::Result<After> {
    let name = file_name(&plan.old.id, now());
    let path = desk.beside_settings(&name);
    plan.save_records(conversations, &path).await?;
    desk.work.add_step(id, format!("saved the record to {}", path.display()));
    desk.work.update(id, |job| job.record = Some(name));
    plan.carry_out(conversations, |step| desk.work.add_step(id, step)).await
}

/// The work of a plan.
pub(super) async fn job(
    State(desk): State<Arc<Desk>>,
    extract::Path(id): extract::Path<String>,
) -> Result<Response, Failure> {
    let job = desk.work.progress().jobs.get(&id).cloned();
    let nothing = || Failure(StatusCode::NOT_FOUND, "this plan was not carried out; look again".to_owned());
    Ok(Json(job.ok_or_else(nothing)?).into_response())
}

/// The records of a plan's users: as they were saved, or as they are now before the plan is carried out.
pub(super) async fn record(
    State(desk): State<Arc<Desk>>,
    extract::Path(id): extract::Path<String>,
) -> Result<Response, Failure> {
    let (plan, saved) = {
        let progress = desk.work.progress();
        let plan = progress.plan.as_ref().filter(|(newest, _)| *newest == id).map(|(_, plan)| Arc::clone(plan));
        (plan, progress.jobs.get(&id).and_then(|job| job.record.clone()))
    };
    let not_found = |text: String| Failure(StatusCode::NOT_FOUND, text);
    let (name, text) = match (plan, saved) {
        (_, Some(name)) => {
            let path = desk.beside_settings(&name);
            let text = fs::read(&path);
            let text = text.map_err(|error| not_found(format!("can't read {} ({error})", path.display())))?;
            (name, text)
        }
        (Some(plan), None) => {
            let records = plan.current_records(&desk.conversations()?).await.map_err(|error| failure(&error))?;
            let records = records.ok_or_else(|| Failure(StatusCode::CONFLICT, Changed.to_string()))?;
            (file_name(&plan.old.id, now()), records.into_bytes())
        }
        (None, None) => return Err(not_found("there is no record of this plan; look again".to_owned())),
    };
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, text).into_response())
}

impl Work {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, id: &str, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.progress().jobs.get_mut(id) {
            change(job);
        }
    }

    fn add_step(&self, id: &str, step: String) {
        self.update(id, |job| job.steps.push(step));
    }

    /// The id of the plan that is being carried out.
    pub(super) fn running(&self) -> Option<String> {
        self.progress().running().cloned()
    }

    /// Lets no new work begin, and waits for the work that has begun: what was sent to Zendesk can't be called back.
    pub(super) async fn finish(&self) {
        let (id, task) = {
            let mut progress = self.progress();
            progress.is_stopping = true;
            (progress.running().cloned(), progress.task.take())
        };
        let (Some(id), Some(task)) = (id, task) else { return };
        let _ = writeln!(io::stderr(), "waiting for the work that has begun, at most some minutes");
        let _ = task.await;
        let outcome = self.progress().jobs.get(&id).and_then(|job| job.outcome.clone());
        let _ = writeln!(io::stderr(), "{}", outcome.map(|outcome| outcome.text).unwrap_or_default());
        sleep(TIME_TO_SEE).await;
    }
}

impl Progress {
    fn running(&self) -> Option<&String> {
        self.jobs.iter().find(|(_, job)| job.outcome.is_none()).map(|(id, _)| id)
    }
}
