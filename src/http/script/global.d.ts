
declare global {
  /** What `/jwt_fn.js` defines. */
  var zendeskToken: Readonly<{
    configure: typeof configure;
    jwtFn: typeof jwtFn;
    helpCenterJwtFn: typeof helpCenterJwtFn;
    loginUser: typeof loginUser;
    signedIn: typeof signedIn;
    signedOut: typeof signedOut;
  }>;
}
