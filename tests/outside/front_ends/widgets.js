// Instead of Zendesk's widgets: asks for tokens when a command says so, and keeps commands and tokens in their order.
// The page's address says which widget.

const seen = { calls: [], events: [], violations: [], requests: 0, stored: null };
addEventListener("zendesk-token-refused", ({ detail }) => seen.events.push(detail.cause));
document.addEventListener("securitypolicyviolation", (event) => seen.violations.push(`${event.violatedDirective} ${event.blockedURI}`));

// While `held` is set, responses of the service wait until release().
let held = null, release;
const hold = () => { held = new Promise((done) => { release = () => { held = null; done(); }; }); };
const fetched = window.fetch;
window.fetch = async (url, options) => {
  const waits = /token$/.test(url) && held;
  const response = await fetched(url, options);
  if (waits) {
    seen.requests++;
    await waits;
  }
  return response;
};

const ask = (jwtFn) => {
  seen.stored = jwtFn;
  return jwtFn((...values) => seen.calls.push({ token: values.length === 1 ? values[0] : values }));
};
const authenticate = () => window.zESettings.webWidget.authenticate;
const commands = {
  "messenger loginUser": ask,
  "messenger logoutUser": () => {},
  "webWidget chat:reauthenticate": () => ask(authenticate().chat.jwtFn),
  "webWidget helpCenter:reauthenticate": () => ask(authenticate().jwtFn),
  "webWidget logout": () => {},
};
const zE = (widget, name, ...values) => {
  const command = `${widget} ${name}`;
  seen.calls.push(command);
  commands[command](...values);
};
const zChat = {
  init: ({ account_key, authentication }) => {
    seen.calls.push(`init ${account_key}`);
    ask(authentication.jwt_fn);
  },
  logout: () => { seen.calls.push("logout"); },
};

const onPage = new URLSearchParams(location.search).get("widget");
Object.assign(window, { messaging: { zE }, classic: { zE }, chat: { zChat } }[onPage]);

// For pages that are not examples: the login token, and what such a page sets.
let inMemory = null;
addEventListener("load", () => {
  const { zendeskToken } = window;
  if (!zendeskToken || onPage === "messaging") return;
  zendeskToken.configure({ loginToken: () => inMemory, chat: { account_key: "key" } });
  if (onPage === "classic") {
    window.zESettings = { webWidget: { authenticate: { chat: { jwtFn: zendeskToken.jwtFn }, jwtFn: zendeskToken.helpCenterJwtFn } } };
  }
});
const click = (id) => document.querySelector(`#${id}`).click();
