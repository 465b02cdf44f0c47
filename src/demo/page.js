"use strict";
const $ = (id) => document.getElementById(id);
const make = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text }, more);

const PRODUCTS = { "chat": "Chat", "help-center": "Help Center", "messaging": "Messaging", "support-sdk": "Support SDK (apps)" };
const OPENERS = { "chat": "Open the chat", "help-center": "Open the Help Center's widget", "messaging": "Open Messaging", "support-sdk": "Ask as Zendesk's servers do" };
const NODES = ["page", "cookie", "verify", "identity", "sign", "widget"];
const state = { known: null, product: "chat", last: 0, isBusy: false };
const kept = (name, value) => { if (value !== undefined) sessionStorage.setItem(name, JSON.stringify(value)); return JSON.parse(sessionStorage.getItem(name) ?? "null"); };

// What each code means, and the mend.
const CODES = {
  "00-00": ["no login token came with the request", "sign the player in, send the cookie (credentials: \"include\"), and serve from the shop's own site"],
  "00-01": ["the login token does not verify", "the cause stands in the step; zendesk-token inspect says more of a token"],
  "00-02": ["the login token names nobody", "it is none of Xsolla Login's"],
  "00-03": ["this product needs an email, and the login token has none", "have Xsolla Login collect it, or set fallback_email_domain"],
  "00-04": ["a claim is not usable in Zendesk", "the cause stands in the step"],
  "00-05": ["the page's origin is not in cors.origins, so the browser does not even let the page read the answer", "add the origin, with scheme and port, to cors.origins"],
  "00-06": ["this client asks more often than rate_limit allows", "ask again after Retry-After; behind a proxy, set proxy.trusted"],
  "00-13": ["the body is over 16 KiB", "no login token is so long; what did the app send?"],
};

// What can be tried: what it is called, fields of the sign-in form and how to ask then, what goes over the wire if it goes as meant, why, and
// the mend.
const TROUBLE = {
  "no-cookie": ["No cookie", { out: true }, "401 00-00", "The player is signed out: the browser has no cookie to send, an app no login token.", "Nothing: an anonymous visitor is what a signed-out player is."],
  "expired": ["Expired login", { kind: "expired" }, "401 00-01", "The login token ended an hour ago, and the cookie still holds it.", "Renew the login token, and the cookie with it."],
  "another-secret": ["Another project's secret", { kind: "another-secret" }, "401 00-01", "The login token is signed with the secret of another login project.", "Set login.secret to the secret of the project that the shop signs in with."],
  "previous-secret": ["Previous secret", { kind: "previous-secret" }, "200", "The login secret was reset, and this token was signed before.", "Nothing: login.previous_secret still verifies it, so nobody is signed out by a reset."],
  "no-email": ["No email", { email: "" }, "422 00-03", "A social login without an email. Only Messaging takes a player without one.", "Have Xsolla Login collect emails, or set fallback_email_domain of the product."],
  "two-cookies": ["Two cookies", { two: "true", isOfPages: true }, "401 00-01", "A second cookie of the same name, under another path, holds another player's login token. Whoever could set it must not choose whose chat this is.", "Set the cookie in one place, with one Path and one Domain."],
  "foreign-origin": ["Foreign origin", { foreign: true, isOfPages: true }, "403 00-05", "The page's origin is not in cors.origins. The page sees a network error; the wire shows the refusal.", "Add the origin, with scheme and port, to cors.origins."],
  "no-credentials": ["credentials forgotten", { credentials: "omit", isOfPages: true }, "401 00-00", "Without credentials: \"include\" the browser sends no cookie to another origin.", "fetch(url, { credentials: \"include\" }), or load jwt_fn.js, which does."],
  "down": ["Service down", { down: true }, "", "The service can't be reached: nothing came back over the wire.", "jwt_fn.js tries again for a while; two instances behind a proxy make restarts unseen."],
  "too-many": ["Too many requests", { flood: 40, isOfPages: true }, "429 00-06", "One client asked 40 times at once.", "The widget asks a few times a visit; ask again after Retry-After."],
};

// A script in a page must not name its own end.
const S = "script";
const SNIPPETS = {
  "chat": (url) => `<${S} src="${url}/jwt_fn.js"></${S}>
<${S}>
  window.zESettings = { webWidget: { authenticate: {
    chat: { jwtFn: zendeskToken.jwtFn },
  } } };
</${S}>`,
  "help-center": (url) => `<${S} src="${url}/jwt_fn.js"></${S}>
<${S}>
  window.zESettings = { webWidget: { authenticate: {
    jwtFn: zendeskToken.helpCenterJwtFn,
  } } };
</${S}>`,
  "messaging": (url) => `<${S} src="${url}/jwt_fn.js"></${S}>
<${"!"}-- then Messaging's own snippet, and for a player who is signed in: -->
<${S}>
  zendeskToken.loginUser(zE);
</${S}>`,
  "support-sdk": (url) => `// The app gives Zendesk the login token:
Zendesk.INSTANCE.setIdentity(JwtIdentity(loginToken))
// and Zendesk's servers ask, at the JWT URL of the Mobile SDK app's settings:
${url}/support-sdk/token`,
};

// The page's own function, as README.md has it for a page without the script: it calls back with a token, or never.
const jwtFn = async (callback, seen, credentials = "include") => {
  const response = state.product === "support-sdk"
    ? await fetch("zendesk", { method: "POST" })
    : await fetch(url(state.product), { credentials, cache: "no-store" });
  Object.assign(seen, { status: response.status, id: response.headers.get("X-Request-Id") });
  const { token } = response.status === 200 ? await response.json() : {};
  if (token) callback(token);
};

const url = (product) => state.known.service + state.known.products.find(({ word }) => word === product).path;

// One request of the widget's, and what became of it.
const ask = async (credentials) => {
  const seen = { status: 0, token: "" };
  const begun = performance.now();
  await jwtFn((token) => { seen.token = token; }, seen, credentials).catch(() => {});
  seen.milliseconds = performance.now() - begun;
  const all = await (await fetch(`wire/${state.product}?after=${state.last}`)).json();
  state.last = all.at(-1)?.number ?? state.last;
  const wires = all.filter(({ request }) => !request.startsWith("OPTIONS"));
  seen.wire = wires.findLast(({ answer }) => seen.id && answer.includes(seen.id)) ?? wires.at(-1) ?? all.at(-1);
  if (seen.wire) {
    let told = {};
    try { told = JSON.parse(seen.wire.answer.split("\r\n\r\n")[1] ?? ""); } catch {}
    seen.code = told.code ?? "";
    seen.told = `${seen.wire.answer.split(" ")[1] ?? ""} ${seen.code}`.trim();
    if (state.product === "support-sdk") seen.token = told.jwt ?? "";
  }
  kept("asked", (kept("asked") ?? 0) + 1);
  return seen;
};

// Opens the widget: it asks, and then what became of the last request is shown. Zendesk's ask again within a session.
const open = async ({ trouble, times = 1 } = {}) => {
  const [, how = {}] = TROUBLE[trouble] ?? [];
  if (how.down) await fetch("service/down", { method: "POST" });
  await Promise.all(Array.from({ length: how.flood ?? 0 }, () => fetch(url(state.product), { credentials: "include" }).catch(() => {})));
  let seen = null;
  for (let time = 0; time < times; time += 1) seen = await ask(how.credentials);
  if (how.down) await fetch("service/up", { method: "POST" });
  await show(seen, trouble);
};

// One thing at a time; and where the demo itself has ended, that is what is shown.
const guarded = (act) => async () => {
  if (state.isBusy) return;
  state.isBusy = true;
  try {
    await act();
  } catch {
    reset("The demo has ended");
    $("who").textContent = "The demo has ended; start it again in the terminal, and open the page that it names.";
  } finally {
    state.isBusy = false;
  }
};

const show = async (seen, trouble) => {
  await know();
  $("request").textContent = seen.wire?.request || "Nothing went over the wire.";
  $("answer").textContent = seen.wire?.answer || "No answer.";
  showAgent(await showToken(seen.token));
  showWay(seen);
  showTold(seen, trouble);
  const asked = kept("asked");
  $("asked").textContent = `It has asked ${asked} time${asked === 1 ? "" : "s"} in this session. Zendesk's widgets ask several times, and want a fresh token each time.`;
};

// Nothing has been asked of this product.
const reset = (agent = "Nobody has asked yet") => {
  for (const name of ["request", "answer", "token"]) $(name).textContent = "none yet";
  $("signature").textContent = "";
  $("told").replaceChildren();
  $("agent").className = "agent";
  $("agent").replaceChildren(make("strong", agent));
  showWay(null);
};

const part = (text) => JSON.parse(new TextDecoder().decode(bytes(text)));
const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

const inWords = (name, at) => {
  const seconds = Math.round(at - Date.now() / 1000);
  const long = Math.abs(seconds) < 120 ? `${Math.abs(seconds)} seconds` : Math.abs(seconds) < 7200 ? `${Math.round(Math.abs(seconds) / 60)} minutes` : `${Math.round(Math.abs(seconds) / 3600)} hours`;
  const when = seconds > 0 ? `in ${long}` : `${long} ago`;
  return { iat: `issued ${when}`, exp: seconds > 0 ? `expires ${when}` : `expired ${when}` }[name];
};

const showToken = async (token) => {
  if (!token) {
    $("token").textContent = "none";
    $("signature").textContent = "No token was issued.";
    return null;
  }
  const [head, claims, signature] = token.split(".");
  const { secret } = state.known.products.find(({ word }) => word === state.product);
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const isGood = await crypto.subtle.verify("HMAC", key, bytes(signature), new TextEncoder().encode(`${head}.${claims}`));
  const opened = part(claims);
  const times = ["iat", "exp"].filter((name) => name in opened).map((name) => `${name}: ${inWords(name, opened[name])}`);
  $("signature").textContent = `${isGood ? "✓ The signature is right" : "✗ The signature is wrong"}, checked in this browser with the product's secret. ${times.join(", ")}.`;
  $("token").textContent = `${JSON.stringify(part(head), null, 2)}\n${JSON.stringify(opened, null, 2)}`;
  return isGood ? opened : null;
};

const showAgent = (claims) => {
  $("agent").className = `agent ${claims ? "known" : "anonymous"}`;
  $("agent").replaceChildren(make("strong", claims ? `✓ ${claims.name ?? "no name"}` : "Anonymous visitor"));
  if (!claims) return;
  $("agent").append(make("div", claims.email ?? "no email"));
  if (claims.external_id) $("agent").append(make("div", `external id ${claims.external_id}`, { className: "quiet" }));
};

const showWay = (seen) => {
  const all = seen?.wire?.steps ?? [];
  // What the service refuses before it looks at the login stops at the page.
  const isWalked = (all.find(({ refusal }) => refusal)?.refusal ?? "") === (seen?.code ?? "");
  const steps = Object.fromEntries(all.map((step) => [step.name, step]));
  const time = (microseconds) => microseconds < 1000 ? `${microseconds.toFixed(0)} µs` : `${(microseconds / 1000).toFixed(1)} ms`;
  const at = (name) => {
    if (!seen) return ["", "", null];
    if (name === "page") {
      if (!seen.wire) return ["failed", "no answer", seen.milliseconds * 1000];
      if (!isWalked) return ["failed", CODES[seen.code]?.[0] ?? seen.told, seen.milliseconds * 1000];
      return [steps.origin?.refusal ? "failed" : "done", steps.origin?.told ?? "asks", Math.max(seen.milliseconds - seen.wire.milliseconds, 0) * 1000];
    }
    // From the call of the function to its call back.
    if (name === "widget") return seen.token ? ["done", "called back with the token", seen.milliseconds * 1000] : ["", "not called back", null];
    const step = isWalked ? steps[name] : null;
    return step ? [step.refusal ? "failed" : "done", step.told, step.microseconds] : ["", "not reached", null];
  };
  $("way").replaceChildren(...NODES.map((name) => {
    const [outcome, told, microseconds] = at(name);
    const item = make("li", "", { className: outcome });
    item.append(make("strong", name), make("div", told), make("div", microseconds === null ? "" : time(microseconds), { className: "time" }));
    if (outcome === "failed") item.setAttribute("aria-current", "step");
    return item;
  }));
};

const showTold = (seen, trouble) => {
  const [label, , meant, why, mend] = TROUBLE[trouble] ?? [];
  const wire = seen.told ?? "";
  const isAsMeant = label && wire === meant;
  const { session, service } = state.known;
  const isKeptBack = seen.code === "00-00" && session.login_token && location.hostname !== new URL(service).hostname && state.product !== "support-sdk";
  const [meaning, repair] = isAsMeant ? [why, mend]
    : isKeptBack ? ["The cookie is SameSite=Lax, and this page is another site than the service: the browser keeps it back.", "Serve the service from the shop's registrable domain, or send the login token in a header (login.bearer)."]
    : !seen.wire ? ["Nothing came back over the wire.", "Is the service there, and its address right?"]
    : (Object.hasOwn(CODES, seen.code) ? CODES[seen.code] : ["", ""]);
  const happens = `${wire || "No answer"}: ${seen.token ? "the widget gets its token" : `the visitor stays anonymous${seen.status === 0 && seen.wire ? ", and the page sees a network error" : ""}`}`;
  const rows = [["What happens", happens], ["Why", meaning], ["The mend", repair]].filter(([, text]) => text);
  const list = make("dl", "");
  for (const [name, text] of rows) list.append(make("dt", name), make("dd", text));
  $("told").replaceChildren(...(label ? [make("h3", label)] : []), list);
};

// Signs in or out as a real shop does, by a form; the page comes back and goes on with what `next` says.
const submit = (fields, next = "") => {
  const { out, ...rest } = fields;
  const form = make("form", "", { method: "post", action: `${state.known.cookie_home}${location.pathname}${out ? "sign-out" : "sign-in"}` });
  for (const [name, value] of Object.entries({ ...rest, next })) form.append(make("input", "", { type: "hidden", name, value }));
  document.body.append(form);
  form.submit();
};

const attempt = async (trouble) => {
  const [, { isOfPages, ...how }] = TROUBLE[trouble];
  const next = `run/${trouble}/${state.product}`;
  const isForeign = location.origin === state.known.foreign_origin;
  if (how.foreign && !isForeign) location.href = `${state.known.foreign_origin}${location.pathname}#${next}`;
  else if (how.foreign || how.credentials || how.down || how.flood) {
    await open({ trouble });
    $("told").scrollIntoView({ block: "nearest" });
  } else submit({ ...player(), ...how }, next);
};

// The player of the form, who is signed in again by each attempt.
const player = () => kept("player") ?? { name: "Jane Doe", email: "jane@example.com" };

const choose = (product) => {
  state.product = product;
  for (const radio of document.querySelectorAll("#products input")) radio.checked = radio.value === product;
  for (const button of document.querySelectorAll("[data-trouble]")) button.disabled = product === "support-sdk" && Boolean(TROUBLE[button.dataset.trouble][1].isOfPages);
  $("of-pages").hidden = product !== "support-sdk";
  $("open").textContent = OPENERS[product];
  $("snippet").textContent = SNIPPETS[product](state.known.service);
  reset();
};

// Who is signed in now; another tab may have changed it.
const know = async () => {
  state.known = await (await fetch("known")).json();
  const { session, can_mint } = state.known;
  const { name, email, login_token, set_cookies, problem } = session;
  const who = !login_token ? "Nobody is signed in." : !can_mint ? "The login token that you pasted is in the cookie."
    : `${name ?? "A player without a name"} is signed in${email ? ` as ${email}` : ", without an email"}.`;
  $("who").textContent = problem ? `Nothing has changed: ${problem}. ${who}` : who;
  $("cookie").textContent = set_cookies.filter((cookie) => !cookie.startsWith("token=;") || !login_token).map((cookie) => `Set-Cookie: ${cookie}`).join("\n\n") || "none yet";
};

const start = async () => {
  await fetch("service/up", { method: "POST" });
  await know();
  const { can_mint, cookie_home, usual_origin, foreign_origin } = state.known;
  $("foreign").hidden = location.origin !== foreign_origin;
  $("home").href = `${usual_origin}${location.pathname}`;
  for (const [id, isShown] of [["minted", can_mint], ["pasted", !can_mint]]) {
    $(id).hidden = !isShown;
    for (const field of $(id).querySelectorAll("input, textarea")) field.disabled = !isShown;
  }
  $("name").value = player().name;
  $("email").value = player().email;
  $("sign-in").action = `${cookie_home}${location.pathname}sign-in`;
  $("sign-in").addEventListener("submit", () => {
    if (can_mint) kept("player", { name: $("name").value, email: $("no-email").checked ? "" : $("email").value });
    if ($("no-email").checked) $("email").value = "";
  });
  $("no-email").addEventListener("change", () => { $("email").disabled = $("no-email").checked; });
  $("sign-out").addEventListener("click", () => submit({ out: true }));
  for (const [word, name] of Object.entries(PRODUCTS)) {
    const label = make("label", "");
    const radio = make("input", "", { type: "radio", name: "product", value: word });
    radio.addEventListener("change", () => choose(word));
    label.append(radio, name);
    $("products").append(label);
  }
  const isMinted = (how) => !how.out && !how.foreign && !how.credentials && !how.down && !how.flood;
  for (const [word, [label, how]] of Object.entries(TROUBLE)) {
    if (!can_mint && isMinted(how)) continue;
    const button = make("button", label, { type: "button" });
    button.dataset.trouble = word;
    button.addEventListener("click", guarded(() => attempt(word)));
    $("trouble").append(button);
  }
  $("open").addEventListener("click", guarded(() => open({ times: 2 })));
  $("again").addEventListener("click", guarded(() => open()));
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText($("snippet").textContent).then(() => { $("copied").textContent = "Copied"; }, () => { $("copied").textContent = "Select and copy it by hand"; });
  });
  const all = await (await fetch("wire/chat?after=0")).json();
  state.last = all.at(-1)?.number ?? 0;
  const [, run, product] = location.hash.match(/^#run\/([a-z0-9-]+)\/([a-z-]+)$/) ?? [];
  choose(Object.hasOwn(PRODUCTS, product ?? "") ? product : "chat");
  if (Object.hasOwn(TROUBLE, run ?? "")) {
    history.replaceState(null, "", location.pathname);
    await open({ trouble: run });
    // Where a person with a keyboard or a screen reader goes on.
    $("told").focus();
  }
  document.documentElement.dataset.ready = "true";
};
guarded(start)();
