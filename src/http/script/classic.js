  const script = document.currentScript; // a page may inject <img name="currentScript">
  if (script instanceof HTMLScriptElement && script.src) window.zendeskToken = create(script.src);
  else console.error("zendesk-token: load jwt_fn.js by <script src>, and jwt_fn.mjs as a module");
