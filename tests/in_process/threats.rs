//! Every threat in `docs/security.md` has tests.

use std::collections::BTreeMap;
use std::fs;

use crate::architecture::{root, rust_files};

/// Each threat, and below it the tests that show what happens.
const THREATS: &str = "\
an algorithm other than the configured one, `none` in any spelling, or no algorithm
    every_algorithm_but_the_configured_one_is_refused_under_any_secret
    every_refused_fixture_is_refused_with_the_code_in_its_name
a public key or a key set as HMAC secret
    keys_in_documents_are_refused
an empty, short or placeholder secret
    empty_short_and_placeholder_secrets_are_refused
`crit`, `b64`, `zip`, `enc` in the header
    header_members_that_change_the_meaning_are_refused_with_any_value
`jku`, `x5u`, `jwk`, `x5c`: keys that the token itself contains or names
    keys_in_a_token_are_never_fetched_or_used
a `kid` that is a path, SQL, a number or very long
    every_refused_rs256_fixture_is_refused
the same JSON member twice, also with an escape in its name, also in unused claims
    a_repeated_member_is_refused_at_any_depth_and_in_any_spelling
a payload that is not an object
    a_payload_that_is_not_an_object_is_refused
`exp`, `iat` or `nbf` missing, of another type, negative or after the year 9999
    a_claim_that_is_not_a_time_is_refused_before_any_arithmetic
    a_fraction_of_a_time_rounds_down
    a_chat_token_never_outlives_the_login
`iat` or `nbf` in the future
    iat_and_nbf_may_be_in_the_future_by_at_most_the_leeway
RS256 without `kid`, or two keys with one `kid`
    every_refused_rs256_fixture_is_refused
    a_set_without_a_usable_key_or_with_a_repeated_kid_is_refused
    a_token_without_kid_is_for_the_only_key
another issuer or login project, missing or in a list
    issuer_and_project_are_checked_when_they_are_set
an audience, which real tokens have
    an_audience_of_xsolla_is_checked_only_if_it_is_set
    an_audience_must_be_that_of_the_settings_and_with_several_azp_too
a token of one login, signed with the key of another
    a_token_signed_with_the_key_of_another_login_is_refused
    a_key_verifies_only_the_algorithms_of_its_kind_whatever_the_header_says
the issuer of one login with the project or audience of another
    the_issuer_of_one_login_with_the_project_or_audience_of_another_is_refused
    a_token_for_none_of_the_logins_is_refused_and_the_log_says_what_it_names
HS256 with a published key as secret, or a key for encryption, a symmetric or a short key in a key set
    tokens_of_another_implementation_get_the_expected_answers_with_one_fetch
    keys_that_are_not_public_keys_for_signatures_are_left_out
    the_alg_of_a_published_key_leaves_out_the_other_algorithms_of_its_kind
an access token where ID tokens are accepted, or the reverse; a refresh or logout token
    token_type_says_which_tokens_are_accepted
    an_access_token_by_its_header_is_not_a_login_token_of_xsolla
two logins that one token could select
    two_logins_that_one_token_could_select_are_an_error
the same user id from two logins
    the_same_id_of_two_logins_gives_two_external_ids_by_their_prefixes
    prefixes_that_do_not_separate_the_ids_of_two_providers_cause_a_warning
    cookies_of_two_logins_are_of_two_players
a discovery document that names another issuer or plain HTTP, redirects, is slow or huge
    a_discovery_document_that_is_wrong_keeps_the_old_keys
    keys_of_a_provider_rotate_and_outlast_an_outage
the name of a claim that the token does not have, or that is not text
    claims_are_taken_by_the_names_in_the_settings_and_never_from_others
padding, spaces, the wrong alphabet or extra bits in base64url
    base64url_is_read_strictly
    every_hmac_vector_gets_the_verdict_of_its_label_except_four_wrong_labels
    every_vector_of_a_published_key_gets_the_verdict_of_its_label_if_its_algorithm_is_accepted
other serializations, huge tokens, thousands of dots, deep nesting
    huge_tokens_are_refused_before_they_are_read
    every_refused_fixture_is_refused_with_the_code_in_its_name
control characters, line breaks, two `@`, kilobytes of text in `sub`, `email` or `name`
    every_issued_token_keeps_its_products_rules_for_any_login_claims
any other change of a good token
    any_flipped_bit_of_a_good_token_is_refused
    two_verifiers_agree_on_100_000_changed_tokens_except_for_listed_reasons
a second login cookie from a sibling subdomain
    cookies_of_two_players_are_refused_in_either_order
    a_tossed_cookie_that_does_not_verify_changes_nothing
    a_token_that_cannot_be_verified_yet_outweighs_a_tossed_cookie
    more_than_four_different_login_cookies_are_refused_unread
    parts_of_a_login_cookie_are_never_guessed
cookies that are quoted, encoded, nameless or not ASCII
    the_login_cookie_is_found_among_others
    a_login_cookie_outside_the_grammar_is_an_invalid_token
    an_encoding_around_a_login_token_is_named_in_the_log
a foreign origin, `null`, look-alikes, two `Origin` headers
    a_foreign_origin_is_refused_before_its_token_is_read
    no_origin_header_is_served_and_two_are_malformed
slow headers and bodies, idle sockets, floods of connections, half a request at shutdown
    slow_headers_are_cut_off_counted_from_accept
    stalled_bodies_leave_room_for_everybody_else
    idle_connections_are_closed_after_the_idle_timeout
    connections_over_the_limit_are_closed_until_one_is_free
    requests_that_outlast_the_drain_are_cut_off
    new_connections_do_not_delay_the_stop
a request hidden in the body of another
    a_body_is_never_read_as_a_second_request
    malformed_requests_get_400_without_a_body
a forged client address or request id
    forwarded_headers_never_change_the_address_of_an_untrusted_client
    x_forwarded_for_is_read_from_the_right_past_trusted_proxies_only
    only_a_valid_request_id_is_used
escape sequences and line breaks that would get into the log
    malformed_text_from_clients_is_not_logged
secrets, tokens, cookies and emails in logs, errors or `Debug`
    no_path_through_the_service_prints_a_token_cookie_secret_or_email
    no_token_key_or_answer_of_the_login_api_is_printed
    the_value_of_an_invalid_setting_is_not_printed
    debug_shows_only_lengths
    a_panic_is_logged_with_its_place_and_without_its_message
invented key ids; a Login API that is slow or wrong, redirects, or sends huge responses
    unknown_kids_cause_one_fetch_in_each_cooldown
    an_answer_that_is_not_a_key_set_keeps_the_old_keys
    old_keys_are_used_while_the_api_is_down_until_they_are_too_old
JSON nested in strings of JSON, in a token, from the Login API or from Zendesk's APIs
    inspect_refuses_hostile_json
    the_support_desk_refuses_hostile_answers_in_one_line
    the_service_refuses_hostile_json_and_continues
    a_hostile_key_set_leaves_the_keys_in_use
    hostile_documents_of_a_provider_leave_the_keys_in_use
    no_code_parses_into_serde_json_value
a secret that others can read or that a person invented: a token, a URL, a path, an unreplaced reference, a modulus
    what_others_can_read_is_not_a_secret
    a_path_or_url_is_not_a_secret
    a_damaged_text_is_not_a_secret
    an_unreplaced_reference_is_not_a_secret
    random_secrets_are_accepted_in_every_notation_with_any_start_and_end
a secret as the value of another setting, such as a key id that every token shows
    no_setting_may_have_the_value_of_any_secret_that_is_set
    no_command_takes_or_prints_a_secret_as_the_key_id
    settings_that_would_publish_a_secret_are_not_taken_over
secret files that every user of the machine can read or change
    a_secret_file_that_others_can_read_or_change_causes_a_warning
    readable_secret_files_cause_a_warning_on_standard_error
    a_settings_file_causes_a_warning_if_others_can_change_it_or_read_secrets_in_it
a core dump, which would contain the secrets
    no_command_leaves_its_secrets_in_a_core_dump
an email that disguises its domain, or has a `fallback_email_domain`
    an_email_of_the_fallback_domain_is_refused_or_left_out
    messaging_trims_an_email_or_leaves_it_out
    an_email_may_have_normalized_characters_of_any_script_before_the_at
a name that is invisible, changes the writing direction, or contains an email with `messaging.email = \"omit\"`
    invisible_and_direction_characters_are_removed_from_a_name
    a_name_without_visible_characters_is_skipped
    no_email_becomes_a_name_where_the_setting_omits_emails
a token for another use: for servers, for a logout, or of another `typ`
    tokens_for_servers_and_for_logout_are_refused
    every_refused_fixture_is_refused_with_the_code_in_its_name
a login that says `email_verified: false`, or a type of login that proves no email
    an_email_that_the_login_does_not_confirm_is_never_verified
    an_email_of_a_provider_is_verified_only_if_its_token_says_so
    only_logins_of_the_types_in_the_settings_have_verified_emails
    an_unconfirmed_email_is_refused_by_products_that_identify_players_by_email
a revoked login token next to a good one of the same player
    a_revoked_login_is_skipped_when_the_same_player_has_a_valid_one
an image, a script tag or a frame of a foreign page that requests a token
    a_request_for_an_image_a_script_or_a_frame_is_refused
    preflights_documents_refused_origins_images_and_zendesks_servers_are_not_counted
a wildcard origin over a public suffix, or an origin that every local file has
    wildcards_over_public_suffixes_are_refused
    origins_of_apps_that_no_web_view_sends_or_many_share_are_refused_with_the_reason
bodies in tiny chunks, or slow bodies from the addresses of Zendesk's servers
    a_body_in_tiny_chunks_is_bounded_on_the_wire
    slow_bodies_do_not_starve_zendesk_behind_the_same_address
    bodies_that_began_before_a_reload_count_after_it
a user token of the Support SDK as a login token, or another token as a user token
    a_user_token_is_refused_everywhere_else
    another_token_is_never_taken_for_a_user_token
    without_the_setting_there_are_no_user_tokens
a user token that was changed, has expired, or whose login was removed
    a_changed_user_token_is_refused
    a_user_token_that_expired_is_refused_and_the_end_of_the_login_does_not_count
    the_login_of_a_user_token_must_still_exist
    hostile_json_in_a_user_token_is_refused
a user token that leaked
    a_date_revokes_the_user_tokens_from_before_it_and_new_ones_are_accepted_at_once
    another_secret_of_the_product_ends_every_user_token
a user token of the Support SDK for a login with an unconfirmed email, or for a foreign page
    a_user_token_is_issued_only_for_a_login_that_the_support_sdk_accepts
    the_route_has_the_checks_of_page_routes
a 401 that makes an app drop the player's requests
    spaces_and_the_word_bearer_around_a_login_token_are_ignored
    a_text_that_is_not_a_login_token_is_malformed_and_the_log_has_the_cause
    the_same_player_with_the_same_claims_gets_the_same_text_until_half_its_life_is_over
    a_user_token_from_an_instance_whose_clock_is_ahead_is_never_a_401
the demo's page opened from another site or by another host name; the demo on an address other than loopback
    the_shop_answers_only_its_own_page
    the_shop_is_only_below_a_random_path
    each_start_has_new_secrets
    it_listens_only_on_loopback
    serve_has_no_routes_of_the_demo
the support desk's page opened from another site, by another host name or in a second browser; a forged request to it
    the_desk_is_only_below_a_random_path_and_for_the_first_browser
    only_the_first_get_of_the_page_takes_the_cookie
    other_hosts_and_origins_and_requests_without_the_csrf_token_are_refused
    every_answer_has_the_headers_and_nothing_changes_by_get
the address of the support desk's page in the list of processes
    it_finds_a_free_port_and_opens_the_browser_if_there_is_one
hostile text in the answers of Zendesk's APIs, on the support desk's page
    hostile_text_of_the_api_stays_text
two users of Messaging merged by mistake
    a_user_is_not_merged_into_itself_or_into_another_brand
    a_user_of_another_brand_with_the_login_id_is_pointed_out_and_not_touched
    different_emails_of_two_users_that_signed_in_are_pointed_out
    users_that_change_before_the_merge_are_not_merged
    a_user_that_is_gone_is_not_taken_for_a_merged_one
    odd_bodies_are_refused
    only_the_newest_plan_is_carried_out_and_only_once
a user of Messaging deleted by mistake
    another_user_is_never_taken_for_the_requested_one
    nothing_is_deleted_without_a_record_a_terminal_or_a_remedy
    a_user_that_changes_before_the_deletion_is_not_deleted
    an_id_is_exactly_one_path_segment
    an_id_is_percent_encoded
";

/// The threats, and their tests.
fn threats_and_tests() -> (Vec<&'static str>, Vec<&'static str>) {
    THREATS.lines().partition(|line| !line.starts_with(' '))
}

#[test]
fn every_threat_has_tests_that_exist() {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for file in ["src", "tests"].iter().flat_map(|folder| rust_files(&root().join(folder))) {
        let text = fs::read_to_string(file).unwrap();
        for name in text.split("#[test]").filter_map(|rest| rest.trim_start().strip_prefix("fn ")?.split('(').next()) {
            *found.entry(name.to_owned()).or_default() += 1;
        }
    }
    let (threats, tests) = threats_and_tests();
    let wrong: Vec<_> = tests.iter().filter(|test| found.get(test.trim()) != Some(&1)).collect();
    assert!(wrong.is_empty(), "not the name of exactly one test: {wrong:?}");
    let has_tests = |threat: &&str| THREATS.contains(&format!("{threat}\n    "));
    assert!(threats.iter().all(has_tests));
}

#[test]
fn the_security_page_has_the_same_threats() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let documented: Vec<&str> = rows.filter(|row| !row.starts_with("Attack or")).collect();
    assert_eq!(documented, threats_and_tests().0);
}
