//! Products that come, change their key and go while the service runs.

use std::fs;

use zendesk_token::config::products::Product;

use crate::harness::{CHAT_SECRET, KEY_ID, LOGIN_SECRET, MESSAGING_SECRET, ORIGIN, Server, command};
use crate::login_tokens::{LoginToken, open, open_for};
use crate::published_keys::until;
use crate::reload::{Folder, NEW_SECRET, reloads};

#[test]
fn a_product_comes_changes_its_key_and_goes_without_a_restart() {
    let folder = Folder::new();
    let secret = folder.write("messaging", MESSAGING_SECRET);
    let settings = |products: &str| {
        format!(
            "listen = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[login]\nsecret = \"{LOGIN_SECRET}\"\n[cors]\norigins = [\"{ORIGIN}\"]\n{products}"
        )
    };
    let chat = format!("[chat]\nsecret = \"{CHAT_SECRET}\"\n");
    let messaging =
        |key_id: &str| format!("[messaging]\nsecret_file = \"{}\"\nkey_id = \"{key_id}\"\n", secret.display());
    let file = folder.write("settings.toml", &settings(&chat));
    let server = Server::run(command(&["serve", "--config", file.to_str().unwrap()], &[]));
    let ask = |path: &str| server.get(path).cookie(LoginToken::valid().mint()).send();
    let reload = |text: &str, done: usize| {
        fs::write(&file, settings(text)).unwrap();
        server.signal("HUP");
        until("reloaded", || reloads(&server, "done") == done);
    };
    assert_eq!((ask("/generate/token").status, ask("/messaging/token").refusal()), (200, "404 00-08".to_owned()));

    reload(&format!("{chat}{}", messaging(KEY_ID)), 1);
    open_for(Product::Messaging, &ask("/messaging/token").token(), MESSAGING_SECRET);
    assert_eq!(ask("/generate/token").status, 200);

    // The file of its secret is watched like any other.
    fs::rename(folder.write("new", NEW_SECRET), &secret).unwrap();
    until("swapped", || reloads(&server, "done") == 2);
    open_for(Product::Messaging, &ask("/messaging/token").token(), NEW_SECRET);

    reload(&messaging("app_other"), 3);
    assert_eq!(open(&ask("/messaging/token").token(), NEW_SECRET).0["kid"], "app_other");
    assert_eq!(ask("/generate/token").refusal(), "404 00-08");

    // Nothing left, and one without its key id: the old ones stay.
    for (failed, wrong) in [String::new(), chat.clone() + "[messaging]\nkey_id = \"app_other\"\n"].iter().enumerate() {
        fs::write(&file, settings(wrong)).unwrap();
        server.signal("HUP");
        until("refused", || reloads(&server, "failed") == failed + 1);
        assert_eq!(ask("/messaging/token").status, 200);
    }
}
