// Gets a new token each time a Zendesk widget asks. Without one, the console and the window event "zendesk-token-refused"
// say why. Reads own properties only, since a page's Object.prototype may be polluted.
(() => {
  "use strict";
  const script = document.currentScript; // a page may inject <img name="currentScript">
  if (!(script instanceof HTMLScriptElement && script.src)) {
    console.error("zendesk-token: load jwt_fn.js by <script src>, not as a module");
    return;
  }
  const BASE = script.src, MAX_TRIES = 4, TIMEOUT = 15000, MAX_PAUSE = 10000; // ms
  const text = (value) => (typeof value === "string" ? value : "");
  const own = (value, name) => (Object.prototype.hasOwnProperty.call(Object(value), name) ? text(value[name]) : "");

  const pause = (tries, retryAfter) => {
    const backoff = 500 * 2 ** (tries - 1) * (0.5 + Math.random());
    const wait = Math.max(1000 * parseInt(retryAfter, 10) || 0, 0);
    return new Promise((done) => setTimeout(done, Math.min(wait + backoff, MAX_PAUSE)));
  };

  // One request: a token, or why there is none.
  const attempt = async (url) => {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), TIMEOUT);
    try {
      const response = await fetch(url, {
        __proto__: null, credentials: "include", cache: "no-store", redirect: "error", signal: abort.signal,
        headers: { __proto__: null, Accept: "application/json" },
      });
      const body = await response.text();
      let json;
      try { json = JSON.parse(body); } catch {}
      const token = own(json, "token"), { status, headers } = response;
      if (response.ok && token) return { __proto__: null, token };
      const why = { status, code: own(json, "code"), description: own(json, "description") || "no token in the response" };
      const retry = [502, 503, 504].includes(status);
      return { __proto__: null, why, retry, retryAfter: headers.get("Retry-After") };
    } catch {
      return { __proto__: null, why: { status: 0, description: "no response: network error, or origin not in cors.origins" }, retry: true };
    } finally {
      clearTimeout(timer);
    }
  };

  const report = (product, why, tries) => {
    const { status, code, description } = { __proto__: null, ...why };
    const cause = [status, code, description].filter(Boolean).join(" ");
    console.warn(`zendesk-token: a visitor stays anonymous in ${product}: ${cause}`);
    const detail = { product, status, code, description, tries };
    dispatchEvent(new CustomEvent("zendesk-token-refused", { __proto__: null, detail }));
  };

  // Calls back once with a token, or never.
  const tokenGetter = (product, path) => async (callback) => {
    for (let tries = 1; ; tries++) {
      const { token, why, retry, retryAfter } = await attempt(new URL(path, BASE).href);
      if (token) return callback(token);
      if (!retry || tries === MAX_TRIES) return report(product, why, tries);
      await pause(tries, retryAfter);
    }
  };

  const messaging = tokenGetter("messaging", "messaging/token");
  window.zendeskToken = Object.freeze({
    jwtFn: tokenGetter("chat", "generate/token"),
    helpCenterJwtFn: tokenGetter("help-center", "help-center/token"),
    loginUser: (zE) => zE("messenger", "loginUser", messaging, (error) => {
      const description = [own(error, "reason"), own(error, "message")].filter(Boolean).join(": ");
      if (error) report("messaging", { description });
    }),
  });
})();
