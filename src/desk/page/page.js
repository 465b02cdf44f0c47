"use strict";
const $ = (id) => document.getElementById(id);
const make = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text ?? "" }, more);
const fill = (parent, ...children) => { parent.replaceChildren(...children); return parent; };
const show = (id, isShown = true) => { $(id).hidden = !isShown; };

const ROLES = { old: "The old user, who has the email", present: "The player's present user", other: "Another user with the email" };
const state = { csrf: "", player: null, plan: null, isBusy: false };

// Sends a request, and returns the response's JSON. Fails with the sentence of a refusal.
async function ask(path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json", "X-CSRF-Token": state.csrf };
  const options = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The support desk has stopped. Start it again, and open the new address.");
  }
  const text = await response.text();
  let json = null;
  try { json = JSON.parse(text); } catch { /* a sentence */ }
  if (response.ok) return json;
  throw Object.assign(new Error(sentence(json?.error ?? text.trim())), { problems: json?.problems ?? [] });
}

// A refusal as a sentence.
const sentence = (text) => text ? text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".") : "The request failed.";

// Runs what a button does, with the button disabled, and shows why it failed.
// One thing at a time: an answer for one player must not appear below that of another.
async function attempt(button, act) {
  if (state.isBusy) return;
  state.isBusy = true;
  const hadFocus = document.activeElement === button;
  show("error", false);
  button.disabled = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    await act();
  } catch (error) {
    $("error").textContent = error.message;
    show("error");
    $("error").scrollIntoView({ block: "nearest" });
    (error.problems ?? []).forEach(showProblem);
  } finally {
    state.isBusy = false;
    button.disabled = false;
    document.body.removeAttribute("aria-busy");
    // A disabled button loses the focus.
    if (hadFocus && document.activeElement === document.body) button.focus();
  }
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
    $("error").textContent += ` ${field}: ${text}.`;
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
    $("tab-messaging").focus();
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
  show("error", false);
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

$("read-token").addEventListener("click", () => attempt($("read-token"), async () => {
  const player = await ask("token", { token: $("token").value });
  if (player.email) $("email").value = player.email;
  if (player.external_id) $("expect").value = player.external_id;
  $("token").value = "";
  $(player.email ? "look" : "email").focus();
}));

$("find").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt($("look"), () => look({ email: $("email").value.trim(), expect: $("expect").value.trim() }));
});

async function look(player) {
  ["found", "choice", "plan", "work"].forEach((id) => show(id, false));
  const found = await ask("find", player);
  state.player = player;
  $("sentence").textContent = found.sentence;
  $("sentence").className = `verdict ${found.conflict ? "bad" : ""}`;
  $("sentence-help").textContent = "Then the 409 has another cause, or belongs to another brand: ask your engineer.";
  show("sentence-help", !found.conflict);
  fill($("users"), ...found.users.map(userCard));
  const offers = found.users.flatMap((user) => user.remedies.map((remedy) => remedyCard(user, remedy, found.users)));
  fill($("remedies"), ...offers);
  show("found");
  show("choice", offers.length > 0);
  go("found-title");
}

const emails = (user) => user.identities.filter(({ type }) => type === "email").map(({ value }) => value).join(", ");

const userRows = (user) => [
  ["User", user.id],
  ["Login id", user.external_id ?? "none: never signed in"],
  ["Email", emails(user) || "none"],
  ["First seen", user.signed_up_at && time(user.signed_up_at)],
  ["Brand", user.brand_id],
];

function userCard(user) {
  const card = make("article", "", { className: `card ${user.role}` });
  const count = `${user.more ? "more than " : ""}${user.conversations}`;
  const rows = [...userRows(user), ["Conversations", count], ["Last message", user.last_updated_at && time(user.last_updated_at)]];
  const button = make("button", "Show the conversations", { hidden: user.conversations === 0 });
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
      return fill(make("li", "", { className: message.is_user ? "player" : "" }), head, make("p", message.text ?? `(${message.kind})`));
    });
    const older = make("p", more ? "Older messages are not shown." : "", { className: "quiet" });
    const shown = fill(make("ul", "", { className: "messages", tabIndex: -1 }), ...items);
    fill(part, head, older, shown);
    shown.focus();
  }));
  const head = fill(make("p", "", { className: "quiet" }), "Last message ", time(conversation.last_updated_at));
  return fill(part, head, button);
}

// A remedy for one user. With several users in the way, the title names the user.
function remedyCard(user, remedy, users) {
  const card = make("article", "", { className: "card" });
  const isOne = users.filter(({ role }) => role === "old").length === 1;
  const button = make("button", "Continue", { disabled: Boolean(remedy.why_not) });
  button.dataset.remedy = remedy.name;
  button.dataset.user = user.id;
  button.setAttribute("aria-label", `Continue: ${remedy.title}`);
  button.addEventListener("click", () => attempt(button, () => prepare(user, remedy)));
  const parts = [make("h3", remedy.title + (isOne ? "" : ` (user ${user.id})`))];
  if (remedy.keeps.length) parts.push(make("h4", "Kept"), list(remedy.keeps));
  parts.push(make("h4", "Lost"), list(remedy.loses));
  if (remedy.why_not) parts.push(make("p", `Not possible: the present user ${remedy.why_not}.`, { className: "bad" }));
  return fill(card, ...parts, fill(make("p", "", { className: "buttons" }), button));
}

async function prepare(user, remedy) {
  show("work", false);
  const into = remedy.name === "merge-into" ? state.player.expect : null;
  const plan = await ask("plan", { user: user.id, remedy: remedy.name, into });
  state.plan = plan;
  const cards = [fill(make("article", "", { className: "card old" }), make("h3", ROLES.old), fields(userRows(plan.user)))];
  if (plan.into) cards.push(fill(make("article", "", { className: "card present" }), make("h3", ROLES.present), fields(userRows(plan.into))));
  if (plan.creates) {
    const rows = fields([["Login id", plan.creates], ["", "There is none yet: it is created first."]]);
    cards.push(fill(make("article", "", { className: "card present" }), make("h3", ROLES.present), rows));
  }
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

$("cancel").addEventListener("click", () => {
  if (state.isBusy) return;
  show("plan", false);
  state.plan = null;
  go("found-title");
});

$("confirm").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt($("resolve"), async () => {
    await ask("resolve", { plan: state.plan.plan, confirmation: $("confirmation").value });
    ["choice", "plan"].forEach((id) => show(id, false));
    await follow();
  });
});

const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// Shows the work until its end.
async function follow() {
  fill($("steps"));
  $("outcome").textContent = "";
  ["record", "again", "other", "next"].forEach((id) => show(id, false));
  show("work");
  $("work").setAttribute("aria-busy", "true");
  // Another search would hide the work.
  $("look").disabled = true;
  go("work-title");
  let job;
  try {
    for (;;) {
      job = await ask("job");
      job.steps.slice($("steps").children.length).forEach((step) => $("steps").append(make("li", sentence(step))));
      if (!job.running) break;
      await wait(500);
    }
  } finally {
    $("look").disabled = false;
    $("work").removeAttribute("aria-busy");
  }
  $("outcome").textContent = sentence(job.outcome?.text);
  $("outcome").className = job.outcome?.done ? "good" : "bad";
  show("record", Boolean(job.record));
  show("again", Boolean(state.player));
  show("other");
  show("next", Boolean(job.outcome?.done));
}

$("again").addEventListener("click", () => attempt($("again"), () => look(state.player)));

$("other").addEventListener("click", () => {
  if (state.isBusy) return;
  ["found", "choice", "plan", "work"].forEach((id) => show(id, false));
  $("find").reset();
  state.player = null;
  $("email").focus();
});

// --- Chat

$("visitor-form").addEventListener("submit", (event) => {
  event.preventDefault();
  show("visitor", false);
  attempt($("show"), async () => {
    const visitor = await ask("visitor", { id: $("visitor-id").value.trim(), expect: $("visitor-expect").value.trim() || null });
    const verdict = { true: "good", false: "bad" }[visitor.linked] ?? "";
    fill($("visitor-sentences"), ...visitor.sentences.map((text, at, all) => make("p", text, { className: at === all.length - 1 ? verdict : "" })));
    fill($("visitor-fields"), fields([
      ["Visitor", visitor.id],
      ["Login id", visitor.external_id ?? "none: never signed in"],
      ["Name", visitor.name],
      ["Email", visitor.email],
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

async function load() {
  const { csrf, conversations, chat_api, settings_file, folder, warnings } = await ask("state");
  state.csrf = csrf;
  const apis = [conversations && `Messaging: ${conversations.url}, app ${conversations.app_id}${conversations.brand_id ? `, brand ${conversations.brand_id}` : ""}`, chat_api && `Chat: ${chat_api.url}`];
  $("account").textContent = apis.filter(Boolean).join(" · ");
  $("settings-file").textContent = settings_file;
  $("folder").textContent = folder;
  fill($("warnings"), ...warnings.map((text) => make("li", text)));
  show("warnings", warnings.length > 0);
  const isSetUp = Boolean(conversations || chat_api);
  show("setup", !isSetUp);
  show("desk", isSetUp);
  show("find", Boolean(conversations));
  show("no-messaging", !conversations);
  show("visitor-form", Boolean(chat_api));
  show("no-chat", !chat_api);
  if (!conversations && chat_api) select("chat");
}

async function start() {
  let job = null;
  await attempt($("look"), async () => {
    await load();
    job = await ask("job");
  });
  document.documentElement.dataset.ready = "true";
  // The page was loaded again while something was being done.
  if (job?.running) await attempt($("look"), follow);
}

start();
