  const script = document.currentScript; // a page may inject <img name="currentScript">
  const isLoaded = Object.prototype.hasOwnProperty.call(window, "zendeskToken") && window.zendeskToken?.signedOut;
  if (!(script instanceof HTMLScriptElement && script.src)) console.error("zendesk-token: load jwt_fn.js by <script src>, and jwt_fn.mjs as a module");
  // A second one would not know of the first one's sign-outs.
  else if (!isLoaded) window.zendeskToken = create(script.src);
