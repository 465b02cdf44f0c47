//! The cache of answers about revocation is limited.

use std::thread;

use crate::client::Request;
use crate::harness::{Server, resident_kib};
use crate::login_api::{LoginApi, VALIDATE_PATH};
use crate::login_tokens::{LoginToken, now};

#[test]
fn at_most_10_000_answers_are_cached() {
    let api = LoginApi::start();
    let url = api.url();
    let asking = [("login.check_revocation", "true"), ("login.api_url", &url), ("login.revocation_cache", "10m")];
    let server = Server::with(&[&asking[..], &[("log.level", "warn")]].concat());
    let (address, start) = (server.public, now());
    // The same number always gives the same token.
    let ask = move |number: usize| {
        let token = LoginToken::at(start).claim("number", number).mint();
        drop(Request::new(address, "GET", "/generate/token").cookie(token).send());
    };
    let ask_thousand = |from: usize| {
        thread::scope(|scope| {
            for part in 0..4 {
                scope.spawn(move || (0..250).for_each(|number| ask(from + part * 250 + number)));
            }
        });
        resident_kib(server.id())
    };
    let first = ask_thousand(0);
    let last = (1..12).fold(first, |_, thousand| ask_thousand(thousand * 1000));
    assert_eq!(api.asked(VALIDATE_PATH), 12_000);
    assert!(last < first + 12_000, "from {first} KiB to {last} KiB");
    ask_thousand(0);
    assert!(api.asked(VALIDATE_PATH) > 12_000, "12,000 answers are cached");
}
