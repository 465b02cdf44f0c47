"use strict";
const $ = (id) => document.getElementById(id);
const make = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text }, more);

const PRODUCTS = { "chat": "Chat", "help-center": "Help Center", "messaging": "Messaging", "support-sdk": "Support SDK (apps)" };
const NODES = ["page", "cookie", "verify", "identity", "sign", "widget"];
const state = { known: null, product: "chat", last: 0, asked: 0 };

// What each code means, and the mend.
const CODES = {
  "00-00": ["no login token came with the request", "sign the player in, send the cookie (credentials: \"include\"), and serve from the shop's own site"],
  "00-01": ["the login token does not verify", "the cause stands in the step; zendesk-token inspect says more of a token"],
  "00-02": ["the login token names nobody", "it is none of Xsolla Login's"],
  "00-03": ["this product needs an email, and the login token has none", "have Xsolla Login collect it, or set fallback_email_domain"],
  "00-04": ["a claim is not usable in Zendesk", "the cause stands in the step"],
  "00-05": ["the page's origin is not in cors.origins, so the browser does not even let the page read the answer", "add the origin, with scheme and port, to cors.origins"],
  "00-06": ["this client asks more often than rate_limit allows", "ask again after Retry-After; behind a proxy, set proxy.trusted"],
};

// What can be tried: fields of the sign-in form, and how to ask then.
const TROUBLE = {
  "no-cookie": ["No cookie", { out: true }, "The player is signed out, so the browser has no cookie to send.", "Nothing: an anonymous visitor is what a signed-out player is."],
  "expired": ["Expired login", { kind: "expired" }, "The login token ended an hour ago, and the cookie still holds it.", "Renew the login token, and the cookie with it."],
  "another-secret": ["Another project's secret", { kind: "another-secret" }, "The login token is signed with the secret of another login project.", "Set login.secret to the secret of the project that the shop signs in with."],
  "previous-secret": ["Previous secret", { kind: "previous-secret" }, "The login secret was reset, and this token was signed before.", "Nothing: login.previous_secret still verifies it, so nobody is signed out by a reset."],
  "no-email": ["No email", { email: "" }, "A social login without an email. Only Messaging takes a player without one.", "Have Xsolla Login collect emails, or set fallback_email_domain of the product."],
  "two-cookies": ["Two cookies", { two: "true", isOfPages: true }, "A second cookie of the same name, under another path, holds another player's login token. Whoever could set it must not choose whose chat this is.", "Set the cookie in one place, with one Path and one Domain."],
  "foreign-origin": ["Foreign origin", { foreign: true, isOfPages: true }, "The page's origin is not in cors.origins. The page sees a network error; the wire shows the refusal.", "Add the origin, with scheme and port, to cors.origins."],
  "no-credentials": ["credentials forgotten", { credentials: "omit", isOfPages: true }, "Without credentials: \"include\" the browser sends no cookie to another origin.", "fetch(url, { credentials: \"include\" }), or load jwt_fn.js, which does."],
  "down": ["Service down", { down: true }, "The service can't be reached: nothing came back over the wire.", "jwt_fn.js tries again for a while; two instances behind a proxy make restarts unseen."],
  "too-many": ["Too many requests", { flood: 40, isOfPages: true }, "One client asked 40 times at once.", "The widget asks once or twice a visit; ask again after Retry-After."],
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

// How Zendesk's widgets ask: they call the page's function, and it calls back with a token or never.
const jwtFn = (callback, credentials) => ask(credentials).then(({ token }) => { if (token) callback(token); });

const url = (product) => state.known.service + state.known.products.find(({ word }) => word === product).path;

// One request, and what became of it.
const ask = async (credentials = "include") => {
  const { product } = state;
  const begun = performance.now();
  const seen = { status: 0, code: "", token: "" };
  try {
    const response = product === "support-sdk"
      ? await fetch("/zendesk", { method: "POST" })
      : await fetch(url(product), { credentials, cache: "no-store" });
    seen.status = response.status;
    const body = await response.text();
    try { Object.assign(seen, JSON.parse(body)); } catch {}
  } catch {}
  seen.milliseconds = performance.now() - begun;
  const wires = await (await fetch(`/wire/${product}?after=${state.last}`)).json();
  state.last = wires.at(-1)?.number ?? state.last;
  seen.wire = wires.findLast(({ request }) => !request.startsWith("OPTIONS")) ?? wires.at(-1);
  if (seen.wire) {
    const body = seen.wire.answer.split("\r\n\r\n")[1] ?? "";
    let told = {};
    try { told = JSON.parse(body); } catch {}
    seen.onWire = { status: Number(seen.wire.answer.split(" ")[1]) || 0, code: told.code ?? "" };
    if (product === "support-sdk") Object.assign(seen, { status: seen.onWire.status, code: seen.onWire.code, token: told.jwt ?? "" });
  }
  state.seen = seen;
  return seen;
};

// Opens the chat: asks, and shows every step.
const open = async (trouble) => {
  const [, how = {}] = TROUBLE[trouble] ?? [];
  if (how.down) await fetch("/service/down", { method: "POST" });
  const flood = Array.from({ length: how.flood ?? 0 }, () => fetch(url(state.product), { credentials: "include" }).catch(() => {}));
  await Promise.all(flood);
  let token = "";
  state.asked += 1;
  await jwtFn((given) => { token = given; }, how.credentials);
  if (how.down) await fetch("/service/up", { method: "POST" });
  await show(state.seen, token, trouble);
};

const show = async (seen, token, trouble) => {
  $("request").textContent = seen.wire?.request || "Nothing went over the wire.";
  $("answer").textContent = seen.wire?.answer || "No answer.";
  const claims = await showToken(token);
  showAgent(claims);
  showWay(seen, token);
  showTold(seen, token, trouble);
  $("asked").textContent = `It has asked ${state.asked} time${state.asked === 1 ? "" : "s"} in this session. Zendesk's widgets ask several times, and want a fresh token each time.`;
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

const showWay = (seen, token) => {
  const steps = Object.fromEntries((seen.wire?.steps ?? []).map((step) => [step.name, step]));
  const limited = seen.onWire?.code === "00-06";
  const time = (microseconds) => microseconds < 1000 ? `${microseconds.toFixed(0)} µs` : `${(microseconds / 1000).toFixed(1)} ms`;
  const at = (name) => {
    if (seen.isNothing) return ["", "", null];
    if (name === "page") {
      const refused = steps.origin?.refusal;
      if (!seen.wire) return ["failed", "no answer", seen.milliseconds * 1000];
      if (limited) return ["failed", "too many requests", seen.milliseconds * 1000];
      return [refused ? "failed" : "done", steps.origin?.told ?? "asks", Math.max(seen.milliseconds - seen.wire.milliseconds, 0) * 1000];
    }
    // From the call of the function to its call back.
    if (name === "widget") return token ? ["done", "called back with the token", seen.milliseconds * 1000] : ["", "not called back", null];
    const step = limited ? null : steps[name];
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

const showTold = (seen, token, trouble) => {
  const code = seen.onWire?.code || seen.code;
  const [label, , why, mend] = TROUBLE[trouble] ?? [];
  const crossSite = new URL(location.origin).hostname !== new URL(state.known.service).hostname;
  const [meaning, repair] = !seen.wire ? ["nothing came back over the wire", "is the service there, and its address right?"]
    : code === "00-00" && crossSite && !trouble
      ? ["the cookie is SameSite=Lax, and this page is another site than the service: the browser kept it back", "serve the service from the shop's registrable domain, or set login.bearer"]
      : CODES[code] ?? ["", ""];
  const wire = seen.onWire ? `${seen.onWire.status} ${code}`.trim() : "no answer";
  const happens = token ? `${wire}: the widget gets its token` : `${wire}: the visitor stays anonymous${seen.status === 0 && seen.wire ? ", and the page sees a network error" : ""}`;
  const rows = [["What happens", happens], ["Why", why ?? meaning], ["The mend", mend ?? repair]].filter(([, text]) => text);
  const list = make("dl", "");
  for (const [name, text] of rows) list.append(make("dt", name), make("dd", text));
  $("told").replaceChildren(...(label ? [make("h3", label)] : []), list);
};

// Signs in or out as a real shop does, by a form; the page comes back and goes on with what `next` says.
const submit = (fields, next = "") => {
  const { out, ...rest } = fields;
  const form = make("form", "", { method: "post", action: `${state.known.cookie_home}/${out ? "sign-out" : "sign-in"}` });
  for (const [name, value] of Object.entries({ ...rest, next })) form.append(make("input", "", { type: "hidden", name, value }));
  document.body.append(form);
  form.submit();
};

const attempt = (trouble) => {
  const [, { isOfPages, ...how }] = TROUBLE[trouble];
  // Zendesk's servers, who ask for the player of an app, have no cookies and no origin.
  if (isOfPages && state.product === "support-sdk") choose("chat");
  const next = `run/${trouble}/${state.product}`;
  if (how.foreign) location.href = `${state.known.foreign_origin}/#${next}`;
  else if (how.credentials || how.down || how.flood) open(trouble).then(() => $("told").scrollIntoView({ block: "nearest" }));
  else submit({ name: "Jane Doe", email: "jane@example.com", ...how }, next);
};

const choose = (product) => {
  state.product = product;
  for (const radio of document.querySelectorAll("#products input")) radio.checked = radio.value === product;
  $("snippet").textContent = SNIPPETS[product](state.known.service);
};

const start = async () => {
  await fetch("/service/up", { method: "POST" });
  state.known = await (await fetch("/known")).json();
  const { session, can_mint, cookie_home, usual_origin, foreign_origin } = state.known;
  const isForeign = location.origin === foreign_origin;
  $("foreign").hidden = !isForeign;
  $("home").href = `${usual_origin}/`;
  $("who").textContent = session.login_token ? `${session.name} is signed in${session.email ? ` as ${session.email}` : ", without an email"}.` : "Nobody is signed in.";
  if (!can_mint && session.login_token) $("who").textContent = "The login token that you pasted is in the cookie.";
  $("cookie").textContent = session.set_cookies.filter((cookie) => !cookie.startsWith("token=;") || !session.login_token).map((cookie) => `Set-Cookie: ${cookie}`).join("\n\n") || "none yet";
  $("minted").hidden = !can_mint;
  $("pasted").hidden = can_mint;
  if (!can_mint) for (const input of $("minted").querySelectorAll("input")) input.disabled = true;
  else $("login-token").disabled = true;
  $("sign-in").action = `${cookie_home}/sign-in`;
  $("sign-in").addEventListener("submit", () => { if ($("no-email").checked) $("email").value = ""; });
  $("no-email").addEventListener("change", () => { $("email").disabled = $("no-email").checked; });
  $("sign-out").addEventListener("click", () => submit({ out: true }));
  for (const [word, name] of Object.entries(PRODUCTS)) {
    const label = make("label", "");
    const radio = make("input", "", { type: "radio", name: "product", value: word });
    radio.addEventListener("change", () => choose(word));
    label.append(radio, name);
    $("products").append(label);
  }
  const needsMint = (how) => !how.out && !how.foreign && !how.credentials && !how.down && !how.flood;
  for (const [word, [label, how]] of Object.entries(TROUBLE)) {
    if (!can_mint && needsMint(how)) continue;
    const button = make("button", label, { type: "button" });
    button.dataset.trouble = word;
    button.addEventListener("click", () => attempt(word));
    $("trouble").append(button);
  }
  $("open").addEventListener("click", () => open());
  $("again").addEventListener("click", () => open());
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText($("snippet").textContent).then(() => { $("copied").textContent = "Copied"; }, () => { $("copied").textContent = "Select and copy it by hand"; });
  });
  const all = await (await fetch("/wire/chat?after=0")).json();
  state.last = all.at(-1)?.number ?? 0;
  showWay({ isNothing: true }, "");
  const [, run, product] = location.hash.match(/^#run\/([a-z0-9-]+)\/([a-z-]+)$/) ?? [];
  choose(product in PRODUCTS ? product : "chat");
  if (run in TROUBLE) {
    history.replaceState(null, "", location.pathname);
    await open(run);
    $("told").scrollIntoView({ block: "nearest" });
  }
  document.documentElement.dataset.ready = "true";
};
start();
