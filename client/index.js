// Gets a new Zendesk token each time a widget asks. Without one, the console and the window event "zendesk-token-refused"
// say why. Reads own properties only, since a page's Object.prototype may be polluted.
const create = (service) => {
  const MAX_TRIES = 4, TIMEOUT = 15000, MAX_PAUSE = 10000; // ms
  const CLOCK = 120; // seconds that clocks may differ before a token is not valid yet
  const OPTIONS = { __proto__: null, loginToken: "function", service: "string", chat: "object" };
  let options = { __proto__: null, service };
  let visitor = 0; // counts sign-ins and sign-outs
  const own = (value, name) => (Object.prototype.hasOwnProperty.call(Object(value), name) ? value[name] : undefined);
  const text = (value, name) => { const found = own(value, name); return typeof found === "string" ? found : ""; };

  // The cause of each error code, and what to look at.
  const CAUSES = {
    __proto__: null,
    "00-00": ["signed-out", "the request had no login token: the player is signed out, or the browser kept the cookie back (look at its Domain, Path and SameSite and, if the service is on another site, at blocked third-party cookies)"],
    "00-01": ["login-invalid", "the login token has expired or is not valid: `zendesk-token inspect` explains it; if this happens to everybody, look at the login's settings and at the clock of the service"],
    "00-02": ["claim", "`zendesk-token inspect` explains the login token"],
    "00-03": ["claim", "the player's login has no email"],
    "00-04": ["claim", "`zendesk-token inspect` explains the login token"],
    "00-05": ["origin", "add this page's origin to cors.origins"],
  };
  const cause = (status, code) => {
    if (CAUSES[code]) return CAUSES[code];
    if (status) return ["service", "the log of the service has the reason, at the request's X-Request-Id"];
    return new URL(options.service).origin === location.origin
      ? ["network", "the service can't be reached from here"]
      : ["origin", "this page's origin is not in cors.origins, or the service can't be reached"];
  };

  // Claims of a login token, to explain why it was refused; never trusted.
  const expired = (token) => {
    try {
      const claims = JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
      const now = Date.now() / 1000, exp = own(claims, "exp"), iat = own(claims, "iat");
      if (exp < now) return ["login-expired", "loginToken gave an expired token: renew it before it ends"];
      if (iat > now + CLOCK) return ["clock", "the login token is not valid yet: this device's clock or the login's is wrong"];
    } catch {}
  };

  const pause = (tries, retryAfter) => {
    const backoff = 500 * 2 ** (tries - 1) * (0.5 + Math.random());
    const wait = Math.max(1000 * parseInt(retryAfter, 10) || 0, 0);
    return new Promise((done) => setTimeout(done, Math.min(wait + backoff, MAX_PAUSE)));
  };

  // One request: a token, or why there is none.
  const attempt = async (path, loginToken) => {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), TIMEOUT);
    const headers = { __proto__: null, Accept: "application/json" };
    if (loginToken) headers.Authorization = `Bearer ${loginToken}`;
    try {
      const response = await fetch(new URL(path, options.service).href, {
        __proto__: null, credentials: loginToken ? "omit" : "include", cache: "no-store", redirect: "error", signal: abort.signal, headers,
      });
      const body = await response.text();
      let json;
      try { json = JSON.parse(body); } catch {}
      const token = text(json, "token"), { status } = response;
      if (response.ok && token) return { __proto__: null, token };
      const why = { status, code: text(json, "code"), description: text(json, "description") || "no token in the response" };
      const retry = [502, 503, 504].includes(status);
      return { __proto__: null, why, retry, retryAfter: response.headers.get("Retry-After") };
    } catch {
      return { __proto__: null, why: { status: 0, description: "no response that this page can read" }, retry: true };
    } finally {
      clearTimeout(timer);
    }
  };

  const report = (product, why, [cause, fix], tries) => {
    const { status, code, description } = { __proto__: null, ...why };
    const said = [status, code, description].filter(Boolean).join(" ");
    console.warn(`zendesk-token: a visitor stays anonymous in ${product}: ${said} (${cause}: ${fix})`);
    const detail = { product, status, code, description, cause, tries };
    dispatchEvent(new CustomEvent("zendesk-token-refused", { __proto__: null, detail }));
  };

  // Calls back once with a token, or never; also not after a sign-in or a sign-out, when the token would be another visitor's.
  const tokenGetter = (product, path) => async (callback) => {
    const asked = visitor;
    const loginToken = async () => (options.loginToken ? (await options.loginToken()) || null : undefined);
    let login, refused;
    for (let tries = 1; ; tries++) {
      try {
        if (!options.service) throw new Error("call configure({ service }) first");
        login = await loginToken();
      } catch (error) {
        if (asked === visitor) report(product, { description: text(error, "message") }, ["login-token", "the page's loginToken or configure failed"], tries);
        return;
      }
      if (asked !== visitor) return;
      if (login === null) return report(product, { description: "loginToken gave no token" }, ["signed-out", "the player is signed out"], tries);
      if (refused && login === refused.login) return report(product, refused.why, expired(login) || cause(401, refused.why.code), tries - 1);
      const { token, why, retry, retryAfter } = await attempt(path, login);
      if (asked !== visitor) return;
      if (token) return callback(token);
      // The page may have renewed the login token meanwhile.
      if (login && why.status === 401 && !refused) {
        refused = { login, why };
        continue;
      }
      if (!retry || tries === MAX_TRIES) return report(product, why, (login && expired(login)) || cause(why.status, why.code), tries);
      await pause(tries, retryAfter);
      if (asked !== visitor) return;
    }
  };

  const jwtFn = tokenGetter("chat", "generate/token");
  const helpCenterJwtFn = tokenGetter("help-center", "help-center/token");
  const messaging = tokenGetter("messaging", "messaging/token");
  const loginUser = (zE) => zE("messenger", "loginUser", messaging, (error) => {
    const description = [text(error, "reason"), text(error, "message")].filter(Boolean).join(": ");
    if (error) report("messaging", { description }, ["zendesk", "look at the messaging settings, at the clock of the service, and for a 409 at the player's old user"]);
  });

  // The page's widgets: what its settings for the Web Widget (Classic) authenticate, else Messaging; and the Chat Web SDK.
  const widgets = () => {
    const { zE, zESettings, zChat } = window;
    const classic = own(own(zESettings, "webWidget"), "authenticate");
    const isThere = typeof zE === "function";
    return { classic: isThere && classic, messaging: isThere && !classic, zE, zChat: typeof zChat?.logout === "function" && zChat };
  };

  return Object.freeze({
    jwtFn, helpCenterJwtFn, loginUser,
    configure: (changes) => {
      const given = { __proto__: null, ...changes };
      for (const name of Object.keys(given)) {
        const isRight = given[name] === undefined ? name in OPTIONS : typeof given[name] === OPTIONS[name];
        if (!isRight) throw new TypeError(`zendesk-token: ${name} is not an option of configure, or not a ${OPTIONS[name]}`);
      }
      // The routes are below it.
      given.service = given.service ? new URL(given.service.replace(/\/?$/, "/"), location.href).href : options.service;
      options = { ...options, ...given, __proto__: null };
    },
    signedIn: () => {
      visitor++;
      const { classic, messaging, zE, zChat } = widgets();
      if (own(classic, "chat")) zE("webWidget", "chat:reauthenticate");
      if (own(classic, "jwtFn")) zE("webWidget", "helpCenter:reauthenticate");
      if (messaging) loginUser(zE);
      if (zChat && options.chat) {
        zChat.logout();
        zChat.init({ ...options.chat, authentication: { jwt_fn: jwtFn } });
      }
    },
    signedOut: () => {
      visitor++;
      const { classic, messaging, zE, zChat } = widgets();
      if (classic) zE("webWidget", "logout");
      if (messaging) zE("messenger", "logoutUser");
      if (zChat) zChat.logout();
    },
  });
};

export const { configure, jwtFn, helpCenterJwtFn, loginUser, signedIn, signedOut } = create();
