// Gets a new Zendesk token each time a widget asks. Without one, the console and the window event "zendesk-token-refused"
// say why. Reads own properties only, since a page's Object.prototype may be polluted.
const create = (service) => {
  const MAX_TRIES = 4, TIMEOUT = 15000, MAX_PAUSE = 10000; // ms
  const CLOCK = 120; // seconds that clocks may differ before a token is not valid yet
  const OPTIONS = { __proto__: null, loginToken: "function", service: "string", chat: "object" };
  const isPage = typeof window !== "undefined"; // or a server that renders a page
  let options = { __proto__: null, service };
  let visitor = 0; // counts sign-ins and sign-outs
  let session = {}; // another object after each sign-out; null until the next sign-in
  let logins = 0; // counts calls of loginUser
  const own = (value, name) => (Object.prototype.hasOwnProperty.call(Object(value), name) ? value[name] : undefined);
  const text = (value, name) => { const found = own(value, name); return typeof found === "string" ? found : ""; };

  // Settles as `promise` does, or fails.
  const inTime = async (promise) => {
    let timer;
    const late = new Promise((_, fail) => { timer = setTimeout(() => fail(new Error(`no answer in ${TIMEOUT / 1000} s`)), TIMEOUT); });
    try { return await Promise.race([promise, late]); } finally { clearTimeout(timer); }
  };

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
  const cause = ({ status, code }, login) => {
    if (login && code === "00-00") return ["service", "set login.bearer = true in the service"];
    const isOver = login && status === 401 && expired(login);
    if (isOver || CAUSES[code]) return isOver || CAUSES[code];
    if (status) return ["service", "the log of the service has the reason, at the request's X-Request-Id"];
    return new URL(options.service).origin === location.origin
      ? ["network", "the service can't be reached from here"]
      : ["origin", "this page's origin is not in cors.origins, its content security policy blocks the service, or the service can't be reached"];
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
      return { __proto__: null, why: { __proto__: null, status: 0, description: "no response that this page can read" }, retry: true };
    } finally {
      clearTimeout(timer);
    }
  };

  const report = (product, why, [cause, fix], tries) => {
    const { status, code } = { __proto__: null, ...why };
    // An error of the page's login may quote a token or an email.
    const description = why.description.replace(/\S*@\S*|[\w.-]{32,}/g, "…");
    const said = [status, code, description].filter(Boolean).join(" ");
    console.warn(`zendesk-token: a visitor stays anonymous in ${product}: ${said} (${cause}: ${fix})`);
    const detail = { product, status, code, description, cause, tries };
    dispatchEvent(new CustomEvent("zendesk-token-refused", { __proto__: null, detail }));
  };

  const reportOver = (product) => report(product, { description: "signedOut was called" }, ["signed-out", "call signedIn after the next sign-in"], 0);

  // The page's login token, null without one, or undefined if the login is in a cookie.
  const loginToken = async () => {
    const { loginToken: ask } = options;
    if (!ask) return;
    const login = (await inTime(ask())) || null;
    if (login !== null && !(typeof login === "string" && /^[!-~]+$/.test(login))) throw new TypeError("loginToken must return only a token, or null");
    return login;
  };

  // Calls back once with a token, or never; also not after a sign-in or a sign-out, when the token would be another visitor's.
  const tokenGetter = (product, path) => async (callback) => {
    if (!session) return reportOver(product);
    const asked = visitor;
    let login, refused;
    for (let tries = 1; ; tries++) {
      try {
        if (!options.service) throw new Error("call configure({ service }) first");
        login = await loginToken();
      } catch (error) {
        if (asked === visitor) report(product, { description: text(error, "message") }, ["login-token", "the page's loginToken or configure failed"], tries - 1);
        return;
      }
      if (asked !== visitor) return;
      if (login === null) return report(product, { description: "loginToken gave no token" }, ["signed-out", "the player is signed out"], tries - 1);
      if (refused && login === refused.login) return report(product, refused.why, cause(refused.why, login), tries - 1);
      const { token, why, retry, retryAfter } = await attempt(path, login);
      if (asked !== visitor) return;
      if (token) return callback(token);
      // The page may have renewed the login token meanwhile.
      if (login && why.status === 401 && !refused) {
        refused = { login, why };
        continue;
      }
      if (!retry || tries >= MAX_TRIES) return report(product, why, cause(why, login), tries);
      await pause(tries, retryAfter);
      if (asked !== visitor) return;
    }
  };

  const jwtFn = tokenGetter("chat", "generate/token");
  const helpCenterJwtFn = tokenGetter("help-center", "help-center/token");
  const messaging = tokenGetter("messaging", "messaging/token");
  // The widget keeps the function. After a sign-out it may still ask for the player before, who gets no token then. A token
  // that was asked for before the last loginUser may be the player's before it.
  const loginUser = (zE) => {
    const mine = session = session || {};
    logins++;
    const jwtCallback = (callback) => {
      const asked = logins;
      return mine === session ? messaging((token) => asked === logins && callback(token)) : reportOver("messaging");
    };
    return zE("messenger", "loginUser", jwtCallback, (error) => {
      const description = [text(error, "reason"), text(error, "message")].filter(Boolean).join(": ");
      if (error) report("messaging", { description }, ["zendesk", "look at the messaging settings, at the clock of the service, and for a 409 at the player's old user"]);
    });
  };

  // The page's widgets: what its settings for the Web Widget (Classic) authenticate, else Messaging; and the Chat Web SDK.
  // An element or a frame with the name of one is not an own property.
  const widgets = () => {
    const zE = own(window, "zE"), zChat = own(window, "zChat");
    const classic = own(own(own(window, "zESettings"), "webWidget"), "authenticate");
    const isThere = typeof zE === "function";
    return { classic: isThere && classic, messaging: isThere && !classic, zE, zChat: typeof zChat?.logout === "function" && zChat };
  };
  // A widget that throws must not keep the next one from its sign-out. Its error reaches the page's error handler.
  const call = (target, ...values) => {
    try { target(...values); } catch (error) { queueMicrotask(() => { throw error; }); }
  };

  // No login token in clear text: https, or http on the device or from a page that has http itself.
  const serviceUrl = (given) => {
    try {
      const { protocol, hostname, username, password, href } = new URL(given, location.href);
      const isHttp = protocol === "http:" && (location.protocol === protocol || /^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname));
      if ((protocol === "https:" || isHttp) && !username && !password && !/[?#]/.test(href)) return href.replace(/\/?$/, "/"); // the routes are below it
    } catch {}
    throw new TypeError("zendesk-token: service must be an https URL without user, query or fragment; http only on loopback, or from an http page");
  };

  return Object.freeze({
    jwtFn, helpCenterJwtFn, loginUser,
    configure: (changes) => {
      const given = { __proto__: null, ...changes };
      for (const name of Object.keys(given)) {
        if (!OPTIONS[name]) throw new TypeError(`zendesk-token: configure has no option ${name}`);
        if (given[name] === undefined) delete given[name];
        else if (typeof given[name] !== OPTIONS[name]) throw new TypeError(`zendesk-token: ${name} must be of type ${OPTIONS[name]}`);
      }
      if (!isPage) return;
      if ("service" in given) given.service = serviceUrl(given.service);
      options = { ...options, ...given, __proto__: null };
    },
    signedIn: () => {
      if (!isPage) return;
      visitor++;
      session = session || {};
      const { classic, messaging, zE, zChat } = widgets();
      if (own(classic, "chat")) call(zE, "webWidget", "chat:reauthenticate");
      if (own(classic, "jwtFn")) call(zE, "webWidget", "helpCenter:reauthenticate");
      if (messaging) call(loginUser, zE);
      if (!zChat) return;
      if (!options.chat) return console.warn("zendesk-token: for the Chat Web SDK, signedIn needs configure({ chat })");
      call(() => zChat.logout());
      call(() => zChat.init({ ...options.chat, authentication: { jwt_fn: jwtFn } }));
    },
    signedOut: () => {
      if (!isPage) return;
      visitor++;
      session = null;
      const { classic, messaging, zE, zChat } = widgets();
      if (classic) call(zE, "webWidget", "logout");
      if (messaging) call(zE, "messenger", "logoutUser");
      if (zChat) call(() => zChat.logout());
    },
  });
};

export const { configure, jwtFn, helpCenterJwtFn, loginUser, signedIn, signedOut } = create();
