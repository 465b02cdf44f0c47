// A shop with React.

import { useState } from "react";
import { createRoot } from "react-dom/client";
import { Support } from "./examples/Support.jsx";

const post = async (path) => (await fetch(path, { method: "POST" })).json();

function Shop() {
  const [player, setPlayer] = useState(null);
  return (
    <>
      <Support player={player} />
      <button id="sign-in" onClick={async () => setPlayer(await post("/login"))}>Sign in</button>
      <button id="renew" onClick={async () => setPlayer(await post("/renew"))}>Renew</button>
      <button id="sign-out" onClick={() => setPlayer(null)}>Sign out</button>
    </>
  );
}

createRoot(document.querySelector("main")).render(<Shop />);
