//! Carries out a remedy: the plan that is shown and confirmed, the work with its steps, and the saved record.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::app::loopback::random_id;
use crate::desk::api::ApiError;
use crate::desk::conversations::{Conversations, User};
use crate::desk::messages::no_user;
use crate::desk::record::file_name;
use crate::desk::remedy::{Plan, PlanError, REMEDIES, Target};
use crate::http::json::Json;
use crate::login::now;

use super::messaging::failure;
use super::{Desk, Failure, read};

/// The last plan, and the last work.
#[derive(Default)]
pub(super) struct Work {
    /// The plan that may be confirmed, with its id.
    plan: Mutex<Option<(String, Plan)>>,
    job: Arc<Mutex<Option<Job>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Work that has begun.
#[derive(Clone, Default, Serialize)]
pub(super) struct Job {
    steps: Vec<String>,
    running: bool,
    outcome: Option<Outcome>,
    /// Name of the file with the old user's record, once it is saved.
    record: Option<String>,
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Clone, Serialize)]
struct Outcome {
    /// Whether everything is done.
    done: bool,
    text: String,
}

#[derive(Deserialize)]
struct Wanted {
    user: String,
    remedy: String,
    /// The player's present login id, for a merge.
    into: Option<String>,
}

#[derive(Serialize)]
struct ShownPlan<'a> {
    plan: &'a str,
    remedy: &'static str,
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
struct Confirmed {
    plan: String,
    confirmation: String,
}

/// Looks up the users of a remedy, and shows what it will do.
pub(super) async fn plan(State(desk): State<Arc<Desk>>, body: Bytes) -> Result<Response, Failure> {
    let Wanted { user, remedy, into } = read(&body)?;
    let remedy = REMEDIES.into_iter().find(|known| known.name() == remedy);
    let remedy = remedy.ok_or_else(|| Failure::unusable("there is no such remedy; load the page again"))?;
    let conversations = desk.conversations(|_| {})?;
    let plan = Plan::prepare(&conversations, remedy, &user, into.as_deref()).await.map_err(|error| match error {
        PlanError::NoUser => Failure(StatusCode::NOT_FOUND, no_user(&user)),
        PlanError::Impossible(why) => Failure::unusable(format!("the present login id {why}")),
        PlanError::Api(error) => failure(&error),
    })?;
    // Another user may have this id as its external id.
    if plan.old.id != user {
        return Err(failure(&ApiError::UnexpectedResponse));
    }
    let id = random_id().map_err(|_| Failure::unusable("this machine has no random numbers"))?;
    let (into, creates) = match plan.target() {
        Some(Target::Existing(user)) => (Some(user), None),
        Some(Target::New(new)) => (None, Some(new.login_id.as_str())),
        None => (None, None),
    };
    let shown = ShownPlan {
        plan: &id,
        remedy: remedy.name(),
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
    *locked(&desk.work.plan) = Some((id, plan));
    Ok(response)
}

/// Begins the work of the confirmed plan.
pub(super) async fn resolve(State(desk): State<Arc<Desk>>, body: Bytes) -> Result<Response, Failure> {
    let Confirmed { plan: id, confirmation } = read(&body)?;
    let job = Arc::clone(&desk.work.job);
    let conversations = desk.conversations({
        let job = Arc::clone(&job);
        move |text| add_step(&job, text)
    })?;
    let mut kept = locked(&desk.work.plan);
    let mut current = locked(&job);
    if current.as_ref().is_some_and(|job| job.running) {
        return Err(Failure(StatusCode::CONFLICT, "something is being done already; wait for its end".to_owned()));
    }
    let Some((_, plan)) = kept.take_if(|(kept, _)| *kept == id) else {
        return Err(Failure(StatusCode::CONFLICT, "this plan is not the newest one; look again".to_owned()));
    };
    if confirmation.trim() != plan.remedy().confirmation() {
        let word = plan.remedy().confirmation();
        *kept = Some((id, plan));
        return Err(Failure::unusable(format!("the confirmation differs; type {word}")));
    }
    let name = file_name(&plan.old.id, now());
    let path = desk.folder().join(&name);
    *current = Some(Job { running: true, path: path.clone(), ..Job::default() });
    drop(current);
    *locked(&desk.work.task) = Some(tokio::spawn(carry_out(plan, conversations, job, path)));
    Ok((StatusCode::ACCEPTED, Json(Begun {})).into_response())
}

#[derive(Serialize)]
struct Begun {}

async fn carry_out(plan: Plan, conversations: Conversations, job: Arc<Mutex<Option<Job>>>, path: PathBuf) {
    let result = plan.carry_out(&conversations, &path, |step| add_step(&job, step)).await;
    let outcome = match result {
        Ok(after) => Outcome {
            // While another user has the email, the player's sign-in is still refused.
            done: after.is_done(&plan.old, plan.remedy()) && after.holders.is_empty(),
            text: after.text(&plan.old, plan.remedy()).trim_end().to_owned(),
        },
        Err(error) => Outcome { done: false, text: format!("{error:#}.") },
    };
    if let Some(job) = locked(&job).as_mut() {
        job.record = path.exists().then(|| path.file_name()).flatten().map(|name| name.to_string_lossy().into_owned());
        job.outcome = Some(outcome);
        job.running = false;
    }
}

fn add_step(job: &Mutex<Option<Job>>, step: String) {
    if let Some(job) = locked(job).as_mut() {
        job.steps.push(step);
    }
}

/// The last work, or `null`.
pub(super) async fn job(State(desk): State<Arc<Desk>>) -> Response {
    Json(locked(&desk.work.job).clone()).into_response()
}

/// The record that the last work saved.
pub(super) async fn record(State(desk): State<Arc<Desk>>) -> Result<Response, Failure> {
    let saved = locked(&desk.work.job).as_ref().and_then(|job| Some((job.path.clone(), job.record.clone()?)));
    let nothing = || Failure(StatusCode::NOT_FOUND, "no record was saved".to_owned());
    let (path, name) = saved.ok_or_else(nothing)?;
    let text = read_record(&path)?;
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, text).into_response())
}

fn read_record(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure(StatusCode::NOT_FOUND, format!("can't read {} ({error})", path.display())))
}

impl Work {
    /// Waits for work that has begun: what was sent to Zendesk can't be called back.
    pub(super) async fn finish(&self) {
        let task = locked(&self.task).take();
        if let Some(task) = task.filter(|task| !task.is_finished()) {
            let _ = writeln!(io::stderr(), "waiting for the work that has begun, at most some minutes");
            let _ = task.await;
            let text = locked(&self.job).as_ref().and_then(|job| Some(job.outcome.as_ref()?.text.clone()));
            let _ = writeln!(io::stderr(), "{}", text.unwrap_or_default());
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
