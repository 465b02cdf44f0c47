// React: <Support player={player} />, once in the app; player is { id, loginToken }, or null
import { useEffect } from "react";
import { configure, signedIn, signedOut } from "zendesk-token";

let loginToken = null;
configure({ service: "https://shop.example.com/support-token", loginToken: () => loginToken });

export function Support({ player }) {
  useEffect(() => { loginToken = player?.loginToken ?? null; });
  useEffect(() => {
    if (!player?.id) return;
    signedIn();
    return () => { loginToken = null; signedOut(); };
  }, [player?.id]);
  return null;
}
