// Uses what /jwt_fn.js defines, with the types of /jwt_fn.d.ts.

let loginToken: string | null = null;
zendeskToken.configure({ loginToken: () => loginToken });
const asked: Promise<void>[] = [zendeskToken.jwtFn((token) => token.length), zendeskToken.helpCenterJwtFn((token) => token.length)];
zendeskToken.loginUser((...values: unknown[]) => values.length);
zendeskToken.signedIn();
window.zendeskToken.signedOut();
addEventListener("zendesk-token-refused", ({ detail }) => console.log(detail.cause === "signed-out", asked.length));

// @ts-expect-error: an unknown option
zendeskToken.configure({ logintoken: () => "" });
// @ts-expect-error: not a function
zendeskToken.configure({ loginToken: "token" });
// @ts-expect-error: no such function
zendeskToken.logout();
// @ts-expect-error: the object is frozen
zendeskToken.signedIn = () => {};
