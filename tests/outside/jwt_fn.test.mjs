// Tests in Node that jwt_fn.js calls back with a token, or not at all, for every response of the service.
//
// node --test tests/outside/jwt_fn.test.mjs: runs the script in a window of stubs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

const source = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
// As src/http/script.rs joins it; jwt_fn.py tests the served one.
const [CREATE] = source("client/index.js").split("\nexport ");
const SCRIPT = `(() => {"use strict";${CREATE}\n${source("src/http/script/classic.js")}})();`;
const SRC = "https://support-token.example.com/jwt_fn.js";
const TOKEN = "header.claims.signature";
const PATIENCE = 15000;

const answer = (status, body, headers = {}) => async () => new Response(body, { status, headers });
const token = (text = TOKEN) => answer(200, JSON.stringify({ token: text }));
const refusal = (status, code, headers) => answer(status, JSON.stringify({ code, description: `about ${code}` }), headers);
const network = async () => { throw new TypeError("Failed to fetch"); };
const cutOff = async () => ({ ok: true, status: 200, headers: new Headers(), text: async () => { throw new TypeError("cut off"); } });
// Never answers; rejects when the request is aborted.
const hang = (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));

class HTMLScriptElement {}

// The values that a browser would read from the options, own or inherited.
const read = (dictionary, ...names) => names.map((name) => dictionary[name]);

/** A window in which the script has run. Each request gets the next of `answers`, then always the last. `before` runs first. */
function page(answers, src = SRC, element = new HTMLScriptElement(), before = "", more = {}) {
  const seen = { requests: [], pauses: [], events: [], warnings: [], errors: [], thrown: [] };
  const globals = {
    URL, AbortController, Response, Headers, HTMLScriptElement,
    document: { currentScript: src === null ? null : Object.assign(element, { src }) },
    location: { protocol: "https:", origin: "https://shop.example.com", href: "https://shop.example.com/play" }, atob,
    CustomEvent: class { constructor(type, init) { Object.assign(this, { type, init, detail: init.detail }); } },
    dispatchEvent: (event) => seen.events.push(event),
    console: { warn: (...parts) => seen.warnings.push(parts.join(" ")), error: (...parts) => seen.errors.push(parts.join(" ")) },
    fetch: (url, options) => {
      const next = answers[Math.min(seen.requests.length, answers.length - 1)];
      seen.requests.push({ url, options });
      return next(options.signal);
    },
    // Makes time short: a pause ends at once, a timeout after 20 ms.
    setTimeout: (done, milliseconds) => {
      if (milliseconds !== PATIENCE) seen.pauses.push(milliseconds);
      return setTimeout(done, milliseconds === PATIENCE ? 20 : 0);
    },
    clearTimeout,
    queueMicrotask: (task) => { try { task(); } catch (error) { seen.thrown.push(error); } },
    ...more,
  };
  globals.window = globals;
  vm.runInNewContext(`${before};${SCRIPT}`, globals);
  return { ...seen, zendeskToken: globals.zendeskToken };
}

/** Asks for one token, and returns the arguments of all callbacks too. */
async function ask(answers, name = "jwtFn") {
  const seen = page(answers);
  const calls = [];
  await seen.zendeskToken[name]((...args) => calls.push(args));
  return { ...seen, calls };
}

function checkGivenUp({ calls, events, warnings, requests }, { product = "chat", status, code, tries }) {
  assert.deepEqual(calls, []);
  assert.equal(requests.length, tries);
  assert.equal(events.length, 1);
  assert.equal(events[0].type, "zendesk-token-refused");
  const { detail } = events[0];
  assert.deepEqual([detail.product, detail.status, detail.code, detail.tries], [product, status, code, tries]);
  assert.equal(typeof detail.description, "string");
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], new RegExp(`anonymous in ${product}: `));
  assert.ok(warnings[0].includes(detail.description) && (!code || warnings[0].includes(`${status} ${code}`)), warnings[0]);
}

test("a token is passed on once, and is fetched with credentials and without caches", async () => {
  for (const [name, path] of [["jwtFn", "generate/token"], ["helpCenterJwtFn", "help-center/token"]]) {
    const { calls, requests, events, warnings } = await ask([token()], name);
    assert.deepEqual(calls, [[TOKEN]]);
    assert.equal(requests.length, 1);
    const { url, options } = requests[0];
    assert.equal(url, `https://support-token.example.com/${path}`);
    const { credentials, cache, redirect, headers } = options;
    assert.deepEqual([credentials, cache, redirect, headers.Accept], ["include", "no-store", "error", "application/json"]);
    assert.equal(options.method, undefined);
    assert.deepEqual([events, warnings], [[], []]);
  }
});

test("each call fetches a new token", async () => {
  const seen = page([token("a.b.1"), token("a.b.2"), token("a.b.3")]);
  const calls = [];
  for (let time = 0; time < 3; time++) await seen.zendeskToken.jwtFn((text) => calls.push(text));
  assert.deepEqual(calls, ["a.b.1", "a.b.2", "a.b.3"]);
});

test("the base URL is the script's own, with any path and query", async () => {
  for (const [src, url] of [
    ["https://shop.example.com/support/jwt_fn.js?v=1#x", "https://shop.example.com/support/generate/token"],
    ["http://127.0.0.1:8001/jwt_fn.js", "http://127.0.0.1:8001/generate/token"],
  ]) {
    const seen = page([token()], src);
    await seen.zendeskToken.jwtFn(() => {});
    assert.equal(seen.requests[0].url, url);
  }
});

test("a 4xx is not retried, and the page gets the reason", async () => {
  for (const status of [400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 431, 451]) {
    checkGivenUp(await ask([refusal(status, "00-03"), token()]), { status, code: "00-03", tries: 1 });
  }
  checkGivenUp(await ask([refusal(500, "00-14"), token()]), { status: 500, code: "00-14", tries: 1 });
  const bare = await ask([answer(431, "")]);
  checkGivenUp(bare, { status: 431, code: "", tries: 1 });
  // Odd values in the body must not prevent the event.
  for (const odd of [{ toString: null, valueOf: null }, 7, null, ["00-01"]]) {
    const hostile = answer(401, JSON.stringify({ code: odd, description: odd }));
    checkGivenUp(await ask([hostile]), { status: 401, code: "", tries: 1 });
  }
});

test("a network failure and a 503 are retried, with longer and longer pauses", async () => {
  for (const bad of [network, refusal(503, "00-07"), answer(502, "<html>"), answer(504, ""), hang, cutOff]) {
    const saved = await ask([bad, bad, bad, token()]);
    assert.deepEqual(saved.calls, [[TOKEN]]);
    assert.equal(saved.requests.length, 4);
    assert.deepEqual(saved.events, []);
    const [first, second, third] = saved.pauses;
    assert.ok(first >= 250 && first <= 750 && second >= 500 && second <= 1500 && third >= 1000 && third <= 3000, saved.pauses);
  }
  checkGivenUp(await ask([refusal(503, "00-11")]), { status: 503, code: "00-11", tries: 4 });
  checkGivenUp(await ask([network]), { status: 0, code: undefined, tries: 4 });
  checkGivenUp(await ask([refusal(503, "00-11"), refusal(401, "00-01"), token()]), { status: 401, code: "00-01", tries: 2 });
});

test("Retry-After is respected, up to a limit", async () => {
  const pauses = async (retryAfter) => (await ask([refusal(503, "00-07", { "Retry-After": retryAfter }), token()])).pauses[0];
  for (let time = 0; time < 20; time++) {
    const pause = await pauses("4");
    assert.ok(pause >= 4250 && pause <= 4750, "with jitter, so that pages do not retry at the same time");
  }
  assert.equal(await pauses("86400"), 10000);
  for (const odd of ["0", "-5", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"]) assert.ok(await pauses(odd) <= 750, odd);
});

test("a 200 without a token gives no callback", async () => {
  const odd = ["", "null", "[]", "{}", "7", '"a.b.c"', "<html>", TOKEN, '{"token":null}', '{"token":""}', '{"token":7}',
    '{"token":{}}', '{"token":["a.b.c"]}', '{"jwt":"a.b.c"}'];
  for (const body of odd) checkGivenUp(await ask([answer(200, body), token()]), { status: 200, code: "", tries: 1 });
});

test("for all responses, the callback gets a token once or is never called, and never gets undefined", async () => {
  const again = [network, hang, cutOff, refusal(503, "00-07"), answer(502, ""), answer(504, "<html>")];
  const last = [...again, token(), refusal(401, "00-00"), answer(200, ""), answer(200, "null"), answer(200, '{"token":""}'),
    answer(204, null), answer(302, ""), answer(500, "{}"), refusal(429, "00-06", { "Retry-After": "1" })];
  // Up to three responses that are retried, in many orders, and then any response.
  const prefixes = [[], ...again.map((one) => [one]), ...again.flatMap((one) => again.map((two) => [one, two, one]))];
  const cases = prefixes.flatMap((prefix) => last.map((end) => [...prefix, end]));
  const askOf = {
    jwtFn: (zendeskToken, callback) => zendeskToken.jwtFn(callback),
    helpCenterJwtFn: (zendeskToken, callback) => zendeskToken.helpCenterJwtFn(callback),
    loginUser: (zendeskToken, callback) => zendeskToken.loginUser((target, command, jwtCallback) => jwtCallback(callback)),
  };
  for (const ask of Object.values(askOf)) {
    await Promise.all(cases.map(async (answers) => {
      const seen = page(answers);
      const calls = [];
      await ask(seen.zendeskToken, (...args) => calls.push(args));
      assert.equal(calls.length + seen.events.length, 1, "either a token or an event");
      const isGood = answers[answers.length - 1] === last[again.length];
      assert.deepEqual(calls, isGood ? [[TOKEN]] : []);
    }));
  }
});

test("an error of the callback reaches the page, and nothing is fetched again", async () => {
  const seen = page([token()]);
  await assert.rejects(seen.zendeskToken.jwtFn(() => { throw new Error("from the page"); }), /from the page/);
  assert.equal(seen.requests.length, 1);
  assert.deepEqual(seen.events, []);
});

test("loginUser gives Messaging a token each time it asks, and reports a failed login", async () => {
  const seen = page([token("a.b.1"), token("a.b.2"), refusal(401, "00-01")]);
  const commands = [];
  seen.zendeskToken.loginUser((...args) => commands.push(args));
  const [[target, command, jwtCallback, loginCallback]] = commands;
  assert.deepEqual([commands.length, target, command], [1, "messenger", "loginUser"]);
  assert.equal(seen.requests.length, 0, "nothing is fetched before the widget asks");
  const calls = [];
  await jwtCallback((text) => calls.push(text));
  await jwtCallback((text) => calls.push(text));
  assert.deepEqual(calls, ["a.b.1", "a.b.2"]);
  assert.equal(seen.requests[0].url, "https://support-token.example.com/messaging/token");
  await jwtCallback((text) => calls.push(text));
  assert.deepEqual([calls.length, seen.events[0].detail.code, seen.events[0].detail.product], [2, "00-01", "messaging"]);
  loginCallback(null);
  assert.equal(seen.events.length, 1);
  loginCallback({ reason: "Conflict", message: "the email belongs to another user" });
  assert.match(seen.warnings[1], /messaging: Conflict: the email belongs to another user/);
});

test("the console and the events never contain a token", async () => {
  const seen = page([token("SECRET.SECRET.SECRET"), answer(503, '{"token":"SECRET"}'), answer(401, '{"token":"SECRET"}')]);
  for (let time = 0; time < 2; time++) await seen.zendeskToken.jwtFn(() => {});
  assert.equal(seen.requests.length, 3);
  assert.ok(!JSON.stringify([seen.warnings, seen.errors, seen.events]).includes("SECRET"));
});

test("a polluted Object.prototype adds no token, changes no request and no event", async () => {
  const fields = ["token", "code", "description", "status", "tries", "why", "retry", "retryAfter", "reason", "message", "product"];
  const ofFetch = ["method", "body", "mode", "integrity", "keepalive", "priority", "referrer", "referrerPolicy", "window", "duplex"];
  const ofEvent = ["bubbles", "cancelable", "composed"];
  const before = `for (const name of ${JSON.stringify([...fields, ...ofFetch, ...ofEvent, "Authorization"])})
    Object.prototype[name] = "POLLUTED"; Object.prototype[Symbol.iterator] = () => [["X-Polluted", "POLLUTED"]][Symbol.iterator]();`;
  const polluted = (answers) => page(answers, SRC, new HTMLScriptElement(), before);
  const none = [answer(200, "{}"), answer(200, ""), answer(200, '{"token":""}'), answer(200, '"text"'), answer(200, '{"__proto__":{"token":"a.b.c"}}'),
    answer(401, "{}"), answer(503, "{}"), network];
  for (const one of none) {
    const seen = polluted([one]), calls = [];
    await seen.zendeskToken.jwtFn((...args) => calls.push(args));
    assert.deepEqual([calls.length, seen.events.length], [0, 1]);
    const [{ init, detail }] = seen.events;
    assert.deepEqual(Object.keys(detail).sort(), ["cause", "code", "description", "product", "status", "tries"], "own properties only");
    assert.ok(!Object.values(detail).includes("POLLUTED") && !seen.warnings.join().includes("POLLUTED"), seen.warnings);
    assert.deepEqual(read(init, ...ofEvent), ofEvent.map(() => undefined));
    for (const { options } of seen.requests) {
      assert.deepEqual(read(options, ...ofFetch), ofFetch.map(() => undefined));
      assert.deepEqual(read(options.headers, "Authorization", Symbol.iterator), [undefined, undefined]);
    }
  }
  const misled = page([network], SRC, new HTMLScriptElement(), 'Object.prototype.code = "00-03";');
  await misled.zendeskToken.jwtFn(() => {});
  assert.equal(misled.events[0].detail.cause, "origin", "nor another cause");
  // A valid token is still passed on, and Zendesk's refusal is reported with its own text.
  const seen = polluted([network, token()]), calls = [];
  await seen.zendeskToken.jwtFn((...args) => calls.push(args));
  assert.deepEqual([calls, seen.requests.length], [[[TOKEN]], 2]);
  seen.zendeskToken.loginUser((target, command, jwtCallback, loginCallback) => [null, undefined, {}, { reason: "Conflict" }].forEach((error) => loginCallback(error)));
  assert.deepEqual(seen.events.map(({ detail }) => [detail.product, detail.description, detail.status]), [["messaging", "", undefined], ["messaging", "Conflict", undefined]]);
});

test("a script that cannot find its own URL reports an error", () => {
  // The last one is an image with the script's name: <img name="currentScript" src="…">.
  for (const seen of [page([token()], null), page([token()], ""), page([token()], "https://evil.example/", {})]) {
    assert.equal(seen.zendeskToken, undefined);
    assert.match(seen.errors[0], /load jwt_fn.js by <script src>/);
  }
});

test("a script that is loaded twice stays one: its options and sign-outs count", async () => {
  const seen = page([token()], SRC, new HTMLScriptElement(), `${SCRIPT}; zendeskToken.configure({ loginToken: () => null })`);
  await seen.zendeskToken.jwtFn(() => {});
  assert.deepEqual([seen.requests, seen.events[0].detail.cause], [[], "signed-out"]);
  for (const own of ["undefined", "'text'", "{}"]) {
    assert.ok(page([token()], SRC, new HTMLScriptElement(), `var zendeskToken = ${own}`).zendeskToken.jwtFn);
  }
});

test("the object is frozen and has only the documented functions", () => {
  const { zendeskToken } = page([token()]);
  assert.ok(Object.isFrozen(zendeskToken));
  assert.deepEqual(Object.keys(zendeskToken).sort(), ["configure", "helpCenterJwtFn", "jwtFn", "loginUser", "signedIn", "signedOut"]);
});

/** A login token of the page with these claims; its signature is not looked at. */
const login = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.sig`;
const authorization = (seen) => seen.requests.map(({ options }) => options.headers.Authorization);
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;

test("with loginToken, each request asks for it and sends it without cookies", async () => {
  const seen = page([token(), answer(503, ""), token()]), calls = [], given = ["one", Promise.resolve("two"), "three"];
  seen.zendeskToken.configure({ loginToken: () => given.shift() });
  for (let time = 0; time < 2; time++) await seen.zendeskToken.jwtFn((text) => calls.push(text));
  assert.deepEqual(calls, [TOKEN, TOKEN]);
  assert.deepEqual(authorization(seen), ["Bearer one", "Bearer two", "Bearer three"]);
  assert.ok(seen.requests.every(({ options }) => options.credentials === "omit"));
});

test("a signed-out player causes no request", async () => {
  for (const none of [null, "", Promise.resolve(null)]) {
    const seen = page([token()]), calls = [];
    seen.zendeskToken.configure({ loginToken: () => none });
    await seen.zendeskToken.jwtFn((...args) => calls.push(args));
    assert.deepEqual([calls, seen.requests, seen.events.map(({ detail }) => detail.cause)], [[], [], ["signed-out"]]);
  }
});

test("a refused login token is asked for once more, and only another one is sent", { timeout: PATIENCE }, async () => {
  const ask = async (given, answers) => {
    const seen = page(answers), calls = [];
    let asked = 0;
    seen.zendeskToken.configure({ loginToken: () => given[Math.min(asked++, given.length - 1)] });
    await seen.zendeskToken.jwtFn((text) => calls.push(text));
    return { ...seen, calls, asked };
  };
  const refused = refusal(401, "00-01");
  const renewed = await ask(["old", "new"], [refused, token()]);
  assert.deepEqual([renewed.calls, authorization(renewed)], [[TOKEN], ["Bearer old", "Bearer new"]]);
  const same = await ask(["same"], [refused, token()]);
  assert.deepEqual([same.calls, same.requests.length, same.asked, same.events[0].detail.cause, same.events[0].detail.tries], [[], 1, 2, "login-invalid", 1]);
  const twice = await ask(["a", "b", "c"], [refused]);
  assert.deepEqual([twice.requests.length, twice.asked, twice.events[0].detail.status], [2, 2, 401]);
  const busy = await ask(["a", "a", "a", "a", "b"], [network, network, network, refused, network]);
  assert.deepEqual([busy.requests.length, busy.events[0].detail.tries], [5, 5], "ends, although the 401 was one more try");
});

test("a loginToken that fails, gives something else or never answers sends nothing, and its error is reported without tokens", async () => {
  const failing = [() => { throw new Error("from the page"); }, () => Promise.reject(new Error("from the page")), () => Promise.reject(null),
    () => ({}), () => 7, () => "Bearer a.b.c", () => "a.b.c\nX-Evil: 1", () => new Promise(() => {})];
  for (const loginToken of failing) {
    const seen = page([token()]), calls = [];
    seen.zendeskToken.configure({ loginToken });
    await seen.zendeskToken.jwtFn((...args) => calls.push(args));
    const { cause, tries } = seen.events[0].detail;
    assert.deepEqual([calls, seen.requests, seen.events.length, cause, tries], [[], [], 1, "login-token", 0], String(loginToken));
  }
  const quoting = page([token()]);
  quoting.zendeskToken.configure({ loginToken: () => { throw new Error(`no user jane@example.com for ${login({ sub: "a player" })}, stop`); } });
  await quoting.zendeskToken.jwtFn(() => {});
  assert.equal(quoting.events[0].detail.description, "no user … for …, stop");
  assert.ok(!quoting.warnings[0].includes("e30."), quoting.warnings[0]);
});

test("the cause says what an engineer can look at", async () => {
  const causeOf = async (answers, loginToken, src = SRC) => {
    const seen = page(answers, src);
    if (loginToken) seen.zendeskToken.configure({ loginToken });
    await seen.zendeskToken.jwtFn(() => {});
    assert.equal(seen.events.length, 1);
    assert.ok(seen.warnings[0].includes(`(${seen.events[0].detail.cause}: `), seen.warnings[0]);
    return seen.events[0].detail.cause;
  };
  const invalid = [refusal(401, "00-01")];
  assert.equal(await causeOf([refusal(401, "00-00")]), "signed-out");
  assert.equal(await causeOf(invalid), "login-invalid");
  assert.equal(await causeOf(invalid, () => login({ exp: inAnHour() })), "login-invalid");
  assert.equal(await causeOf(invalid, () => login({ exp: inAnHour() - 7200 })), "login-expired");
  assert.equal(await causeOf(invalid, () => login({ exp: inAnHour(), iat: inAnHour() - 1800 })), "clock");
  for (const odd of ["x", "a.b.c", "a.e30.c", login(null), login([])]) assert.equal(await causeOf(invalid, () => odd), "login-invalid");
  for (const code of ["00-02", "00-03", "00-04"]) assert.equal(await causeOf([refusal(422, code)]), "claim");
  assert.equal(await causeOf([refusal(403, "00-05")]), "origin");
  assert.equal(await causeOf([refusal(429, "00-06")]), "service");
  assert.equal(await causeOf([answer(500, "")]), "service");
  assert.equal(await causeOf([network]), "origin", "another origin gives no reason");
  assert.equal(await causeOf([network], null, "https://shop.example.com/support/jwt_fn.js"), "network");
  const over = () => login({ exp: inAnHour() - 7200 });
  for (const [other, expected] of [[answer(503, ""), "service"], [refusal(403, "00-05"), "origin"], [network, "origin"]]) {
    assert.equal(await causeOf([other], over), expected, "the device's clock may be wrong, so only a 401 is about the end of the login");
  }
  assert.equal(await causeOf([refusal(401, "00-00")], () => "a.b.c"), "service", "the service ignores the header");
});

test("configure refuses what it does not know, and service replaces the script's own URL", async () => {
  const seen = page([token()]);
  const { configure } = seen.zendeskToken;
  configure({ loginToken: undefined, service: undefined, chat: undefined });
  await seen.zendeskToken.jwtFn(() => {});
  assert.equal(seen.requests[0].url, "https://support-token.example.com/generate/token");
  for (const wrong of [{ logintoken: () => "" }, { undefined: undefined }, { loginToken: "x" }, { service: 7 }, { chat: "x" }]) {
    assert.throws(() => configure(wrong), { name: "TypeError" });
  }
  assert.throws(() => configure({ logintoken: () => "" }), /configure has no option logintoken$/);
  assert.throws(() => configure({ loginToken: "x" }), /loginToken must be of type function$/);
  for (const [service, url] of [
    ["/support-token", "https://shop.example.com/support-token/generate/token"],
    ["https://api.example.com/", "https://api.example.com/generate/token"],
    ["http://127.0.0.1:8001", "http://127.0.0.1:8001/generate/token"],
    ["http://localhost:8001/", "http://localhost:8001/generate/token"],
  ]) {
    configure({ service });
    await seen.zendeskToken.jwtFn(() => {});
    assert.equal(seen.requests[seen.requests.length - 1].url, url);
  }
  configure({ loginToken: () => "a.b.c" });
  configure({ loginToken: undefined });
  await seen.zendeskToken.jwtFn(() => {});
  assert.equal(authorization(seen).pop(), "Bearer a.b.c", "an option that is undefined stays as it is");
});

test("a login token is never sent in clear text, nor to a URL that can't be the service", async () => {
  const seen = page([token()]);
  for (const service of ["http://api.example.com", "http://127.0.0.1.example.com", "http://localhost.example.com", "//user@api.example.com", "/support?x=1",
    "/support#x", "/support?", "/support#", "//:password@api.example.com", "javascript:alert(1)", "data:,x", "file:///x", "ftp://api.example.com", "https://", "blob:https://shop.example.com/x"]) {
    assert.throws(() => seen.zendeskToken.configure({ service }), (error) => error.name === "TypeError" && /must be an https URL/.test(error.message), service);
  }
  const inClear = page([token()], SRC, new HTMLScriptElement(), "", { location: { protocol: "http:", origin: "http://shop.test", href: "http://shop.test/" } });
  inClear.zendeskToken.configure({ service: "http://api.shop.test" });
  await inClear.zendeskToken.jwtFn(() => {});
  assert.equal(inClear.requests[0].url, "http://api.shop.test/generate/token", "a page in clear text has nothing to lose");
});

/** A page with these widgets, each of which records its calls. */
function widgets({ zE, zESettings, zChat }, options) {
  const commands = [];
  const record = (name) => (...args) => { commands.push([name, ...args]); };
  const seen = page([token()], SRC, new HTMLScriptElement(), "", {
    ...(zE && { zE: record("zE") }), zESettings, ...(zChat && { zChat: { init: record("init"), logout: record("logout") } }),
  });
  if (options) seen.zendeskToken.configure(options);
  return { ...seen, commands };
}

test("sign-in and sign-out do what the widgets on the page need, and only that", () => {
  const both = { webWidget: { authenticate: { chat: { jwtFn() {} }, jwtFn() {} } } };
  for (const [what, signedIn, signedOut] of [
    [{}, [], []],
    [{ zESettings: both }, [], []],
    [{ zE: true }, [["zE", "messenger", "loginUser"]], [["zE", "messenger", "logoutUser"]]],
    [{ zE: true, zESettings: { webWidget: { color: {} } } }, [["zE", "messenger", "loginUser"]], [["zE", "messenger", "logoutUser"]]],
    [{ zE: true, zESettings: both }, [["zE", "webWidget", "chat:reauthenticate"], ["zE", "webWidget", "helpCenter:reauthenticate"]], [["zE", "webWidget", "logout"]]],
    [{ zE: true, zESettings: { webWidget: { authenticate: { jwtFn() {} } } } }, [["zE", "webWidget", "helpCenter:reauthenticate"]], [["zE", "webWidget", "logout"]]],
    [{ zE: true, zESettings: { webWidget: { authenticate: { chat: {} } } } }, [["zE", "webWidget", "chat:reauthenticate"]], [["zE", "webWidget", "logout"]]],
    [{ zChat: true }, [], [["logout"]]],
  ]) {
    const seen = widgets(what);
    seen.zendeskToken.signedIn();
    assert.deepEqual(seen.commands.splice(0).map((command) => command.slice(0, 3)), signedIn);
    seen.zendeskToken.signedOut();
    assert.deepEqual(seen.commands, signedOut);
    assert.deepEqual([seen.events, seen.errors], [[], []]);
  }
  const unset = widgets({ zChat: true });
  unset.zendeskToken.signedIn();
  assert.match(unset.warnings[0], /signedIn needs configure\(\{ chat \}\)/);
  const { commands, zendeskToken } = widgets({ zChat: true }, { chat: { account_key: "key" } });
  zendeskToken.signedIn();
  const [[logout], [init, { account_key, authentication }]] = commands;
  assert.deepEqual([logout, init, account_key, authentication.jwt_fn === zendeskToken.jwtFn], ["logout", "init", "key", true]);
});

test("a request for the player before never calls back after a sign-in or a sign-out", async () => {
  for (const change of ["signedIn", "signedOut"]) {
    let respond;
    const seen = page([() => new Promise((done) => { respond = () => done(new Response(JSON.stringify({ token: TOKEN }))); })]), calls = [];
    const asked = seen.zendeskToken.jwtFn((...args) => calls.push(args));
    await new Promise((done) => setTimeout(done));
    seen.zendeskToken[change]();
    respond();
    await asked;
    assert.deepEqual([calls, seen.events], [[], []], change);
  }
});

test("a widget that throws does not keep the others from their sign-out, and the page gets its error", () => {
  const commands = [], fail = () => { throw new Error("from the widget"); };
  const seen = page([token()], SRC, new HTMLScriptElement(), "", { zE: fail, zChat: { logout: () => { commands.push("logout"); fail(); }, init: () => commands.push("init") } });
  seen.zendeskToken.configure({ chat: {} });
  seen.zendeskToken.signedOut();
  assert.deepEqual([commands.splice(0), seen.thrown.length], [["logout"], 2]);
  seen.zendeskToken.signedIn();
  assert.deepEqual([commands, seen.thrown.length], [["logout", "init"], 4]);
});

test("after a sign-out there are no tokens until the next sign-in, even if the cookie is still there", async () => {
  const signIns = { signedIn: (zendeskToken) => zendeskToken.signedIn(), loginUser: (zendeskToken) => zendeskToken.loginUser(() => {}) };
  for (const signIn of Object.values(signIns)) {
    const seen = page([token()]), calls = [];
    seen.zendeskToken.signedOut();
    await seen.zendeskToken.jwtFn((...args) => calls.push(args));
    const [{ detail }] = seen.events;
    assert.deepEqual([calls, seen.requests, detail.cause, detail.tries], [[], [], "signed-out", 0]);
    signIn(seen.zendeskToken);
    await seen.zendeskToken.jwtFn((...args) => calls.push(args));
    assert.deepEqual(calls, [[TOKEN]]);
  }
});

test("what a widget asks late for the player before gets no token of the next one", async () => {
  const seen = page([token()]), given = [], calls = [];
  const signIn = () => seen.zendeskToken.loginUser((...args) => given.push(args));
  const ask = (index) => given[index][2]((...args) => calls.push(args));
  signIn();
  signIn();
  await ask(0);
  await ask(1);
  assert.equal(calls.length, 2, "without a sign-out it is the same player");
  seen.zendeskToken.signedOut();
  await ask(1);
  signIn();
  await ask(0);
  await ask(1);
  assert.deepEqual([calls.length, seen.requests.length], [2, 2]);
  assert.deepEqual(seen.events.map(({ detail }) => detail.cause), ["signed-out", "signed-out", "signed-out"]);
  await ask(2);
  assert.deepEqual([calls.length, seen.requests.length], [3, 3]);
});

test("a token that was on its way before the last loginUser is not given, since it may be another player's", async () => {
  let respond;
  const late = () => new Promise((done) => { respond = () => done(new Response(JSON.stringify({ token: "of.another.player" }))); });
  const seen = page([late, token()]), given = [], calls = [];
  const ask = (index) => given[index][2]((...args) => calls.push(args));
  seen.zendeskToken.loginUser((...args) => given.push(args));
  const asked = ask(0);
  await new Promise((done) => setTimeout(done));
  seen.zendeskToken.loginUser((...args) => given.push(args));
  await ask(1);
  respond();
  await asked;
  assert.deepEqual([calls, seen.events], [[[TOKEN]], []]);
});

test("on a server, all functions of a page do nothing", () => {
  const globals = { URL };
  const { configure, signedIn, signedOut } = vm.runInNewContext(`${CREATE}; create()`, globals);
  configure({ service: "/support-token/", loginToken: () => null });
  signedIn();
  signedOut();
  assert.throws(() => configure({ logintoken: 1 }), { name: "TypeError" });
});
