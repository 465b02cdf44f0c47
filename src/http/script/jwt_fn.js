// A fresh token for the Zendesk widget each time it asks. Where there is none, the console and the window's event
// "zendesk-token-refused" say why. Only own properties are read: a page's Object.prototype may be polluted.
(() => {
  "use strict";
  const script = document.currentScript; // or what an injected <img name="currentScript"> put there
  if (!(script instanceof HTMLScriptElement && script.src)) {
    console.error("zendesk-token: load jwt_fn.js by <script src>, not as a module");
    return;
  }
  const HOME = script.src, ATTEMPTS = 4, PATIENCE = 15000, LONGEST = 10000; // ms
  const text = (value) => (typeof value === "string" ? value : "");
  const own = (value, name) => (Object.prototype.hasOwnProperty.call(Object(value), name) ? text(value[name]) : "");

  const pause = (tries, retryAfter) => {
    const backoff = 500 * 2 ** (tries - 1) * (0.5 + Math.random());
    const asked = Math.max(1000 * parseInt(retryAfter, 10) || 0, 0);
    return new Promise((done) => setTimeout(done, Math.min(asked + backoff, LONGEST)));
  };

  // A token, or why not.
  const attempt = async (url) => {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), PATIENCE);
    try {
      const response = await fetch(url, {
        __proto__: null, credentials: "include", cache: "no-store", redirect: "error", signal: abort.signal,
        headers: { __proto__: null, Accept: "application/json" },
      });
      const body = await response.text();
      let answer;
      try { answer = JSON.parse(body); } catch {}
      const token = own(answer, "token"), { status, headers } = response;
      if (response.ok && token) return { __proto__: null, token };
      const why = { status, code: own(answer, "code"), description: own(answer, "description") || "no token in it" };
      const again = [502, 503, 504].includes(status);
      return { __proto__: null, why, again, retryAfter: headers.get("Retry-After") };
    } catch {
      return { __proto__: null, why: { status: 0, description: "no answer: network, or cors.origins" }, again: true };
    } finally {
      clearTimeout(timer);
    }
  };

  const report = (product, why, tries) => {
    const { status, code, description } = { __proto__: null, ...why };
    const words = [status, code, description].filter(Boolean).join(" ");
    console.warn(`zendesk-token: a visitor stays anonymous in ${product}: ${words}`);
    const detail = { product, status, code, description, tries };
    dispatchEvent(new CustomEvent("zendesk-token-refused", { __proto__: null, detail }));
  };

  // Calls back with a token, once, or never.
  const asker = (product, path) => async (callback) => {
    for (let tries = 1; ; tries++) {
      const { token, why, again, retryAfter } = await attempt(new URL(path, HOME).href);
      if (token) return callback(token);
      if (!again || tries === ATTEMPTS) return report(product, why, tries);
      await pause(tries, retryAfter);
    }
  };

  const messaging = asker("messaging", "messaging/token");
  window.zendeskToken = Object.freeze({
    jwtFn: asker("chat", "generate/token"),
    helpCenterJwtFn: asker("help-center", "help-center/token"),
    loginUser: (zE) => zE("messenger", "loginUser", messaging, (error) => {
      const description = [own(error, "reason"), own(error, "message")].filter(Boolean).join(": ");
      if (error) report("messaging", { description });
    }),
  });
})();
