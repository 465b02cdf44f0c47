/** Receives a new Zendesk token. It is called once, or never: then the event `zendesk-token-refused` says why. */
export type TokenCallback = (token: string) => void;

/** Zendesk's function of the Web Widget, however the page declares it. */
export type ZE = (...values: any[]) => unknown;

/** Why a visitor stays anonymous. */
export type Cause =
  | "signed-out"
  | "login-expired"
  | "login-invalid"
  | "login-token"
  | "claim"
  | "origin"
  | "network"
  | "service"
  | "clock"
  | "zendesk";

/** The `detail` of the window event `zendesk-token-refused`. */
export interface Refusal {
  product: "chat" | "help-center" | "messaging";
  /** HTTP status; 0 without a response that the page can read; undefined without a request. */
  status?: number;
  /** Error code of the service, such as `00-01`. */
  code?: string;
  description?: string;
  cause: Cause;
  /** Number of requests. */
  tries?: number;
}

export interface Options {
  /** The player's login token, or null for a signed-out player. Asked before each request; never stored. */
  loginToken?: () => string | null | Promise<string | null>;
  /** URL of the service, for example `/support-token/`. Needed with the npm package. https; http on loopback, or if the page has it too. */
  service?: string;
  /** The options of the page's `zChat.init`, which `signedIn` needs for the Chat Web SDK. */
  chat?: object;
}

/** Sets options; the others stay. Throws a TypeError for an unknown option or a wrong type. */
export function configure(options: Options): void;

/** `jwtFn` of the Web Widget (Classic) and `jwt_fn` of the Chat Web SDK. */
export function jwtFn(callback: TokenCallback): Promise<void>;

/** `jwtFn` of the Help Center in the Web Widget (Classic). */
export function helpCenterJwtFn(callback: TokenCallback): Promise<void>;

/** Signs the player in to Messaging. */
export function loginUser(zE: ZE): void;

/** The player has signed in: the widgets of the page get their tokens. */
export function signedIn(): void;

/** The player has signed out: the widgets forget the player, and get no token until `signedIn` or `loginUser`. */
export function signedOut(): void;

declare global {
  interface WindowEventMap {
    "zendesk-token-refused": CustomEvent<Refusal>;
  }
}
