// Vue: call useSupport(player) once, in the app's setup; player is a ref of { id, loginToken }, or of null
import { watch } from "vue";
import { configure, signedIn, signedOut } from "zendesk-token";

export function useSupport(player) {
  configure({ service: "https://shop.example.com/support-token", loginToken: () => player.value?.loginToken ?? null });
  watch(() => player.value?.id, (id, before) => {
    if (before) signedOut();
    if (id) signedIn();
  }, { immediate: true });
}
