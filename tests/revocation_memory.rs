//! The number of cached answers about revocation is limited.

use std::thread;

use crate::client::Request;
use crate::harness::Server;
use crate::login_api::{LoginApi, VALIDATE_PATH};
use crate::login_tokens::{LoginToken, now};

#[test]
fn no_more_than_10_000_answers_are_remembered() {
    let api = LoginApi::start();
    let url = api.url();
    let asking = [("login.check_revocation", "true"), ("login.api_url", &url), ("login.revocation_cache", "10m")];
    let server = Server::with(&[&asking[..], &[("log.level", "warn")]].concat());
    let (address, start) = (server.public, now());
    let ask = move |token: String| drop(Request::new(address, "GET", "/generate/token").cookie(token).send());
    // The same number always gives the same token.
    let numbered = move |number: usize| LoginToken::at(start).claim("number", number).mint();
    let resident = || crate::harness::resident_kib(server.id());
    let ask_many = |from: usize| {
        thread::scope(|scope| {
            for lane in 0..4 {
                scope.spawn(move || {
                    (0..250).for_each(|turn| ask(numbered(from + lane * 250 + turn)));
                });
            }
        });
    };
    ask_many(0);
    let first = resident();
    for thousand in 1..12 {
        ask_many(thousand * 1000);
    }
    assert_eq!(api.asked(VALIDATE_PATH), 12_000);
    assert!(resident() < first + 12_000, "from {first} KiB to {} KiB", resident());
    // Some of the first 1,000 were evicted.
    let before = api.asked(VALIDATE_PATH);
    (0..1000).for_each(|number| ask(numbered(number)));
    let again = api.asked(VALIDATE_PATH) - before;
    assert!(again > 0, "12,000 answers are remembered");
}
