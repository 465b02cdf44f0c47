// Uses everything that the npm package exports. Each @ts-expect-error fails if the types allow the next line.

import { configure, helpCenterJwtFn, jwtFn, loginUser, signedIn, signedOut } from "zendesk-token";
import type { Cause, Options, Refusal, TokenCallback, ZE } from "zendesk-token";

let loginToken: string | null = null;
const options: Options = { loginToken: () => loginToken };
configure(options);
configure({ loginToken: async () => loginToken, service: "/support-token/", chat: { account_key: "key" } });
configure({});

const callback: TokenCallback = (token) => token.toUpperCase();
const asked: Promise<void> = jwtFn(callback);
const authenticate = { chat: { jwtFn }, jwtFn: helpCenterJwtFn };
authenticate.jwtFn((token: string) => token.length);

declare const zE: ZE;
loginUser(zE);
// A page's own declaration of zE.
declare function messenger(widget: "messenger", command: "loginUser", jwtCallback: (callback: (jwt: string) => void) => void): void;
declare function messenger(widget: "messenger", command: "logoutUser"): void;
loginUser(messenger);

const nothing: void[] = [signedIn(), signedOut()];

const advice: Record<Cause, string> = {
  "signed-out": "", "login-expired": "", "login-invalid": "", "login-token": "", claim: "", origin: "", network: "", service: "", clock: "",
  zendesk: "",
};
addEventListener("zendesk-token-refused", ({ detail }) => {
  const refusal: Refusal = detail;
  const product: "chat" | "help-center" | "messaging" = refusal.product;
  console.log(product, advice[refusal.cause], refusal.status?.toFixed(), refusal.code?.length, refusal.description?.length, refusal.tries);
  // @ts-expect-error: an unknown cause
  if (detail.cause === "signed-in") return;
  // @ts-expect-error: an unknown property
  detail.token;
});

// @ts-expect-error: an unknown option
configure({ logintoken: () => "" });
// @ts-expect-error: not a function
configure({ loginToken: "token" });
// @ts-expect-error: a number as a token
configure({ loginToken: () => 7 });
// @ts-expect-error: not a text
configure({ service: new URL("https://example.com/") });
// @ts-expect-error: not an object
configure({ chat: "key" });
// @ts-expect-error: no options
configure();
// @ts-expect-error: no callback
jwtFn();
// @ts-expect-error: the token is a text
helpCenterJwtFn((token: number) => token);
// @ts-expect-error: not a function
loginUser("messenger");
// @ts-expect-error: takes nothing
signedIn(loginToken);
// @ts-expect-error: takes nothing
signedOut(loginToken);
// @ts-expect-error: not exported
import { create } from "zendesk-token";
// @ts-expect-error: no global without jwt_fn.d.ts
zendeskToken.signedIn();

export { asked, nothing };
