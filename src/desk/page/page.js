"use strict";
const $ = (id) => document.getElementById(id);
const make = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text ?? "" }, more);
const fill = (parent, ...children) => { parent.replaceChildren(...children); return parent; };
const show = (id, isShown = true) => { $(id).hidden = !isShown; };

const ROLES = { old: "The old user, who has the email", present: "The player's present user", other: "Another user with the email" };
const state = { csrf: "", player: null, plan: null };
// One message for the whole page, which is moved to the button that failed.
const errorBox = $("error");

// Sends a request, and returns the response. Fails with the sentence of a refusal.
async function send(path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json", "X-CSRF-Token": state.csrf };
  const options = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw Object.assign(new Error("The support desk does not answer. Load the page again; if nothing appears, start the support desk again."), { isLost: true });
  }
  if (response.ok) return response;
  const text = await response.text();
  let json = null;
  try { json = JSON.parse(text); } catch { /* a sentence */ }
  if (response.status === 504) throw new Error("Zendesk took too long. Try again in a minute.");
  throw Object.assign(new Error(sentence(json?.error ?? text.trim())), { problems: json?.problems ?? [] });
}

// Sends a request, and returns the response's JSON; null if it has none.
async function ask(path, body) {
  const text = await (await send(path, body)).text();
  return text ? JSON.parse(text) : null;
}

// A refusal as a sentence.
const sentence = (text) => text ? text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".") : "The request failed.";

const isBusy = (element) => Boolean(element.closest("[data-busy]"));

// Runs what a button does, with the button disabled, and shows why it failed.
// One thing at a time in each tab, whose fields can't be changed meanwhile: an answer for one player must not appear below the name
// of another.
async function attempt(button, act) {
  if (isBusy(button)) return;
  const tab = button.closest("[role=tabpanel]") ?? document.querySelector("main");
  const inputs = [...tab.querySelectorAll("input, textarea")];
  tab.dataset.busy = "true";
  inputs.forEach((input) => { input.readOnly = true; });
  const hadFocus = document.activeElement === button;
  hideError();
  button.disabled = true;
  const text = button.textContent;
  const timer = setTimeout(() => { button.textContent = "Asking Zendesk…"; }, 300);
  try {
    await act();
  } catch (error) {
    showError(button, error);
  } finally {
    clearTimeout(timer);
    if (button.textContent === "Asking Zendesk…") button.textContent = text;
    button.disabled = false;
    inputs.forEach((input) => { input.readOnly = false; });
    delete tab.dataset.busy;
    // A disabled button loses the focus.
    if (hadFocus && document.activeElement === document.body) button.focus({ preventScroll: true });
  }
}

function showError(button, { message, problems }) {
  const near = button.closest(".buttons");
  if (near?.offsetParent) near.after(errorBox); else document.querySelector("main").prepend(errorBox);
  errorBox.textContent = message;
  errorBox.hidden = false;
  errorBox.scrollIntoView({ block: "nearest" });
  (problems ?? []).forEach(showProblem);
}

// Back to the top, where no part of the page that is replaced takes it away.
function hideError() {
  errorBox.hidden = true;
  document.querySelector("main").prepend(errorBox);
}

// A date as the reader writes dates, with the exact time.
function time(text) {
  const date = new Date(text ?? NaN);
  return isNaN(date) ? make("span", text ?? "unknown") : make("time", date.toLocaleString(), { dateTime: text, title: text });
}

// A list of names and values. Values are texts or elements; empty ones are left out.
function fields(rows) {
  const list = make("dl");
  for (const [name, value] of rows) {
    if (value === null || value === undefined || value === "") continue;
    list.append(make("dt", name), value instanceof Node ? fill(make("dd"), value) : make("dd", value));
  }
  return list;
}

// Invisible characters are shown by their code, since two ids could look the same.
const visible = (text) => text?.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

const list = (texts) => fill(make("ul"), ...texts.map((text) => make("li", text)));

// Moves the focus to a new part of the page, so that screen readers begin there.
function go(title) {
  $(title).focus();
  $(title).scrollIntoView({ block: "start" });
}

// --- the first start

const FIELDS = { conversations: ["zendesk", "app_id", "key_id", "key_secret", "brand_id"], chat_api: ["zendesk", "token"] };

// The values of a section of the form, or null if all are empty.
function section(name) {
  const values = Object.fromEntries(FIELDS[name].map((field) => [field, $(`${name}.${field}`).value.trim()]));
  return Object.values(values).some(Boolean) ? values : null;
}

function showProblem({ field, text }) {
  const input = $(field);
  if (!input) {
    errorBox.textContent += ` ${field}: ${text}.`;
    return;
  }
  const problem = make("p", sentence(text), { className: "problem", id: `${field}-problem` });
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", problem.id);
  input.after(problem);
  if (document.querySelector("[aria-invalid]") === input) input.focus();
}

$("setup").addEventListener("submit", (event) => {
  event.preventDefault();
  document.querySelectorAll(".problem").forEach((problem) => problem.remove());
  document.querySelectorAll("[aria-invalid]").forEach((input) => ["aria-invalid", "aria-describedby"].forEach((name) => input.removeAttribute(name)));
  attempt($("save"), async () => {
    await ask("settings", { conversations: section("conversations"), chat_api: section("chat_api") });
    $("setup").reset();
    await load();
    document.querySelector("[role=tab][aria-selected=true]").focus();
  });
});

// --- tabs

const TABS = ["messaging", "chat"];

function select(tab) {
  for (const name of TABS) {
    $(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
    $(`tab-${name}`).tabIndex = name === tab ? 0 : -1;
    show(name, name === tab);
  }
  hideError();
}

for (const [at, name] of TABS.entries()) {
  $(`tab-${name}`).addEventListener("click", () => select(name));
  $(`tab-${name}`).addEventListener("keydown", ({ key }) => {
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1 + TABS.length, Home: 0, End: TABS.length - 1 }[key];
    if (next === undefined) return;
    const other = TABS[next % TABS.length];
    select(other);
    $(`tab-${other}`).focus();
  });
}

// --- Messaging

const RESULTS = ["found", "choice", "plan", "work"];

// Hides what was found for another player.
function forget() {
  RESULTS.forEach((id) => show(id, false));
  state.player = null;
  sessionStorage.removeItem("plan");
}

["email", "expect"].forEach((id) => $(id).addEventListener("input", () => {
  forget();
  $("token-result").textContent = "";
}));

$("read-token").addEventListener("click", () => attempt($("read-token"), async () => {
  forget();
  // Nothing of the previous player may stay.
  ["email", "expect"].forEach((id) => { $(id).value = ""; });
  const { email, external_id } = await ask("token", { token: $("token").value });
  $("email").value = email ?? "";
  $("expect").value = external_id ?? "";
  $("token").value = "";
  const [missing, next] = !email ? ["email", "email"] : !external_id ? ["login id", "expect"] : ["", "look"];
  $("token-result").textContent = missing && `The token has no ${missing}: fill it in.`;
  $(next).focus();
}));

$("find").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt($("look"), () => look({ email: $("email").value.trim(), expect: $("expect").value.trim() }));
});

async function look(player) {
  forget();
  const found = await ask("find", player);
  state.player = player;
  $("sentence").textContent = found.sentence;
  $("sentence").className = `verdict ${found.conflict ? "bad" : ""}`;
  show("sentence-help", !found.conflict);
  fill($("users"), ...found.users.map(userCard));
  if (found.conflict && !found.users.some(({ role }) => role === "present")) $("users").append(noUserCard(player.expect));
  const offers = found.users.flatMap((user) => user.remedies.map((remedy) => remedyCard(user, remedy, found.users)));
  fill($("remedies"), ...offers);
  show("found");
  show("choice", offers.length > 0);
  go("found-title");
}

const emails = (user) => user.identities.filter(({ type }) => type === "email").map(({ value }) => value).join(", ");

const userRows = (user) => [
  ["User", visible(user.id)],
  ["Login id", visible(user.external_id) ?? "none: never signed in"],
  ["Email", visible(emails(user)) || "none"],
  ["First seen", user.signed_up_at && time(user.signed_up_at)],
  ["Brand", visible(user.brand_id)],
];

// The place of the player's present user, if there is none yet.
function noUserCard(expect) {
  const text = `None yet: nobody has signed in with the login id ${visible(expect)}. Compare it with the shop's records, also its prefix.`;
  return fill(make("article", "", { className: "card present" }), make("h3", ROLES.present), make("p", text));
}

function userCard(user) {
  const card = make("article", "", { className: `card ${user.role}` });
  const count = `${user.more ? "more than " : ""}${user.conversations}`;
  const rows = [...userRows(user), ["Conversations", count], ["Last message", user.last_updated_at && time(user.last_updated_at)]];
  const button = make("button", "Show the conversations", { hidden: user.conversations === 0 });
  button.setAttribute("aria-label", `Show the conversations of user ${user.id}`);
  const conversations = make("div");
  button.addEventListener("click", () => attempt(button, async () => {
    const { conversations: all, more } = await ask("conversations", { user: user.id });
    fill(conversations, ...all.map(conversationPart), make("p", more ? "Older ones are not shown." : "", { className: "quiet" }));
    button.parentElement.remove();
    conversations.querySelector("button")?.focus();
  }));
  return fill(card, make("h3", ROLES[user.role]), fields(rows), fill(make("p", "", { className: "buttons" }), button), conversations);
}

function conversationPart(conversation, at) {
  const part = make("div");
  const button = make("button", "Show the messages");
  button.setAttribute("aria-label", `Show the messages of conversation ${at + 1}`);
  button.addEventListener("click", () => attempt(button, async () => {
    const { messages, more } = await ask("messages", { conversation: conversation.id });
    const items = messages.map((message) => {
      const head = fill(make("span", "", { className: "quiet" }), `${message.by}, `, time(message.received));
      return fill(make("li", "", { className: message.is_user ? "player" : "" }), head, make("p", message.text ?? `(${message.kind || "no text"})`));
    });
    const older = make("p", more ? "Older messages are not shown." : "", { className: "quiet" });
    const shown = fill(make("ul", "", { className: "messages", tabIndex: -1 }), ...items);
    fill(part, head, older, shown);
    shown.focus();
  }));
  const head = fill(make("p", "", { className: "quiet" }), "Last message ", time(conversation.last_updated_at));
  return fill(part, head, fill(make("p", "", { className: "buttons" }), button));
}

// A remedy for one user. With several users in the way, the title names the user.
function remedyCard(user, remedy, users) {
  const card = make("article", "", { className: "card" });
  const isOne = users.filter(({ role }) => role === "old").length === 1;
  const title = remedy.title + (isOne ? "" : ` (user ${user.id})`);
  const button = make("button", "Continue", { disabled: Boolean(remedy.why_not) });
  if (remedy.name === "merge-into") button.className = "main";
  button.dataset.remedy = remedy.name;
  button.dataset.user = user.id;
  button.setAttribute("aria-label", `Continue: ${title}`);
  button.addEventListener("click", () => attempt(button, () => prepare(user, remedy)));
  const parts = [make("h3", title)];
  if (remedy.keeps.length) parts.push(make("h4", "Kept"), list(remedy.keeps));
  parts.push(make("h4", "Lost"), list(remedy.loses));
  if (remedy.why_not) parts.push(make("p", `Not possible: the present login id ${remedy.why_not}.`, { className: "bad" }));
  return fill(card, ...parts, fill(make("p", "", { className: "buttons" }), button));
}

async function prepare(user, remedy) {
  ["plan", "work"].forEach((id) => show(id, false));
  const plan = await ask("plan", { user: user.id, remedy: remedy.name, expect: state.player.expect });
  state.plan = plan.plan;
  const cards = [fill(make("article", "", { className: "card old" }), make("h3", ROLES.old), fields(userRows(plan.user)))];
  if (plan.into) cards.push(fill(make("article", "", { className: "card present" }), make("h3", ROLES.present), fields(userRows(plan.into))));
  if (plan.creates) cards.push(noUserCard(plan.creates));
  fill($("plan-users"), ...cards);
  $("will").textContent = plan.will;
  fill($("plan-warnings"), ...plan.warnings.map((text) => make("li", text)));
  show("plan-warnings", plan.warnings.length > 0);
  $("requests").textContent = plan.requests.join("\n");
  $("confirmation-label").textContent = `Type ${plan.confirm} to confirm`;
  $("confirmation").value = "";
  $("resolve").textContent = plan.title;
  show("plan");
  go("plan-title");
}

// Saves the record as a file, or shows why there is none.
function download(button) {
  attempt(button, async () => {
    const response = await send(`records/${state.plan}`);
    const name = response.headers.get("content-disposition").split('"')[1];
    const link = make("a", "", { download: name, href: URL.createObjectURL(await response.blob()) });
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

["plan-record", "record"].forEach((id) => $(id).addEventListener("click", () => download($(id))));

$("cancel").addEventListener("click", () => {
  if (isBusy($("cancel"))) return;
  hideError();
  show("plan", false);
  state.plan = null;
  go("choice-title");
});

$("confirm").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt($("resolve"), async () => {
    // Kept first, so that a page that is loaded again finds the work, even if the response is lost.
    sessionStorage.setItem("plan", state.plan);
    await ask("resolve", { plan: state.plan, confirmation: $("confirmation").value });
    ["found", "choice", "plan"].forEach((id) => show(id, false));
    await follow(state.plan);
  });
});

const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// Shows the work of a plan until its end, also after the page was loaded again.
async function follow(plan) {
  state.plan = plan;
  sessionStorage.setItem("plan", plan);
  fill($("steps"));
  $("outcome").textContent = "";
  ["record", "again", "other", "next"].forEach((id) => show(id, false));
  $("work-title").textContent = "5. Working…";
  show("work");
  go("work-title");
  let hasRecord = false;
  for (let lost = 0; ; await wait(500)) {
    let job;
    try {
      job = await ask(`jobs/${plan}`);
    } catch (error) {
      // A machine that slept has no network for a moment.
      if (error.isLost && ++lost < 20) continue;
      end({ done: false, text: `${error.message} Whether it is done is not known: look at the users again.` }, hasRecord);
      return;
    }
    lost = 0;
    job.steps.slice($("steps").children.length).forEach((step) => $("steps").append(make("li", sentence(step))));
    hasRecord = Boolean(job.record);
    if (job.outcome) {
      end(job.outcome, hasRecord);
      return;
    }
  }
}

function end({ done, text }, hasRecord) {
  $("work-title").textContent = "5. Result";
  $("outcome").textContent = sentence(text);
  $("outcome").className = done ? "good" : "bad";
  show("record", hasRecord);
  show("again", Boolean(state.player));
  show("other");
  show("next", done);
  $("outcome").scrollIntoView({ block: "nearest" });
}

$("again").addEventListener("click", () => attempt($("again"), () => look(state.player)));

$("other").addEventListener("click", () => {
  if (isBusy($("other"))) return;
  hideError();
  forget();
  $("find").reset();
  $("token-result").textContent = "";
  $("email").focus();
});

// --- Chat

["visitor-id", "visitor-expect"].forEach((id) => $(id).addEventListener("input", () => show("visitor", false)));

$("visitor-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt($("show"), async () => {
    show("visitor", false);
    const visitor = await ask("visitor", { id: $("visitor-id").value.trim(), expect: $("visitor-expect").value.trim() || null });
    const verdict = { true: "good", false: "bad" }[visitor.linked] ?? "";
    fill($("visitor-sentences"), ...visitor.sentences.map((text, at, all) => make("p", text, { className: at === all.length - 1 ? verdict : "" })));
    fill($("visitor-fields"), fields([
      ["Visitor", visible(visitor.id)],
      ["Login id", visible(visitor.external_id) ?? "none: never signed in"],
      ["Name", visitor.name],
      ["Email", visible(visitor.email)],
      ["Phone", visitor.phone],
      ["First visit", visitor.created && time(visitor.created)],
      ["Banned", visitor.banned === null ? null : visitor.banned ? "yes" : "no"],
      ["Notes", visitor.notes],
    ]));
    show("visitor");
    go("shown-title");
  });
});

// --- start

// Shows what the settings allow, and returns the plan that is being carried out.
async function load() {
  const { csrf, conversations, chat_api, settings_file, running, warnings } = await ask("state");
  state.csrf = csrf;
  const account = (name, { url, brand_id }) => `${name}: ${new URL(url).host}${brand_id ? `, brand ${brand_id}` : ""}`;
  const accounts = [conversations && account("Messaging", conversations), chat_api && account("Chat", chat_api)];
  $("account").textContent = accounts.filter(Boolean).join(" · ");
  $("settings-file").textContent = settings_file;
  fill($("warnings"), ...warnings.map((text) => make("li", `For your engineer: ${text}`)));
  show("warnings", warnings.length > 0);
  const isSetUp = Boolean(conversations || chat_api);
  show("setup", !isSetUp);
  show("desk", isSetUp);
  show("find", Boolean(conversations));
  show("no-messaging", !conversations);
  show("visitor-form", Boolean(chat_api));
  show("no-chat", !chat_api);
  if (!conversations && chat_api) select("chat");
  return running;
}

async function start() {
  show("blocked", false);
  await attempt($("look"), async () => {
    const running = await load();
    document.documentElement.dataset.ready = "true";
    // The page was loaded again after something was begun. A plan of an earlier start is not known any more.
    const own = sessionStorage.getItem("plan");
    const plan = own && await ask(`jobs/${own}`).catch(() => null) ? own : running;
    if (plan) await follow(plan);
  });
  document.documentElement.dataset.ready = "true";
}

// After a link from a file, a reload would not send the cookie, which is SameSite=Strict. So the page navigates to itself once.
if (sessionStorage.getItem("page") === location.href) {
  start();
} else {
  sessionStorage.setItem("page", location.href);
  location.replace(location.href);
}
