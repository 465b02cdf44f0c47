// zendesk-token: fetches a fresh token for the Zendesk widget each time it asks. A visitor who gets none stays
// anonymous; the console says why, and so does the window's event "zendesk-token-refused".
(() => {
  "use strict";
  const script = document.currentScript;
  if (!script || !script.src) {
    console.error("zendesk-token: load jwt_fn.js by <script src>, not as a module: it asks where it came from");
    return;
  }
  const ATTEMPTS = 4, PATIENCE = 15000, LONGEST_PAUSE = 10000; // the latter two in milliseconds

  const pause = (tries, retryAfter) => {
    const backoff = 500 * 2 ** (tries - 1) * (0.5 + Math.random());
    const asked = 1000 * parseInt(retryAfter, 10) || 0;
    return new Promise((done) => setTimeout(done, Math.min(Math.max(backoff, asked), LONGEST_PAUSE)));
  };

  // One attempt: a token, or why there is none.
  const attempt = async (url) => {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), PATIENCE);
    try {
      const response = await fetch(url, {
        credentials: "include", cache: "no-store", headers: { Accept: "application/json" }, signal: abort.signal,
      });
      const { token, code, description } = (await response.json().catch(() => null)) || {};
      if (response.ok && token && typeof token === "string") return { token };
      const why = { status: response.status, code, description: description || "the answer holds no token" };
      return { why, again: response.status >= 500, retryAfter: response.headers.get("Retry-After") };
    } catch {
      const description = "no answer that this page may read: the network, or its origin is not in cors.origins";
      return { why: { status: 0, description }, again: true };
    } finally {
      clearTimeout(timer);
    }
  };

  const report = (product, why) => {
    const words = [why.status, why.code, why.description].filter(Boolean).join(" ");
    console.warn(`zendesk-token: the visitor stays anonymous in ${product}: ${words}`);
    dispatchEvent(new CustomEvent("zendesk-token-refused", { detail: { product, ...why } }));
  };

  // Calls back with a token, once, or never.
  const asker = (product, path) => async (callback) => {
    const url = new URL(path, script.src).href;
    for (let tries = 1; ; tries++) {
      const { token, why, again, retryAfter } = await attempt(url);
      if (token) return callback(token);
      if (!again || tries === ATTEMPTS) return report(product, { ...why, tries });
      await pause(tries, retryAfter);
    }
  };

  const messaging = asker("messaging", "messaging/token");
  window.zendeskToken = Object.freeze({
    jwtFn: asker("chat", "generate/token"),
    helpCenterJwtFn: asker("help-center", "help-center/token"),
    loginUser: (zE) => zE("messenger", "loginUser", messaging, (error) => {
      if (error) report("messaging", { description: [error.reason, error.message].filter(Boolean).join(": ") });
    }),
  });
})();
