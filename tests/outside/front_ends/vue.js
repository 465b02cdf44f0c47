// A shop with Vue.

import { createApp, h, ref } from "vue";
import { useSupport } from "./examples/useSupport.js";

const post = async (path) => (await fetch(path, { method: "POST" })).json();

const Shop = {
  setup() {
    const player = ref(null);
    useSupport(player);
    return () => [
      h("button", { id: "sign-in", onClick: async () => { player.value = await post("/login"); } }, "Sign in"),
      h("button", { id: "renew", onClick: async () => { player.value = await post("/renew"); } }, "Renew"),
      h("button", { id: "sign-out", onClick: () => { player.value = null; } }, "Sign out"),
    ];
  },
};

createApp(Shop).mount("main");
