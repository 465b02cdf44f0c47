"use strict";
const $ = (id) => document.getElementById(id);
const make = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text }, more);

const PRODUCTS = { "chat": "Chat", "help-center": "Help Center", "messaging": "Messaging", "support-sdk": "Support SDK (apps)" };
const OPENERS = { "chat": "Open the chat", "help-center": "Open the Help Center's widget", "messaging": "Open Messaging", "support-sdk": "Request as Zendesk's servers do" };
const STEPS = ["page", "cookie", "verify", "identity", "sign", "widget"];
const state = { data: null, product: "chat", last: 0, isBusy: false, isKnown: false, inMemory: null, getToken: null, asked: null };
const stored = (name, value) => { if (value !== undefined) sessionStorage.setItem(name, JSON.stringify(value)); return JSON.parse(sessionStorage.getItem(name) ?? "null"); };

// The meaning of each error code, and the fix.
const CODES = {
  "00-00": ["the request has no login token", "sign the player in, send the cookie (credentials: \"include\"), and serve the service from the shop's own site"],
  "00-01": ["the login token is not valid", "see the failed step for the cause; zendesk-token inspect explains the token in detail"],
  "00-02": ["the login token has no player id (sub)", "use a token of a signed-in player"],
  "00-03": ["the login token has no email, and this product needs one", "let the login collect it, or set fallback_email_domain"],
  "00-04": ["Zendesk can't use a claim of the login token", "see the failed step for the cause"],
  "00-05": ["the page's origin is not in cors.origins, so the browser does not let the page read the response", "add the origin, with scheme and port, to cors.origins"],
  "00-06": ["this client sends more requests than rate_limit allows", "try again after Retry-After; behind a proxy, set proxy.trusted"],
  "00-13": ["the request body is over 16 KiB", "check what the app sends: login tokens are shorter"],
};

// Problems to try: label, fields of the sign-in form and options of the request, expected result (or results), cause, and fix.
// `forPages` means that it can't happen to apps, `forCookie` that it can't happen without a cookie, `forLogin` that it can
// happen to players of this login alone, and `isLater` that it has no button.
const PROBLEMS = {
  "no-cookie": ["Signed out", { out: true }, "401 00-00", "The player is signed out: the browser has no cookie to send, and an app has no login token.", "None needed: a signed-out player is an anonymous visitor."],
  "expired": ["Expired login", { kind: "expired" }, "401 00-01", "The login token expired an hour ago, but is still in use.", "Renew the login token before it ends, and the cookie with it."],
  "ends": ["Login ends after a minute", { kind: "minute" }, "200", "The login token ends a minute after the sign-in, and the Zendesk token with it. Then the widget asks for a new token.", "None yet: wait for the end of the login."],
  "ended": ["The login has ended", { isLater: true }, "401 00-01", "The login token has ended, so the widget gets no new Zendesk token.", "Renew the login token before it ends. Otherwise sign the player in again, and call zendeskToken.signedIn()."],
  "another-secret": ["Another project's secret", { kind: "another-secret", forLogin: "xsolla" }, "401 00-01", "The login token is signed with the secret of another login project.", "Set login.secret to the secret of the shop's login project."],
  "previous-secret": ["Previous secret", { kind: "previous-secret", forLogin: "xsolla" }, "200", "The login secret was reset after this token was signed.", "None needed: login.previous_secret still verifies the token, so a reset does not sign players out."],
  "no-email": ["No email", { email: "" }, "422 00-03", "The social login has no email. Only Messaging accepts a player without one.", "Let the login collect emails, or set the product's fallback_email_domain."],
  "unconfirmed-email": ["Unconfirmed email", { kind: "unconfirmed-email", forLogin: "studio" }, ["422 00-04", "200"], "The provider has not confirmed that the email is the player's: email_verified is false. Help Center and Support SDK identify players by email, so they refuse it. Chat and Messaging identify them by external id.", "Let the provider confirm emails."],
  "two-cookies": ["Two cookies", { two: "true", forPages: true, forCookie: true }, "401 00-01", "A second cookie with the same name and another path has another player's login token. An attacker who can set a cookie must not choose the player of the chat.", "Set the cookie in one place, with one Path and one Domain."],
  "foreign-origin": ["Foreign origin", { foreign: true, forPages: true }, ["403 00-05", "preflight 200"], "The page's origin is not in cors.origins, so the page sees a network error. The response has the error code. With Authorization, the browser stops after the preflight.", "Add the origin, with scheme and port, to cors.origins."],
  "no-credentials": ["Missing credentials option", { credentials: "omit", forPages: true, forCookie: true }, "401 00-00", "Without credentials: \"include\" the browser sends no cookie to another origin.", "Use fetch(url, { credentials: \"include\" }), or load jwt_fn.js, which does this."],
  "down": ["Service down", { down: true }, "", "The service can't be reached, so there is no response.", "None needed for short outages: jwt_fn.js tries again for a while. Two instances behind a proxy restart without an outage."],
  "too-many": ["Too many requests", { flood: 40, forPages: true }, "429 00-06", "One client sent 40 requests at once.", "The widget sends a few per visit. Try again after Retry-After."],
};

// A literal end tag would end this script.
const S = "script";
const BEARER = "\n  zendeskToken.configure({ loginToken: () => shop.loginToken });";
const WITHOUT_RELOAD = `
  // After a sign-in or a sign-out without a reload:
  // zendeskToken.signedIn(); or zendeskToken.signedOut();`;
const SNIPPETS = {
  "chat": (url, bearer) => `<${S} src="${url}/jwt_fn.js"></${S}>
<${S}>${bearer}
  window.zESettings = { webWidget: { authenticate: {
    chat: { jwtFn: zendeskToken.jwtFn },
  } } };${WITHOUT_RELOAD}
</${S}>`,
  "help-center": (url, bearer) => `<${S} src="${url}/jwt_fn.js"></${S}>
<${S}>${bearer}
  window.zESettings = { webWidget: { authenticate: {
    jwtFn: zendeskToken.helpCenterJwtFn,
  } } };${WITHOUT_RELOAD}
</${S}>`,
  "messaging": (url, bearer) => `<${S} src="${url}/jwt_fn.js"></${S}>
<${"!"}-- then Messaging's own snippet, and for a signed-in player: -->
<${S}>${bearer}
  zendeskToken.loginUser(zE);${WITHOUT_RELOAD}
</${S}>`,
  "support-sdk": (url) => `// The app gives the user token from ${url}/support-sdk/user-token to the SDK:
Zendesk.INSTANCE.setIdentity(JwtIdentity(userToken))
// Zendesk's servers send it to the JWT URL in the Mobile SDK app's settings:
${url}/support-sdk/token`,
};

const url = (product) => state.data.service + state.data.products.find(({ name }) => name === product).path;

// Loads the service's script as a page does that has the login token in a cookie, or in memory.
const loadScript = (inMemory) => new Promise((done, fail) => {
  const script = make("script", "", { src: `${state.data.service}/jwt_fn.js` });
  script.addEventListener("load", () => {
    if (inMemory) zendeskToken.configure({ loginToken: () => state.data.session.login_token });
    done();
  });
  script.addEventListener("error", fail);
  document.head.append(script);
});

// The simulated widget asks a function for a token. The script calls back, or says in an event why there is no token.
const ask = (getToken) => new Promise((done) => {
  const start = performance.now();
  const settle = (token, refusal) => {
    removeEventListener("zendesk-token-refused", refused);
    done({ token, refusal, milliseconds: performance.now() - start });
  };
  const refused = ({ detail }) => settle("", detail);
  addEventListener("zendesk-token-refused", refused);
  getToken(settle);
});

// Like the function in docs/front-end.md for pages without the script.
const withoutScript = (credentials) => async (callback) => {
  try {
    const response = await fetch(url(state.product), { credentials, cache: "no-store" });
    callback((await response.json()).token ?? "", { status: response.status });
  } catch {
    callback("", { status: 0 });
  }
};

// For apps, Zendesk's servers ask.
const asZendesk = async (callback) => {
  await fetch("zendesk", { method: "POST" }).catch(() => {});
  callback("");
};

// What the page calls on the script, and the script on the widget.
const noteCall = (text) => {
  const lines = $("calls").textContent.split("\n").filter((line) => line !== "none yet");
  $("calls").textContent = [...lines, text].slice(-6).join("\n");
};

const zE = (...call) => {
  const [, command, getToken] = call;
  const names = call.filter((value) => typeof value === "string").map((value) => JSON.stringify(value));
  noteCall(`→ zE(${names.join(", ")}${getToken ? ", …" : ""})`);
  if (command === "loginUser") state.getToken = getToken;
  if (command === "logoutUser") state.getToken = null;
  state.asked = command.startsWith("logout") ? null : ask(state.getToken);
};

const callScript = (name, ...more) => {
  noteCall(`zendeskToken.${name}(${more.length ? "zE" : ""})`);
  zendeskToken[name](...more);
};

// Sets what the page has for the product: the settings of the Web Widget (Classic), or Messaging.
const setWidget = () => {
  const { jwtFn, helpCenterJwtFn } = zendeskToken;
  const authenticate = { "chat": { chat: { jwtFn } }, "help-center": { jwtFn: helpCenterJwtFn } }[state.product];
  window.zESettings = authenticate && { webWidget: { authenticate } };
  window.zE = state.product === "support-sdk" ? undefined : zE;
  state.getToken = authenticate?.chat?.jwtFn ?? authenticate?.jwtFn ?? null;
};

// Shows what is possible with the product, the way and the login.
const setControls = () => {
  const isApp = state.product === "support-sdk";
  for (const button of document.querySelectorAll("[data-problem]")) {
    const { forPages, forCookie, forLogin } = PROBLEMS[button.dataset.problem][1];
    button.disabled = Boolean(isApp && forPages || state.inMemory && forCookie);
    button.hidden = Boolean(forLogin) && forLogin !== player().login;
  }
  $("pages-only").hidden = !isApp;
  $("cookie-only").hidden = isApp || !state.inMemory;
  for (const id of ["sign-in-here", "sign-out-here"]) $(id).disabled = isApp;
  $("snippet").textContent = SNIPPETS[state.product](state.data.service, state.inMemory ? BEARER : "");
};

// Sends one request as the widget does, and returns its result. With `credentials` the page has no script.
const request = async (credentials) => {
  if (state.product === "support-sdk") state.asked = ask(asZendesk);
  else if (credentials) state.asked = ask(withoutScript(credentials));
  else if (state.getToken) state.asked = ask(state.getToken);
  else callScript("loginUser", window.zE);
  return asked();
};

// The result of what the widget asked.
const asked = async () => {
  const slow = setTimeout(() => reset("The script is still asking for a token"), 500);
  const seen = await state.asked;
  clearTimeout(slow);
  const all = await (await fetch(`exchanges/${state.product}?after=${state.last}`)).json();
  state.last = all.at(-1)?.number ?? state.last;
  const { pathname } = new URL(url(state.product));
  const own = all.filter(({ request }) => request.split(" ")[1] === pathname);
  seen.exchange = own.findLast(({ request }) => !request.startsWith("OPTIONS")) ?? own.at(-1);
  // The script does not ask the service without a login token.
  seen.isUnsent = seen.refusal?.cause === "signed-out" && !seen.exchange;
  if (seen.exchange) {
    let body = {};
    try { body = JSON.parse(seen.exchange.answer.split("\r\n\r\n")[1] ?? ""); } catch {}
    seen.code = body.code ?? "";
    const isPreflight = seen.exchange.request.startsWith("OPTIONS");
    seen.outcome = `${isPreflight ? "preflight " : ""}${seen.exchange.answer.split(" ")[1] ?? ""} ${seen.code}`.trim();
    if (state.product === "support-sdk") seen.token = body.jwt ?? "";
  }
  stored("requests", (stored("requests") ?? 0) + 1);
  return seen;
};

// Opens the widget, which sends its requests, and shows the result of the last one.
const open = async ({ problem, times = 1 } = {}) => {
  const [, options = {}] = PROBLEMS[problem] ?? [];
  if (options.down) await fetch("service/down", { method: "POST" });
  await Promise.all(Array.from({ length: options.flood ?? 0 }, () => fetch(url(state.product), { credentials: "include" }).catch(() => {})));
  let seen = null;
  for (let time = 0; time < times; time += 1) seen = await request(options.credentials);
  if (options.down) await fetch("service/up", { method: "POST" });
  await show(seen, problem);
};

// Runs one action at a time. If the demo has stopped, shows that.
const guarded = (act) => async () => {
  if (state.isBusy) return;
  state.isBusy = true;
  try {
    await act();
  } catch {
    reset("The demo has stopped");
    $("who").textContent = "The demo has stopped. Start it again in the terminal, and open the page that it prints.";
  } finally {
    state.isBusy = false;
  }
};

const show = async (seen, problem) => {
  await refresh();
  $("request").textContent = seen.exchange?.request || "No request reached the service.";
  $("answer").textContent = seen.exchange?.answer || "No response.";
  showAgent(await showToken(seen.token));
  showSteps(seen);
  showResult(seen, problem);
  tick();
  const count = stored("requests");
  $("count").textContent = `${count} request${count === 1 ? "" : "s"} in this session. Zendesk's widgets request a new token several times in a session.`;
};

// Shows that there was no request for this product yet.
const reset = (agent = "No request yet") => {
  for (const name of ["request", "answer", "token"]) $(name).textContent = "none yet";
  $("signature").textContent = "";
  $("result").replaceChildren();
  state.isKnown = false;
  $("agent").className = "agent";
  $("agent").replaceChildren(make("strong", agent));
  showSteps(null);
};

const part = (text) => JSON.parse(new TextDecoder().decode(bytes(text)));
const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

const describeTime = (name, at) => {
  const seconds = Math.round(at - Date.now() / 1000);
  const size = Math.abs(seconds);
  const [count, unit] = size < 120 ? [size, "second"] : size < 7200 ? [Math.round(size / 60), "minute"] : [Math.round(size / 3600), "hour"];
  const duration = `${count} ${unit}${count === 1 ? "" : "s"}`;
  const when = seconds > 0 ? `in ${duration}` : `${duration} ago`;
  return { iat: `issued ${when}`, exp: seconds > 0 ? `expires ${when}` : `expired ${when}` }[name];
};

const showToken = async (token) => {
  if (!token) {
    $("token").textContent = "none";
    $("signature").textContent = "No token was issued.";
    return null;
  }
  const [head, claims, signature] = token.split(".");
  const { secret } = state.data.products.find(({ name }) => name === state.product);
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const isValid = await crypto.subtle.verify("HMAC", key, bytes(signature), new TextEncoder().encode(`${head}.${claims}`));
  const decoded = part(claims);
  const times = ["iat", "exp"].filter((name) => name in decoded).map((name) => `${name}: ${describeTime(name, decoded[name])}`);
  $("signature").textContent = `${isValid ? "✓ The signature is valid" : "✗ The signature is not valid"}, verified in this browser with the product's secret. ${times.join(", ")}.`;
  $("token").textContent = `${JSON.stringify(part(head), null, 2)}\n${JSON.stringify(decoded, null, 2)}`;
  return isValid ? decoded : null;
};

const showAgent = (claims) => {
  state.isKnown = Boolean(claims);
  $("agent").className = `agent ${claims ? "known" : "anonymous"}`;
  $("agent").replaceChildren(make("strong", claims ? `✓ ${claims.name ?? "no name"}` : "Anonymous visitor"));
  if (!claims) return;
  $("agent").append(make("div", claims.email ?? "no email"));
  if (claims.external_id) $("agent").append(make("div", `external id ${claims.external_id}`, { className: "quiet" }));
};

const showSteps = (seen) => {
  const all = seen?.exchange?.steps ?? [];
  // If the service refused the request before it looked at the login, the request stopped at the page.
  const isTraced = (all.find(({ refusal }) => refusal)?.refusal ?? "") === (seen?.code ?? "");
  const steps = Object.fromEntries(all.map((step) => [step.name, step]));
  const time = (microseconds) => microseconds < 1000 ? `${microseconds.toFixed(0)} µs` : `${(microseconds / 1000).toFixed(1)} ms`;
  const result = (name) => {
    if (!seen) return ["", "", null];
    if (name === "page") {
      if (!seen.exchange) return ["failed", seen.isUnsent ? "sends no request" : "no response", seen.milliseconds * 1000];
      if (!isTraced) return ["failed", CODES[seen.code]?.[0] ?? seen.outcome, seen.milliseconds * 1000];
      return [steps.origin?.refusal ? "failed" : "done", steps.origin?.text ?? "sends the request", Math.max(seen.milliseconds - seen.exchange.milliseconds, 0) * 1000];
    }
    // From the call of the function to its callback.
    if (name === "widget") return seen.token ? ["done", "receives the token", seen.milliseconds * 1000] : ["", "receives no token", null];
    const step = isTraced ? steps[name] : null;
    return step ? [step.refusal ? "failed" : "done", step.text, step.microseconds] : ["", "not reached", null];
  };
  $("steps").replaceChildren(...STEPS.map((name) => {
    const [outcome, text, microseconds] = result(name);
    const item = make("li", "", { className: outcome });
    item.append(make("strong", name === "cookie" && state.inMemory ? "bearer" : name), make("div", text), make("div", microseconds === null ? "" : time(microseconds), { className: "time" }));
    if (outcome === "failed") item.setAttribute("aria-current", "step");
    return item;
  }));
};

const showResult = (seen, problem) => {
  const [label, , expected, cause, fix] = PROBLEMS[problem] ?? [];
  const outcome = seen.outcome ?? "";
  const isExpected = label && [expected].flat().includes(outcome);
  const { session, service } = state.data;
  const isBlocked = seen.code === "00-00" && session.login_token && !state.inMemory && location.hostname !== new URL(service).hostname && state.product !== "support-sdk";
  const [why, remedy] = isExpected ? [cause, fix]
    : isBlocked ? ["The cookie is SameSite=Lax, and page and service are different sites, so the browser does not send the cookie.", "Serve the service from the shop's registrable domain, or send the login token in a header (login.bearer)."]
    : seen.isUnsent ? ["The player is signed out, so the script sends no request.", "None needed: a signed-out player is an anonymous visitor."]
    : !seen.exchange ? ["There was no response.", "Check that the service runs and that its address is right."]
    : (Object.hasOwn(CODES, seen.code) ? CODES[seen.code] : ["", ""]);
  const result = `${outcome || (seen.isUnsent ? "No request" : "No response")}: ${seen.token ? "the widget gets its token" : `the visitor ${problem === "ended" ? "turns" : "stays"} anonymous${seen.refusal?.status === 0 && seen.exchange ? ", and the page sees a network error" : ""}`}`;
  const event = seen.refusal?.cause && `zendesk-token-refused, with the cause ${seen.refusal.cause}`;
  showRows([["Result", result], ["Event", event], ["Cause", why], ["Fix", remedy]].filter(([, text]) => text), label);
};

const showRows = (rows, label) => {
  const list = make("dl", "");
  for (const [name, text] of rows) list.append(make("dt", name), make("dd", text));
  $("result").replaceChildren(...(label ? [make("h3", label)] : []), list);
};

// Signs in or out without a reload, as a single-page app does: the shop first, and then the script.
const signHere = async (path, fields, call) => {
  await fetch(path, { method: "POST", body: new URLSearchParams(fields), redirect: "manual" });
  await refresh();
  if (state.data.session.problem) return;
  state.asked = null;
  callScript(call);
  if (state.asked) return show(await asked());
  reset();
  showAgent(null);
  showRows([["Result", "Signed out: the widget ended the player's session, and the visitor is anonymous."]]);
};

// Shows when a login of a minute ends. Then the widget asks for a new token, as Zendesk's widgets do.
const tick = () => {
  let login = {};
  try { login = part(state.data.session.login_token.split(".")[1]); } catch {}
  const isShort = login.exp - login.iat <= 60;
  const left = Math.ceil(login.exp - Date.now() / 1000);
  $("ends").textContent = !isShort ? "" : left > 0 ? `The login ends in ${left} second${left === 1 ? "" : "s"}.` : "The login has ended.";
  if (isShort && left <= 0 && state.isKnown && !state.isBusy) guarded(() => open({ problem: "ended" }))();
};

// Signs in or out with a form, as a real shop does. The shop redirects back to this page, which continues with `next`.
const submit = (fields, next = "") => {
  const { out, ...rest } = fields;
  const form = make("form", "", { method: "post", action: `${state.data.cookie_home}${location.pathname}${out ? "sign-out" : "sign-in"}` });
  for (const [name, value] of Object.entries({ ...rest, next })) form.append(make("input", "", { type: "hidden", name, value }));
  document.body.append(form);
  form.submit();
};

const attempt = async (problem) => {
  const [, { forPages, forCookie, forLogin, ...options }] = PROBLEMS[problem];
  const next = `run/${problem}/${state.product}`;
  const isForeign = location.origin === state.data.foreign_origin;
  if (options.foreign && !isForeign) location.href = `${state.data.foreign_origin}${location.pathname}#${next}`;
  else if (options.foreign || options.credentials || options.down || options.flood) {
    await open({ problem });
    $("result").scrollIntoView({ block: "nearest" });
  } else submit({ ...player(), ...options }, next);
};

// The form's player; each attempt signs it in again.
const player = () => stored("player") ?? { login: "xsolla", name: "Jane Doe", email: "jane@example.com", in_memory: "false" };

const choose = (product) => {
  state.product = product;
  for (const radio of document.querySelectorAll("#products input")) radio.checked = radio.value === product;
  $("open").textContent = OPENERS[product];
  $("calls").textContent = "none yet";
  setWidget();
  setControls();
  reset();
};

// Loads the current session, which another tab may have changed.
const refresh = async () => {
  state.data = await (await fetch("data")).json();
  const { session, can_mint } = state.data;
  const { login, name, email, login_token, in_memory, set_cookies, problem } = session;
  const who = !login_token ? "Nobody is signed in." : !can_mint ? `The pasted login token is in ${in_memory ? "memory" : "the cookie"}.`
    : `${name ?? "A player without a name"} is signed in${login === "studio" ? " with a studio account" : ""}${email ? ` as ${email}` : ", without an email"}.`;
  $("who").textContent = problem ? `Sign-in failed: ${problem}. ${who}` : who;
  const inMemory = login_token ? in_memory : player().in_memory === "true";
  const cookies = set_cookies.filter((cookie) => !cookie.startsWith("token=;") || !login_token).map((cookie) => `Set-Cookie: ${cookie}`);
  $("cookie-title").textContent = inMemory ? "The login token in memory" : "The cookie";
  $("cookie").textContent = inMemory ? (login_token ?? "none") : cookies.join("\n\n") || "none yet";
  // The script can't go back from memory to the cookie, so it is loaded again.
  if (state.inMemory !== inMemory) {
    await loadScript(inMemory);
    state.inMemory = inMemory;
    setWidget();
  }
  setControls();
};

const start = async () => {
  await fetch("service/up", { method: "POST" });
  await refresh();
  const { can_mint, cookie_home, usual_origin, foreign_origin } = state.data;
  $("foreign").hidden = location.origin !== foreign_origin;
  $("home").href = `${usual_origin}${location.pathname}`;
  for (const [id, isShown] of [["minted", can_mint], ["pasted", !can_mint]]) {
    $(id).hidden = !isShown;
    for (const field of $(id).querySelectorAll("input, textarea")) field.disabled = !isShown;
  }
  const chosen = () => new FormData($("sign-in")).get("login");
  for (const radio of document.querySelectorAll("#way input")) radio.checked = radio.value === player().in_memory;
  for (const radio of document.querySelectorAll("#minted input[type=radio]")) {
    radio.checked = radio.value === player().login;
    radio.addEventListener("change", () => { $("numbered").hidden = chosen() !== "studio"; });
  }
  $("numbered").hidden = chosen() !== "studio";
  $("name").value = player().name;
  $("email").value = player().email;
  $("sign-in").action = `${cookie_home}${location.pathname}sign-in`;
  const keepPlayer = () => {
    const { login, name, email } = can_mint ? { login: chosen(), name: $("name").value, email: $("no-email").checked ? "" : $("email").value } : player();
    stored("player", { login, name, email, in_memory: new FormData($("sign-in")).get("in_memory") });
    if ($("no-email").checked) $("email").value = "";
  };
  $("sign-in").addEventListener("submit", keepPlayer);
  $("no-email").addEventListener("change", () => { $("email").disabled = $("no-email").checked; });
  $("sign-out").addEventListener("click", () => submit({ out: true }));
  $("sign-in-here").addEventListener("click", guarded(async () => {
    if (!$("sign-in").reportValidity()) return;
    keepPlayer();
    await signHere("sign-in", new FormData($("sign-in")), "signedIn");
  }));
  $("sign-out-here").addEventListener("click", guarded(() => signHere("sign-out", {}, "signedOut")));
  for (const [product, title] of Object.entries(PRODUCTS)) {
    const label = make("label", "");
    const radio = make("input", "", { type: "radio", name: "product", value: product });
    radio.addEventListener("change", () => choose(product));
    label.append(radio, title);
    $("products").append(label);
  }
  const isMinted = (options) => !options.out && !options.foreign && !options.credentials && !options.down && !options.flood;
  for (const [problem, [label, options]] of Object.entries(PROBLEMS)) {
    if (options.isLater || !can_mint && isMinted(options)) continue;
    const button = make("button", label, { type: "button" });
    button.dataset.problem = problem;
    button.addEventListener("click", guarded(() => attempt(problem)));
    $("problems").append(button);
  }
  $("open").addEventListener("click", guarded(() => open({ times: 2 })));
  $("again").addEventListener("click", guarded(() => open()));
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText($("snippet").textContent).then(() => { $("copied").textContent = "Copied"; }, () => { $("copied").textContent = "Select the code and copy it"; });
  });
  const all = await (await fetch("exchanges/chat?after=0")).json();
  state.last = all.at(-1)?.number ?? 0;
  const [, run, product] = location.hash.match(/^#run\/([a-z0-9-]+)\/([a-z-]+)$/) ?? [];
  choose(Object.hasOwn(PRODUCTS, product ?? "") ? product : "chat");
  if (Object.hasOwn(PROBLEMS, run ?? "")) {
    history.replaceState(null, "", location.pathname);
    await open({ problem: run });
    // For keyboards and screen readers.
    $("result").focus();
  }
  setInterval(tick, 1000);
  document.documentElement.dataset.ready = "true";
};
guarded(start)();
