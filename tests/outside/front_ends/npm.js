// A page with the npm package.

import * as zendeskToken from "zendesk-token";

zendeskToken.configure({ service: "https://shop.example.com/support-token" });
window.zendeskToken = zendeskToken;
